//! Configuration of the two services. The names of the fields differ, since one command may take both.

use std::path::PathBuf;

use anyhow::bail;
use app::{Environment, Secret};
use clap::Args;
use ring::rand::SystemRandom;
use secrecy::SecretString;

use crate::auth::tokens::generate_signing_key;

/// Settings of the API gateway.
#[derive(Clone, Debug, Args)]
pub struct ApiConfig {
    /// Address of the API.
    #[arg(long, env = "API_LISTEN", default_value = "127.0.0.1:3000")]
    pub api_listen: String,
    /// Where the auth service is: its keys are fetched there, and log-ins are forwarded to it.
    #[arg(long, env = "AUTH_URL", default_value = "http://127.0.0.1:3005")]
    pub auth_url: String,
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
}

impl AuthConfig {
    /// The signing key as PEM. In development, one that lives as long as the process if none is given.
    ///
    /// # Errors
    /// When it is missing in production, or its file cannot be read.
    pub(crate) fn signing_key(&self, environment: Environment) -> anyhow::Result<SecretString> {
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
