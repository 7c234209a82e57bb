//! What every role needs, built once: configuration, telemetry, clients, the clock, shutdown and the plumbing port.
//!
//! Roles (`api`, `workers`, `scheduler`) are libraries that take an [`App`] and a shutdown token; the binary composes them.

mod clock;
mod config;
mod ids;
mod plumbing;
mod shutdown;
mod telemetry;

use std::sync::Arc;

use anyhow::Context as _;
use billing::Billing;
use gateways::{
    mail::SmtpMailer,
    payment::{PaymentGateways, StripeGateway},
    webhook::WebhookSender,
};
use queue::{QueueClient, WorkerHealth};
use store::{Store, StoreConfig};

pub use clock::Clock;
pub use config::{AppConfig, Environment, LogFormat, Networks, Secret};
pub use ids::IdSource;
pub use plumbing::serve_plumbing;
pub use shutdown::{Shutdown, follow_stdin, on_signal};
pub use telemetry::{MetricsHandle, init as init_telemetry, init_tls};

/// The running application's components; cheap to clone.
#[derive(Clone)]
pub struct App {
    /// Use cases and what they work with.
    pub billing: Billing,
    /// The one wall clock.
    pub clock: Clock,
    /// The one source of random ids.
    pub ids: IdSource,
    /// How the workers of this process fare; healthy where there are none.
    pub health: WorkerHealth,
    /// What the app was built from.
    pub config: Arc<AppConfig>,
}

impl App {
    /// Connects to MongoDB and Redis and prepares gateway and mail.
    ///
    /// # Errors
    /// A component that is misconfigured or refuses the connection, named.
    pub async fn connect(config: AppConfig) -> anyhow::Result<Self> {
        let store = Store::connect(&StoreConfig {
            uri: config.mongodb_uri.expose().to_owned(),
            database: config.mongodb_database.clone(),
        })
        .await
        .context("MONGODB_URI")?;
        store.ping().await.context("MongoDB does not answer (MONGODB_URI)")?;
        let queue = QueueClient::connect(config.redis_url.expose(), &config.redis_prefix)
            .await
            .context("Redis does not answer (REDIS_URL)")?
            .with_partitions(config.queue_partitions.iter().cloned())
            .await
            .context("QUEUE_PARTITIONS")?;
        let gateway = StripeGateway::new(&config.stripe_base_url, config.stripe_secret_key()?.into())
            .context("STRIPE_BASE_URL, STRIPE_SECRET_KEY")?
            .with_return_url(config.payment_return_url.clone());
        let payments = PaymentGateways::new(gateway);
        let mailer = SmtpMailer::connect(config.smtp_url.expose()).context("SMTP_URL")?;
        let webhooks =
            WebhookSender::new(config.webhook_rules()).context("WEBHOOK_ALLOWED_NETWORKS, WEBHOOK_ANY_PORT")?;
        let mail_from = config.mail_from.clone();
        let billing = Billing { store, queue, payments, mailer, webhooks, mail_from, request_id: None };
        let health = WorkerHealth::default();
        Ok(Self { billing, clock: Clock, ids: IdSource, health, config: Arc::new(config) })
    }
}
