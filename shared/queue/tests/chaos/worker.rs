//! A worker process: what its jobs do, and what they write down in the undisturbed Redis.
//!
//! **Invariant:** an effect happens once, by compare-and-set; runs are counted beside it. The process ends with its
//! standard input, so none outlives its conductor.

use std::io::BufRead;
use std::time::Duration;

use queue::{Handler, JobContext, JobError, Outcome, QueueClient, Registry, WorkerConfig, WorkerHealth, Workers};
use redis::aio::MultiplexedConnection;
use tokio_util::sync::CancellationToken;

use crate::plan::{Deed, Doomed, Held, QUEUE, Task};
use crate::server::PREFIX;

/// The first argument of a worker process; two addresses follow.
pub(crate) const MODE: &str = "work-through-chaos";

/// What the conductor writes to have a worker stop in order.
pub(crate) const STOP: &str = "stop";

/// The lease of all workers: short, so that much is taken back.
pub(crate) const LEASE: Duration = Duration::from_millis(900);

const CONCURRENCY: usize = 8;

/// How long running jobs may go on: longer than any does.
const GRACE: Duration = Duration::from_secs(10);

/// Between two attempts to connect while Redis is away.
const CONNECT_PAUSE: Duration = Duration::from_millis(50);

/// Hash of number -> who did it.
pub(crate) const EFFECTS: &str = "effects";
/// Hash of number -> runs begun.
pub(crate) const RUNS: &str = "runs";
/// Hash of `<number>:<id>:<attempt>` -> runs begun.
pub(crate) const ATTEMPTS: &str = "attempts";
/// Hash of number -> naps taken.
const NAPS: &str = "naps";

/// Where effects are kept.
#[derive(Clone)]
struct Records {
    connection: MultiplexedConnection,
}

/// Works until its standard input says stop or ends.
pub(crate) fn main(redis: &str, records: &str) {
    let stop = CancellationToken::new();
    let asked = stop.clone();
    std::thread::spawn(move || {
        let line = std::io::stdin().lock().lines().next();
        match line {
            Some(Ok(line)) if line == STOP => asked.cancel(),
            // The conductor is gone.
            _ => std::process::abort(),
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let connection = redis::Client::open(records).unwrap().get_multiplexed_async_connection().await.unwrap();
        let Some(client) = stop.run_until_cancelled(connect(redis)).await else { return };
        let workers = Workers {
            client,
            registry: Registry::new().register::<Task>().register::<Doomed>().register::<Held>(),
            context: Records { connection },
            config: WorkerConfig::new("chaos").queue(QUEUE, CONCURRENCY).lease(LEASE).grace(GRACE),
            health: WorkerHealth::default(),
        };
        workers.run(stop.clone()).await.unwrap();
    });
}

async fn connect(url: &str) -> QueueClient {
    loop {
        if let Ok(client) = QueueClient::connect(url, PREFIX).await {
            return client;
        }
        tokio::time::sleep(CONNECT_PAUSE).await;
    }
}

impl Records {
    /// A run begins.
    async fn begin(&self, number: u32, job: &JobContext) {
        let mut connection = self.connection.clone();
        let attempt = format!("{number}:{}:{}", job.id, job.attempt);
        let mut pipe = redis::pipe();
        pipe.atomic().hincr(RUNS, number, 1).ignore().hincr(ATTEMPTS, attempt, 1).ignore();
        pipe.exec_async(&mut connection).await.unwrap();
    }

    /// The effect, unless it has happened.
    async fn effect(&self, number: u32, job: &JobContext) -> Outcome {
        let mut set = redis::cmd("HSETNX");
        set.arg(EFFECTS).arg(number).arg(format!("{}:{}", job.id, job.attempt));
        set.exec_async(&mut self.connection.clone()).await.unwrap();
        Outcome::Done
    }

    /// Whether it is the first of its job.
    async fn is_first_nap(&self, number: u32) -> bool {
        let mut count = redis::cmd("HINCRBY");
        let naps: u32 = count.arg(NAPS).arg(number).arg(1).query_async(&mut self.connection.clone()).await.unwrap();
        naps == 1
    }
}

impl Handler<Records> for Task {
    async fn run(&self, records: &Records, job: &JobContext) -> Result<Outcome, JobError> {
        records.begin(self.number, job).await;
        match self.deed {
            Deed::Quick | Deed::Unique(_) | Deed::Later => {}
            Deed::Slow(ms) | Deed::Limited(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Deed::Stumble(times) if job.attempt <= times => return Err(JobError::retry("stumbled", "once more")),
            Deed::Nap(ms) if records.is_first_nap(self.number).await => {
                return Ok(Outcome::Snooze(Duration::from_millis(ms)));
            }
            Deed::Stumble(_) | Deed::Nap(_) => {}
            Deed::Kill if job.attempt == 1 => std::process::abort(),
            Deed::Kill => {}
            Deed::Fatal => return Err(JobError::fatal("hopeless", "will never work")),
        }
        Ok(records.effect(self.number, job).await)
    }
}

impl Handler<Records> for Doomed {
    async fn run(&self, records: &Records, job: &JobContext) -> Result<Outcome, JobError> {
        records.begin(self.number, job).await;
        Err(JobError::retry("not_yet", "did not work"))
    }
}

impl Handler<Records> for Held {
    async fn run(&self, records: &Records, job: &JobContext) -> Result<Outcome, JobError> {
        records.begin(self.number, job).await;
        Ok(records.effect(self.number, job).await)
    }
}
