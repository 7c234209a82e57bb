//! What the operators' commands have in common: the way to the queues, who acts, and which queues there are.
//!
//! These commands speak to Redis alone and to all tenants' work at once: whoever can reach Redis may run them. What they
//! do to dead letters gets into the database with the scheduler's next look at the queues' journals.

use anyhow::{Context as _, anyhow};
use app::Secret;
use billing::jobs::queues;
use clap::Args;
use queue::QueueClient;
use store::{Store, StoreConfig};

/// Where the queues are.
#[derive(Clone, Debug, Args)]
pub(crate) struct RedisArgs {
    /// Redis, which delivers the work; may hold a password.
    #[arg(long, global = true, env = "REDIS_URL", default_value = "redis://127.0.0.1:6379", hide_env_values = true)]
    redis_url: Secret,
    /// Prefix of every Redis key.
    #[arg(long, global = true, env = "REDIS_PREFIX", default_value = "ratchet")]
    redis_prefix: String,
}

/// Where the truth is.
#[derive(Clone, Debug, Args)]
pub(crate) struct DatabaseArgs {
    /// MongoDB replica set, which holds the truth; may hold a password.
    #[arg(
        long,
        global = true,
        env = "MONGODB_URI",
        default_value = "mongodb://127.0.0.1:27017",
        hide_env_values = true
    )]
    mongodb_uri: Secret,
    /// Database name.
    #[arg(long, global = true, env = "MONGODB_DATABASE", default_value = "ratchet")]
    mongodb_database: String,
}

impl DatabaseArgs {
    /// Connects.
    ///
    /// # Errors
    /// MongoDB does not answer.
    pub(crate) async fn connect(&self) -> anyhow::Result<Store> {
        app::init_tls();
        let (uri, database) = (self.mongodb_uri.expose().to_owned(), self.mongodb_database.clone());
        let store = Store::connect(&StoreConfig { uri, database }).await.context("MONGODB_URI")?;
        store.ping().await.context("MongoDB does not answer (MONGODB_URI)")?;
        Ok(store)
    }
}

/// Who acts, and why.
#[derive(Clone, Debug, Args)]
pub(crate) struct ByArgs {
    /// Why, for those who come after you.
    #[arg(long)]
    pub reason: String,
    /// Who does it.
    #[arg(long, env = "USER", default_value = "operator")]
    pub by: String,
}

impl RedisArgs {
    /// Connects.
    ///
    /// # Errors
    /// Redis does not answer, or cannot carry queues.
    pub(crate) async fn connect(&self) -> anyhow::Result<QueueClient> {
        let connecting = QueueClient::connect(self.redis_url.expose(), &self.redis_prefix);
        connecting.await.context("Redis does not answer (REDIS_URL)")
    }
}

/// A queue's name, for the command line.
///
/// # Errors
/// There is no such queue.
pub(crate) fn queue_name(name: &str) -> anyhow::Result<String> {
    let known = queues::ALL.into_iter().find(|queue| *queue == name);
    let unknown = || anyhow!("there is no such queue; there are {}", queues::ALL.join(", "));
    known.map(str::to_owned).ok_or_else(unknown)
}

/// A job's id as the queue knows it, of one that people have seen.
pub(crate) fn bare(id: &str) -> &str {
    id.strip_prefix(api::shown::JOB_PREFIX).unwrap_or(id)
}
