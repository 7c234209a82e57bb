//! The producer's side: [`QueueClient`] connects, enqueues and counts.
//!
//! Owns no delivery (that is `driver`). Dead letters have their own module.
//!
//! **Invariant:** a connected client has seen that Redis keeps what it is given: version and eviction
//! policy are checked before anything is enqueued.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use futures::{StreamExt, TryStreamExt, stream};
use redis::Script;

use crate::connection::Connection;
use crate::error::QueueError;
use crate::keys::{Keys, QueueKeys};
use crate::measure;
use crate::new_job::{Enqueued, NewJob};
use crate::partition::Partitions;
use crate::suitable;

/// Jobs per script call: some milliseconds of Redis's time, and well below Lua's limit on `unpack`.
const JOBS_PER_CALL: usize = 500;

/// Calls on their way at once; more would only wait in Redis's input buffer.
const CALLS_IN_FLIGHT: usize = 4;

static ENQUEUE: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!("#!lua\n", include_str!("lua/lines.lua"), include_str!("lua/enqueue.lua"))));

/// A script, so that all counts are of one moment, and also when memory is full.
static DEPTH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        "#!lua flags=no-writes,allow-oom\n",
        include_str!("lua/lines.lua"),
        include_str!("lua/depth.lua")
    ))
});

/// A connection to the queues under one key prefix. Cheap to clone; reconnects by itself.
#[derive(Clone)]
pub struct QueueClient {
    pub(crate) connection: Connection,
    pub(crate) keys: Arc<Keys>,
    pub(crate) partitions: Arc<Partitions>,
}

/// How many jobs a queue holds, by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Due and waiting for a worker.
    pub ready: u64,
    /// Due, and held back by a limit or because their type is paused.
    pub limited: u64,
    /// Waiting for their time: delayed, snoozed or between attempts. Includes what became due while
    /// no worker had room.
    pub scheduled: u64,
    /// Held by a worker under a lease.
    pub running: u64,
    /// Dead letters.
    pub dead: u64,
}

impl QueueClient {
    /// Connects to `url`. All keys start with `prefix` (letters, digits, `_ - . :`), so that several
    /// installations or tests can share a Redis.
    ///
    /// - `redis://[user:password@]host:port[/db]`, `rediss://` with TLS, `unix:///path`: one server, or any node of
    ///   a cluster, which says so.
    /// - `redis://host:port,host:port`: several nodes of a cluster, any of which may be down. Full URLs and
    ///   `redis+cluster://` are fine as well.
    ///
    /// A certificate must be signed by an authority that the system trusts, or one in the file that the environment
    /// variable `SSL_CERT_FILE` names.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`] if Redis cannot be reached, [`QueueError::Unsuitable`] if it is too
    /// old or its `maxmemory-policy` may evict jobs (in a cluster: of any primary), [`QueueError::Invalid`] for the
    /// prefix or the URL.
    pub async fn connect(url: &str, prefix: &str) -> Result<Self, QueueError> {
        let keys = Arc::new(Keys::new(prefix)?);
        let connection = Connection::to(url)?;
        suitable::check(&connection).await?;
        let mut client = Self { connection, keys, partitions: Arc::default() };
        client.partitions = Arc::new(client.remembered_partitions().await?);
        Ok(client)
    }

    /// Whether Redis answers.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`] if it does not.
    pub async fn ping(&self) -> Result<(), QueueError> {
        redis::cmd("PING").exec_async(&mut self.connection.clone()).await.map_err(QueueError::redis("pinging"))
    }

    /// Enqueues one job.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`]; the job may or may not have been added.
    pub async fn enqueue(&self, job: NewJob) -> Result<Enqueued, QueueError> {
        let mut results = self.enqueue_many(vec![job]).await?;
        Ok(results.pop().unwrap_or(Enqueued::Added))
    }

    /// Enqueues any number of jobs, of any queues, in chunks; answers in the order given.
    ///
    /// Jobs of one queue and priority are delivered in that order. It is not one transaction: after an
    /// error any part of the jobs may have been added.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn enqueue_many(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, QueueError> {
        let mut by_queue: BTreeMap<Cow<'static, str>, Vec<usize>> = BTreeMap::new();
        for (index, job) in jobs.iter().enumerate() {
            by_queue.entry(self.partition_for(job)).or_default().push(index);
        }
        // The first call of each queue goes ahead of the rest: where the script has to be loaded first, calls under way
        // together would overtake each other.
        let (mut first, mut rest) = (Vec::new(), Vec::new());
        for (queue, indexes) in &by_queue {
            for (number, chunk) in indexes.chunks(JOBS_PER_CALL).enumerate() {
                let calls = if number == 0 { &mut first } else { &mut rest };
                calls.push(self.enqueue_chunk(queue, chunk, &jobs));
            }
        }
        let mut duplicates: Vec<Vec<usize>> = Vec::new();
        for calls in [first, rest] {
            let answers: Vec<_> = stream::iter(calls).buffered(CALLS_IN_FLIGHT).try_collect().await?;
            duplicates.extend(answers);
        }
        let mut results = vec![Enqueued::Added; jobs.len()];
        for index in duplicates.into_iter().flatten() {
            results[index] = Enqueued::Duplicate;
        }
        for (job, result) in jobs.iter().zip(&results) {
            measure::enqueued(job, *result);
        }
        Ok(results)
    }

    /// Enqueues the jobs at the given indexes, all of one queue; answers with the duplicates' indexes.
    async fn enqueue_chunk(&self, queue: &str, chunk: &[usize], jobs: &[NewJob]) -> Result<Vec<usize>, QueueError> {
        let keys = self.keys.queue(queue);
        let mut call = ENQUEUE.prepare_invoke();
        call.key(&keys.base);
        for run in chunk.chunk_by(|&one, &next| jobs[one].is_like(&jobs[next])) {
            jobs[run[0]].write_kind(&mut call, run.len());
            for &index in run {
                jobs[index].write(&mut call);
            }
        }
        let duplicates: Vec<usize> =
            call.invoke_async(&mut self.connection.clone()).await.map_err(QueueError::redis("enqueueing"))?;
        Ok(duplicates.into_iter().map(|at| chunk[at]).collect())
    }

    /// How many jobs a queue holds.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn depth(&self, queue: &str) -> Result<Depth, QueueError> {
        let keys: Arc<QueueKeys> = self.keys.queue(queue);
        let (ready, limited, scheduled, running, dead): (u64, u64, u64, u64, u64) = DEPTH
            .key(&keys.base)
            .invoke_async(&mut self.connection.clone())
            .await
            .map_err(QueueError::redis("counting jobs"))?;
        Ok(Depth { ready, limited, scheduled, running, dead })
    }

    /// The id that lives beside the queues and is lost with them: where it is missing or not the one
    /// remembered elsewhere, Redis has lost its jobs.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn generation(&self) -> Result<Option<String>, QueueError> {
        redis::cmd("GET")
            .arg(self.keys.generation())
            .query_async(&mut self.connection.clone())
            .await
            .map_err(QueueError::redis("reading the generation"))
    }

    /// Sets the id answered by [`QueueClient::generation`].
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn set_generation(&self, id: &str) -> Result<(), QueueError> {
        redis::cmd("SET")
            .arg(self.keys.generation())
            .arg(id)
            .exec_async(&mut self.connection.clone())
            .await
            .map_err(QueueError::redis("setting the generation"))
    }
}
