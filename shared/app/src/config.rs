//! Configuration: one documented struct, read from the environment (or `*_FILE` for secrets); `--help` is its reference.

use std::{fmt, path::PathBuf, str::FromStr};

use anyhow::{Context as _, bail};
use billing::jobs::queues;
use clap::{Args, ValueEnum};
use gateways::webhook::{Ports, WebhookRules};
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};

/// The gateway key that the sandbox accepts; refused in production.
const SANDBOX_KEY: &str = "sk_test_sandbox";

/// A value that is never printed.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The value itself; keep it out of logs.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// A secret given directly or in a file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(value: Option<&Self>, file: Option<&PathBuf>) -> anyhow::Result<Option<Self>> {
        match (value, file) {
            (Some(value), _) => Ok(Some(value.clone())),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
                Ok(Some(Self(text.trim().to_owned().into())))
            }
            (None, None) => Ok(None),
        }
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        Ok(Self(value.into()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl From<Secret> for SecretString {
    fn from(secret: Secret) -> Self {
        secret.0
    }
}

/// Networks, separated by commas.
#[derive(Clone, Debug, Default)]
pub struct Networks(Vec<IpNet>);

impl FromStr for Networks {
    type Err = ipnet::AddrParseError;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let named = list.split(',').map(str::trim).filter(|network| !network.is_empty());
        named.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

/// Where the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// A laptop: missing secrets get safe stand-ins.
    Development,
    /// Real money: missing or weak secrets refuse to start.
    Production,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object per line.
    Json,
}

/// Settings shared by every role.
#[derive(Clone, Debug, Args)]
pub struct AppConfig {
    /// Where the process runs; production refuses missing or default secrets.
    #[arg(long, env = "RATCHET_ENV", value_enum, default_value = "development")]
    pub environment: Environment,
    /// Redis, which delivers the work; may hold a password.
    #[arg(long, env = "REDIS_URL", default_value = "redis://127.0.0.1:6379", hide_env_values = true)]
    pub redis_url: Secret,
    /// Prefix of every Redis key.
    #[arg(long, env = "REDIS_PREFIX", default_value = "ratchet")]
    pub redis_prefix: String,
    /// Queues that are split into partitions, such as `payments=4,invoices=2`; the same for every role.
    #[arg(long, env = "QUEUE_PARTITIONS", value_delimiter = ',', value_parser = read_partitions)]
    pub queue_partitions: Vec<(String, u32)>,
    /// MongoDB replica set, which holds the truth; may hold a password.
    #[arg(long, env = "MONGODB_URI", default_value = "mongodb://127.0.0.1:27017", hide_env_values = true)]
    pub mongodb_uri: Secret,
    /// Database name.
    #[arg(long, env = "MONGODB_DATABASE", default_value = "ratchet")]
    pub mongodb_database: String,
    /// Mail server, `smtp://` or `smtps://`; may hold a password.
    #[arg(long, env = "SMTP_URL", default_value = "smtp://127.0.0.1:1025", hide_env_values = true)]
    pub smtp_url: Secret,
    /// Sender address of every mail; its domain also ends the Message-IDs.
    #[arg(long, env = "MAIL_FROM", default_value = "billing@ratchet.example")]
    pub mail_from: String,
    /// Where people reach the product, without a slash at the end; begins the links in account mails.
    #[arg(long, env = "PUBLIC_URL", default_value = "http://127.0.0.1:3000")]
    pub public_url: String,
    /// Payment gateway that speaks Stripe's API.
    #[arg(long, env = "STRIPE_BASE_URL", default_value = "http://127.0.0.1:12111")]
    pub stripe_base_url: String,
    /// Secret key of the payment gateway.
    #[arg(long, env = "STRIPE_SECRET_KEY", hide_env_values = true)]
    pub stripe_secret_key: Option<Secret>,
    /// File that holds the secret key of the payment gateway.
    #[arg(long, env = "STRIPE_SECRET_KEY_FILE")]
    pub stripe_secret_key_file: Option<PathBuf>,
    /// Signs what the payment gateway tells us, for tenants that have no account of their own; without it nobody is believed.
    #[arg(long, env = "STRIPE_WEBHOOK_SECRET", hide_env_values = true)]
    pub stripe_webhook_secret: Option<Secret>,
    /// File that holds the secret of the payment gateway's webhooks.
    #[arg(long, env = "STRIPE_WEBHOOK_SECRET_FILE")]
    pub stripe_webhook_secret_file: Option<PathBuf>,
    /// Where a customer goes after it has confirmed a payment, unless its tenant says otherwise.
    #[arg(long, env = "PAYMENT_RETURN_URL", default_value = "https://ratchet.example/payment-confirmed")]
    pub payment_return_url: String,
    /// Networks such as `10.1.0.0/16,10.7.0.0/16` that webhooks may go to although they are not public.
    #[arg(long, env = "WEBHOOK_ALLOWED_NETWORKS", default_value = "")]
    pub webhook_allowed_networks: Networks,
    /// Lets webhooks go to any port, not only to 80, 443, 8080 and 8443.
    #[arg(long, env = "WEBHOOK_ANY_PORT")]
    pub webhook_any_port: bool,
    /// Address of the role's plumbing port: /metrics, /livez, /readyz.
    #[arg(long, env = "METRICS_LISTEN", default_value = "127.0.0.1:9464")]
    pub metrics_listen: String,
    /// How logs are written.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

/// A queue and its number of partitions.
fn read_partitions(text: &str) -> Result<(String, u32), String> {
    let (queue, number) = text.split_once('=').ok_or("expected QUEUE=NUMBER")?;
    if !queues::ALL.contains(&queue) {
        return Err(format!("there is no queue {queue:?}; there are {}", queues::ALL.join(", ")));
    }
    let number = number.parse().map_err(|_| format!("{number:?} is no number of partitions"))?;
    Ok((queue.to_owned(), number))
}

impl AppConfig {
    /// Where webhooks may go.
    #[must_use]
    pub fn webhook_rules(&self) -> WebhookRules {
        let ports = if self.webhook_any_port { Ports::Any } else { Ports::Usual };
        WebhookRules { networks: self.webhook_allowed_networks.0.clone(), ports }
    }

    /// The secret of the gateway's webhooks.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn stripe_webhook_secret(&self) -> anyhow::Result<Option<Secret>> {
        Secret::read(self.stripe_webhook_secret.as_ref(), self.stripe_webhook_secret_file.as_ref())
    }

    /// The gateway's secret key.
    ///
    /// # Errors
    /// When it is missing in production, or its file cannot be read.
    pub fn stripe_secret_key(&self) -> anyhow::Result<Secret> {
        let key = Secret::read(self.stripe_secret_key.as_ref(), self.stripe_secret_key_file.as_ref())?;
        match (key, self.environment) {
            (Some(key), Environment::Production) if key.expose() == SANDBOX_KEY => {
                bail!("STRIPE_SECRET_KEY is the sandbox's: refused in production")
            }
            (Some(key), _) => Ok(key),
            (None, Environment::Development) => Ok(Secret(SANDBOX_KEY.into())),
            (None, Environment::Production) => {
                bail!("STRIPE_SECRET_KEY or STRIPE_SECRET_KEY_FILE is required in production")
            }
        }
    }
}
