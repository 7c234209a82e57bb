//! The plumbing port of every role: `/metrics`, `/livez`, `/readyz`.
//!
//! `/metrics` reads the queues when it is asked, so that their gauges are of this moment. `/readyz` says no when a
//! component does not answer, and when this process's workers do not get at the work that waits.

use std::time::Duration;

use axum::{Router, extract::State, http::StatusCode, routing::get};
use billing::jobs::queues;
use tokio::net::TcpListener;
use tracing::warn;

use crate::{App, MetricsHandle, Shutdown};

const UPKEEP_EVERY: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Plumbing {
    app: App,
    metrics: MetricsHandle,
    shutdown: Shutdown,
}

/// Serves the plumbing port until shutdown.
///
/// # Errors
/// When the listener fails.
pub async fn serve_plumbing(
    listener: TcpListener,
    app: App,
    metrics: MetricsHandle,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let plumbing = Plumbing { app, metrics, shutdown: shutdown.clone() };
    let upkeep = tokio::spawn(keep_up(plumbing.metrics.clone()));
    let router = Router::new()
        .route("/metrics", get(scrape))
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(ready))
        .with_state(plumbing);
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await?;
    upkeep.abort();
    Ok(())
}

/// Folds recorded samples together now and then, so that a role that nobody scrapes does not keep them all.
async fn keep_up(metrics: MetricsHandle) {
    let mut interval = tokio::time::interval(UPKEEP_EVERY);
    loop {
        interval.tick().await;
        metrics.run_upkeep();
    }
}

async fn scrape(State(plumbing): State<Plumbing>) -> String {
    let client = &plumbing.app.billing.queue;
    if let Err(error) = client.export(&queues::partitions(client, None)).await {
        // What this process has counted is told all the same, and that the queues could not be read.
        warn!(%error, "the queues' gauges are not of this moment");
    }
    plumbing.metrics.render()
}

async fn ready(State(plumbing): State<Plumbing>) -> (StatusCode, String) {
    if plumbing.shutdown.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down".to_owned());
    }
    if let Err(component) = plumbing.app.check().await {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{component} does not answer"));
    }
    match plumbing.app.health.check() {
        Ok(()) => (StatusCode::OK, "ok".to_owned()),
        Err(unhealthy) => (StatusCode::SERVICE_UNAVAILABLE, format!("worker: {unhealthy}")),
    }
}

impl App {
    /// Whether database and queue answer.
    ///
    /// # Errors
    /// The name of the one that does not.
    pub async fn check(&self) -> Result<(), &'static str> {
        self.billing.store.ping().await.map_err(|_| "database")?;
        self.billing.queue.ping().await.map_err(|_| "queue")
    }
}
