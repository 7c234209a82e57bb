//! Configuration of the two services. The names of the fields differ, since one command may take both.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use app::{Environment, Secret};
use clap::Args;
use jiff::SignedDuration;
use ring::rand::SystemRandom;
use secrecy::SecretString;

use crate::{
    LimitConfig,
    auth::{
        jwks::PublicKey,
        tokens::{Realm, Signer, generate_signing_key},
    },
};

/// Settings of the API gateway.
#[derive(Clone, Debug, Args)]
pub struct ApiConfig {
    /// Address of the API.
    #[arg(long, env = "API_LISTEN", default_value = "127.0.0.1:3000")]
    pub api_listen: String,
    /// Where the auth service is: its keys are fetched there, and log-ins are forwarded to it.
    #[arg(long, env = "AUTH_URL", default_value = "http://127.0.0.1:3005")]
    pub auth_url: String,
    /// Seconds for which it is believed that a session or an API key is still good: how long a log-out may take to be felt.
    #[arg(long, env = "ACCESS_RECHECK_SECONDS", default_value = "30", value_parser = clap::value_parser!(u8).range(..=60))]
    pub access_recheck_seconds: u8,
    #[command(flatten)]
    pub limits: LimitConfig,
}

impl ApiConfig {
    pub(crate) fn standing_life(&self) -> SignedDuration {
        SignedDuration::from_secs(self.access_recheck_seconds.into())
    }
}

/// Settings of the auth service.
#[derive(Clone, Debug, Args)]
pub struct AuthConfig {
    /// Address of the auth service.
    #[arg(long, env = "AUTH_LISTEN", default_value = "127.0.0.1:3005")]
    pub auth_listen: String,
    /// Ed25519 private key in PKCS#8 PEM that signs access tokens; every replica has the same.
    #[arg(long, env = "AUTH_SIGNING_KEY", hide_env_values = true)]
    pub auth_signing_key: Option<Secret>,
    /// File that holds the signing key.
    #[arg(long, env = "AUTH_SIGNING_KEY_FILE")]
    pub auth_signing_key_file: Option<PathBuf>,
    /// Second key whose tokens are accepted, private or public PEM: the next one before a rotation, the last one after it.
    #[arg(long, env = "AUTH_SECOND_KEY", hide_env_values = true)]
    pub auth_second_key: Option<Secret>,
    /// File that holds the second key.
    #[arg(long, env = "AUTH_SECOND_KEY_FILE")]
    pub auth_second_key_file: Option<PathBuf>,
}

impl AuthConfig {
    /// Who signs, and the second key if there is one.
    ///
    /// # Errors
    /// When a key is missing in production, cannot be read, or is no key.
    pub(crate) fn keys(&self, environment: Environment, realm: &Realm) -> anyhow::Result<(Signer, Option<PublicKey>)> {
        let signer = Signer::from_pem(&self.signing_key(environment)?, realm.clone()).context("AUTH_SIGNING_KEY")?;
        let second = Secret::read(self.auth_second_key.as_ref(), self.auth_second_key_file.as_ref())?;
        let second = second.map(|pem| PublicKey::from_pem(&pem.into()).context("AUTH_SECOND_KEY")).transpose()?;
        let second = second.filter(|second| *second != signer.public_key());
        Ok((signer, second))
    }

    /// The signing key as PEM. In development, one that lives as long as the process if none is given.
    ///
    /// # Errors
    /// When it is missing in production, or its file cannot be read.
    fn signing_key(&self, environment: Environment) -> anyhow::Result<SecretString> {
        match (Secret::read(self.auth_signing_key.as_ref(), self.auth_signing_key_file.as_ref())?, environment) {
            (Some(key), _) => Ok(key.into()),
            (None, Environment::Development) => {
                tracing::info!("no AUTH_SIGNING_KEY: tokens are signed with a key that this process made");
                Ok(generate_signing_key(&SystemRandom::new())?)
            }
            (None, Environment::Production) => {
                bail!("AUTH_SIGNING_KEY or AUTH_SIGNING_KEY_FILE is required in production")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use app::{Environment, Secret};
    use ring::rand::SystemRandom;
    use secrecy::ExposeSecret;

    use super::AuthConfig;
    use crate::auth::tokens::generate_signing_key;

    fn config(key: Option<&str>, file: Option<&std::path::Path>) -> AuthConfig {
        AuthConfig {
            auth_listen: String::new(),
            auth_signing_key: key.map(|key| key.parse::<Secret>().expect("any text is a secret")),
            auth_signing_key_file: file.map(ToOwned::to_owned),
            auth_second_key: None,
            auth_second_key_file: None,
        }
    }

    #[test]
    fn production_refuses_to_make_a_key_of_its_own() {
        let none = config(None, None);
        let refused = none.signing_key(Environment::Production).expect_err("no key");
        assert!(refused.to_string().contains("AUTH_SIGNING_KEY"), "{refused}");
        let made = none.signing_key(Environment::Development).expect("a key");
        assert!(made.expose_secret().starts_with("-----BEGIN PRIVATE KEY-----"));
    }

    #[test]
    fn a_key_comes_from_the_environment_or_a_file_and_is_not_printed() {
        let pem = generate_signing_key(&SystemRandom::new()).expect("a key");
        let pem = pem.expose_secret();
        let given = config(Some(pem), None);
        assert!(!format!("{given:?}").contains("PRIVATE"), "{given:?}");
        assert_eq!(given.signing_key(Environment::Production).expect("a key").expose_secret(), pem);

        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), pem).expect("written");
        let read = config(None, Some(file.path())).signing_key(Environment::Production).expect("a key");
        assert_eq!(read.expose_secret(), pem.trim());
    }
}
