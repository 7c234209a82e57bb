//! The product: the crate `queue`, through nothing but its public interface.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use queue::{
    Handler, Job, JobContext, JobError, NewJob, Outcome, QueueClient, Registry, RetryPolicy, WorkerConfig,
    WorkerHealth, Workers,
};
use tokio_util::sync::CancellationToken;

use super::{Load, Noop, Place};

/// Jobs handed over at once: enough to keep Redis busy, few enough to hold in memory whatever their number.
const BATCH: usize = 5_000;

/// Tasks that encode and send at once. One encodes while the other waits for Redis.
const PRODUCERS: usize = 2;

impl Job for Noop {
    const NAME: &'static str = "noop";
    const QUEUE: &'static str = "noop";
    const RETRY: RetryPolicy = RetryPolicy::exponential(5, Duration::from_secs(1), Duration::from_secs(60));
    const TIMEOUT: Duration = Duration::from_secs(60);

    fn tenant(&self) -> Option<&str> {
        None
    }
}

/// Counts what is done, and ends the work when it is enough.
struct Tally {
    done: AtomicUsize,
    wanted: usize,
    enough: CancellationToken,
}

impl Handler<std::sync::Arc<Tally>> for Noop {
    async fn run(&self, tally: &std::sync::Arc<Tally>, _: &JobContext) -> Result<Outcome, JobError> {
        Noop::run(self);
        if tally.done.fetch_add(1, Ordering::Relaxed) + 1 == tally.wanted {
            tally.enough.cancel();
        }
        Ok(Outcome::Done)
    }
}

/// What came of a call of [`work`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Worked {
    pub(crate) took: Duration,
    /// At least as many as were wanted: others may have been running when the last one ended.
    pub(crate) jobs: usize,
}

/// Enqueues so many jobs.
///
/// # Errors
/// Redis cannot be reached or is not fit to be used.
pub(crate) async fn enqueue(place: &Place, jobs: usize) -> Result<Duration> {
    let client = QueueClient::connect(&place.url, &place.prefix).await?;
    let began = Instant::now();
    let producers = (0..PRODUCERS).map(|producer| {
        let share = jobs / PRODUCERS + usize::from(producer < jobs % PRODUCERS);
        let client = client.clone();
        async move { tokio::spawn(produce(client, share)).await.context("a producer panicked")? }
    });
    try_join_all(producers).await?;
    Ok(began.elapsed())
}

async fn produce(client: QueueClient, share: usize) -> Result<()> {
    let noop = Noop::new();
    let mut left = share;
    while left > 0 {
        let batch = left.min(BATCH);
        let jobs = (0..batch).map(|_| NewJob::of(&noop)).collect::<Result<Vec<_>, _>>()?;
        client.enqueue_many(jobs).await?;
        left -= batch;
    }
    Ok(())
}

/// Works until so many jobs are done and Redis has been told.
///
/// # Errors
/// Redis cannot be reached or is not fit to be used.
pub(crate) async fn work(place: &Place, load: Load) -> Result<Worked> {
    let client = QueueClient::connect(&place.url, &place.prefix).await?;
    let enough = CancellationToken::new();
    let tally = std::sync::Arc::new(Tally { done: AtomicUsize::new(0), wanted: load.jobs, enough: enough.clone() });
    let workers = Workers {
        client,
        registry: Registry::new().register::<Noop>(),
        context: std::sync::Arc::clone(&tally),
        config: WorkerConfig::new("bench").queue(Noop::QUEUE, load.concurrency),
        health: WorkerHealth::default(),
    };
    let began = Instant::now();
    workers.run(enough).await?;
    Ok(Worked { took: began.elapsed(), jobs: tally.done.load(Ordering::Relaxed) })
}
