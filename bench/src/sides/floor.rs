//! The floor: the least that a queue on Redis can do, written by hand on a stream. It acknowledges and removes what is
//! done, and does nothing else: no leases with renewal, no retries, no delays, no priorities, no tenants.
//!
//! It is meant to be hard to beat: one connection, one round trip per batch, and the next batch is fetched while this
//! one runs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use redis::aio::MultiplexedConnection;

use super::{Load, Noop, Place};

/// Jobs per pipeline when enqueueing, as many as Ratchet puts into a call.
const ENQUEUE_BATCH: usize = 500;

/// Pipelines on their way at once, as many as Ratchet's calls.
const PIPELINES_IN_FLIGHT: usize = 4;

/// Jobs per read. From 100 to 1,000 it makes no difference that could be told from noise.
const READ_BATCH: usize = 500;

const GROUP: &str = "workers";
const CONSUMER: &str = "one";
const FIELD: &str = "job";

/// An id and what was stored.
type Entry = (String, Vec<(String, Vec<u8>)>);

/// What a read answers: for each stream that has any, its entries; nothing at all if none has.
type Read = Option<Vec<(String, Vec<Entry>)>>;

/// Enqueues so many jobs.
///
/// # Errors
/// Redis fails.
pub(crate) async fn enqueue(place: &Place, jobs: usize) -> Result<Duration> {
    let connection = connect(place).await?;
    let stream = name(place);
    let payload = serde_json::to_vec(&Noop::new()).context("encoding a payload")?;
    let began = Instant::now();
    let batches = (0..jobs).step_by(ENQUEUE_BATCH).map(|at| ENQUEUE_BATCH.min(jobs - at));
    stream::iter(batches)
        .map(|batch| add(connection.clone(), (&stream, &payload), batch))
        .buffered(PIPELINES_IN_FLIGHT)
        .try_collect::<()>()
        .await?;
    Ok(began.elapsed())
}

async fn add(mut connection: MultiplexedConnection, (stream, payload): (&str, &[u8]), batch: usize) -> Result<()> {
    let mut pipe = redis::pipe();
    for _ in 0..batch {
        pipe.cmd("XADD").arg(stream).arg("*").arg(FIELD).arg(payload).ignore();
    }
    pipe.exec_async(&mut connection).await.context("adding to the stream")
}

/// Works until so many jobs are done and acknowledged.
///
/// # Errors
/// Redis fails.
pub(crate) async fn work(place: &Place, load: Load) -> Result<Duration> {
    let mut reader = Reader { connection: connect(place).await?, stream: name(place) };
    let began = Instant::now();
    reader.create_group().await?;
    let mut done: Vec<String> = Vec::new();
    let mut batch = reader.exchange(&done).await?;
    let mut left = load.jobs;
    while left > 0 || !done.is_empty() {
        left = left.saturating_sub(batch.len());
        let (ran, next) = tokio::join!(run(batch, load.concurrency), reader.exchange(&done));
        (done, batch) = (ran?, next?);
    }
    Ok(began.elapsed())
}

/// Runs a batch, a task for each job, and returns the ids.
async fn run(batch: Vec<Entry>, concurrency: usize) -> Result<Vec<String>> {
    let running = stream::iter(batch).map(|(id, fields)| async move {
        tokio::spawn(async move { black_box(fields) }).await.context("a handler panicked")?;
        Ok(id)
    });
    running.buffer_unordered(concurrency).try_collect().await
}

struct Reader {
    connection: MultiplexedConnection,
    stream: String,
}

impl Reader {
    /// Makes the group unless it is there.
    async fn create_group(&mut self) -> Result<()> {
        let mut create = redis::cmd("XGROUP");
        create.arg("CREATE").arg(&self.stream).arg(GROUP).arg("0").arg("MKSTREAM");
        match create.exec_async(&mut self.connection).await {
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            made => made.context("creating the group"),
        }
    }

    /// Acknowledges and removes what is done and reads the next batch, in one round trip.
    async fn exchange(&mut self, done: &[String]) -> Result<Vec<Entry>> {
        let mut pipe = redis::pipe();
        if !done.is_empty() {
            pipe.cmd("XACK").arg(&self.stream).arg(GROUP).arg(done).ignore();
            pipe.cmd("XDEL").arg(&self.stream).arg(done).ignore();
        }
        pipe.cmd("XREADGROUP").arg("GROUP").arg(GROUP).arg(CONSUMER);
        pipe.arg("COUNT").arg(READ_BATCH).arg("STREAMS").arg(&self.stream).arg(">");
        let (read,): (Read,) = pipe.query_async(&mut self.connection).await.context("acknowledging and reading")?;
        Ok(read.unwrap_or_default().into_iter().flat_map(|(_, entries)| entries).collect())
    }
}

async fn connect(place: &Place) -> Result<MultiplexedConnection> {
    let client = redis::Client::open(&*place.url).context("reading the Redis URL")?;
    client.get_multiplexed_async_connection().await.context("connecting to Redis")
}

fn name(place: &Place) -> String {
    format!("{}:floor", place.prefix)
}
