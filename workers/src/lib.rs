//! The fleet: one handler file per job of the catalogue, each a thin caller of a use case.
//!
//! Decides nothing and stores nothing; `ratchet worker` is this crate with a choice of queues.

mod context;
mod handlers;

use std::time::Duration;

use app::{App, Shutdown};
use billing::jobs::{self, queues};
use queue::{WorkerConfig, Workers};

use context::Context;

/// How long running jobs may take to finish after a shutdown was asked for; what has not finished is released and runs again
/// elsewhere. Below the 30 s that orchestrators grant.
const GRACE: Duration = Duration::from_secs(20);

/// Jobs of a queue that one process runs at once, chosen by what they wait for.
const fn concurrency(queue: &str) -> usize {
    match queue.as_bytes() {
        // Passes of one tenant take turns at its invoice counter: more at once only abort each other.
        b"invoices" => 2,
        // Wait for gateway and mail server; each job has many calls under way itself.
        b"payments" | b"notifications" => 8,
        // One call each, to an endpoint that may be slow: more than all endpoints of a tenant have under way at once.
        b"webhooks" => 64,
        _ => 4,
    }
}

/// Runs the workers of the chosen queues until shutdown. Whether they get at the work that waits is told by the app's
/// `health`.
///
/// # Errors
/// When Redis is not configured for queues, or cannot be reached at the start.
pub async fn run(app: App, queues: Vec<String>, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut config = WorkerConfig::new("worker").grace(GRACE);
    for queue in queues {
        let slots = concurrency(&queue);
        config = config.queue(queue, slots);
    }
    let (client, health) = (app.billing.queue.clone(), app.health.clone());
    Ok(Workers { client, registry: jobs::registry(), context: Context { app }, config, health }.run(shutdown).await?)
}

/// The wire names of all jobs that can be run, sorted.
#[must_use]
pub fn job_names() -> Vec<&'static str> {
    jobs::registry::<Context>().names()
}

/// Every queue there is.
#[must_use]
pub fn all_queues() -> Vec<String> {
    queues::ALL.map(ToOwned::to_owned).to_vec()
}
