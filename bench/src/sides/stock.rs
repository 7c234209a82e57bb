//! The stock side: apalis-redis 1.0.0, with the settings that make it fastest while it still acknowledges its jobs.
//!
//! - Batches instead of ten jobs at a time, for reading ([`BATCH`]) and for pushing ([`PUSH_BATCH`]).
//! - No task locks: a round trip per job that its documentation advises against for short jobs.
//! - No events on pub/sub, to which nobody listens here.
//! - Results are persisted, because without that a job is never acknowledged.
//! - Handlers run as tasks of the runtime (`parallelize`), so that they use all threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use apalis::layers::WorkerBuilderExt;
use apalis_core::backend::TaskSink;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use apalis_core::worker::ext::parallelize::ParallelizeExt;
use apalis_redis::{Config, RedisStorage};
use redis::Script;

use super::{Load, Noop, Place};

/// Jobs per read. From 100 to 1,000 it makes no difference that could be told from noise.
const BATCH: usize = 500;

/// Jobs per push; likewise.
const PUSH_BATCH: usize = 500;

/// Jobs per step of [`promote`]; its own way of doing it breaks at 8,000.
const PROMOTE_BATCH: usize = 5_000;

/// Enqueues so many jobs.
///
/// # Errors
/// Redis fails.
pub(crate) async fn enqueue(place: &Place, jobs: usize) -> Result<Duration> {
    let mut storage = storage(place).await?;
    let noop = Noop::new();
    let began = Instant::now();
    let mut left = jobs;
    while left > 0 {
        let batch = left.min(PUSH_BATCH);
        storage.push_bulk(vec![noop.clone(); batch]).await.context("pushing to apalis-redis")?;
        left -= batch;
    }
    Ok(began.elapsed())
}

/// Moves pushed jobs to the list that workers read. Every push goes through the set of scheduled jobs, and a worker
/// that finds 8,000 or more due in it fails for good (`unpack` in its Lua); this spares it that, and the time.
///
/// # Errors
/// Redis fails.
pub(crate) async fn promote(place: &Place) -> Result<()> {
    let config = config(place);
    let script = Script::new(
        "local popped = redis.call('ZPOPMIN', KEYS[1], ARGV[1])
         for at = 1, #popped, 2 do redis.call('RPUSH', KEYS[2], popped[at]) end
         return #popped",
    );
    let mut connection = apalis_redis::connect(&*place.url).await.context("connecting to Redis")?;
    let mut step = script.key(config.scheduled_jobs_set());
    step.key(config.active_jobs_list()).arg(PROMOTE_BATCH);
    while step.invoke_async::<usize>(&mut connection).await.context("moving scheduled jobs")? > 0 {}
    Ok(())
}

/// Works until so many jobs are done and acknowledged.
///
/// # Errors
/// Redis fails, or the worker does.
pub(crate) async fn work(place: &Place, load: Load) -> Result<Duration> {
    let backend = storage(place).await?;
    let done = Arc::new(AtomicUsize::new(0));
    let handler = move |job: Noop, worker: WorkerContext| {
        let done = Arc::clone(&done);
        async move {
            job.run();
            if done.fetch_add(1, Ordering::Relaxed) + 1 == load.jobs {
                worker.stop()?;
            }
            Ok::<(), apalis_core::error::WorkerError>(())
        }
    };
    // A name that was seen within the last minutes is taken for a worker that is still there.
    static STARTS: AtomicUsize = AtomicUsize::new(0);
    let name = format!("bench-{}", STARTS.fetch_add(1, Ordering::Relaxed));
    let worker = WorkerBuilder::new(name)
        .backend(backend)
        .concurrency(load.concurrency)
        .parallelize(tokio::spawn)
        .build(handler);
    let began = Instant::now();
    worker.run().await.context("working with apalis-redis")?;
    Ok(began.elapsed())
}

async fn storage(place: &Place) -> Result<RedisStorage<Noop>> {
    let connection = apalis_redis::connect(&*place.url).await.context("connecting to Redis")?;
    Ok(RedisStorage::new(connection).with_config(config(place)))
}

fn config(place: &Place) -> Config {
    Config::default()
        .queue(format!("{}:stock", place.prefix))
        .batch_size(BATCH)
        .lock_tasks(false)
        .emit_events(false)
        .persist_results(true)
}
