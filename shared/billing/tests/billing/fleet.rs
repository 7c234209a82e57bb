//! The real workers on a world's queues, and waiting for what they do.

use std::{sync::Arc, time::Duration};

use app::{App, AppConfig, Clock, IdSource, Shutdown};
use clap::Parser;
use queue::WorkerHealth;
use tokio::task::JoinHandle;
use tokio_util::sync::DropGuard;

use crate::world::World;

/// Far beyond what any machine needs.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at what is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    app: AppConfig,
}

/// Workers, running until they are dropped or stopped.
pub(crate) struct Fleet {
    running: JoinHandle<anyhow::Result<()>>,
    stop: DropGuard,
}

impl Fleet {
    pub(crate) fn start(world: &World, queues: &[&str]) -> Self {
        let app = App {
            billing: world.billing.clone(),
            clock: Clock,
            ids: IdSource,
            health: WorkerHealth::default(),
            // Nothing of it is used: the clients are the world's.
            config: Arc::new(Settings::parse_from(["test"]).app),
        };
        let shutdown = Shutdown::new();
        let queues = queues.iter().map(|&queue| queue.to_owned()).collect();
        let running = tokio::spawn(workers::run(app, queues, shutdown.clone()));
        Self { running, stop: shutdown.drop_guard() }
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) async fn kill(self) {
        self.running.abort();
        assert!(self.running.await.is_err_and(|ended| ended.is_cancelled()));
    }

    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.running.await.unwrap().unwrap();
    }
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what}: it does not happen");
}
