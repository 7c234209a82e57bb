//! Dead letters as an operator sees them: list, look at, and requeue.
//!
//! Jobs get here in the driver's turn (exhausted, fatal, undecodable). Nothing here or there trims them.

use std::sync::LazyLock;

use redis::Script;

use crate::client::QueueClient;
use crate::entry::{Entry, Failure};
use crate::error::QueueError;
use crate::keys::QueueKeys;

/// Most dead letters one call reads: each may carry a full payload.
const MAX_PAGE: usize = 1_000;

static REQUEUE: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!("#!lua\n", include_str!("lua/lines.lua"), include_str!("lua/requeue.lua"))));

/// A job that will not run again unless someone requeues it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The job's id; `malformed-...` for bytes that never were a job of ours.
    pub id: String,
    /// The queue it died on.
    pub queue: String,
    /// When, by Redis's clock, in milliseconds since 1970.
    pub died_at_ms: i64,
    /// Its wire name; empty if malformed.
    pub job: String,
    /// Its tenant.
    pub tenant: Option<String>,
    /// How many attempts began.
    pub attempts: u32,
    /// The payload as JSON; for a malformed entry everything that was found.
    pub payload: String,
    /// What went wrong, oldest first; the last one is the cause of death. Empty if malformed.
    pub history: Vec<Failure>,
}

/// What became of a request to requeue a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requeued {
    /// It waits in its queue again, with all attempts ahead of it.
    Requeued,
    /// There is no such dead letter.
    Missing,
    /// Other work holds its unique key; it was left where it is.
    Duplicate,
    /// It is not a job and cannot run; it was left where it is.
    Malformed,
}

impl QueueClient {
    /// The dead letters of a queue, latest first, at most `limit` (itself at most 1,000).
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn dead_letters(&self, queue: &str, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let keys = self.keys.queue(queue);
        let limit = limit.min(MAX_PAGE);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let index: Vec<(String, i64)> = redis::cmd("ZREVRANGE")
            .arg(&keys.dead)
            .arg(0)
            .arg(limit - 1)
            .arg("WITHSCORES")
            .query_async(&mut self.connection.clone())
            .await
            .map_err(QueueError::redis("listing dead letters"))?;
        if index.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<&str> = index.iter().map(|(id, _)| id.as_str()).collect();
        let entries = self.dead_entries(&keys, &ids).await?;
        let letters = index.iter().zip(entries).filter_map(|((id, at), entry)| {
            // Requeued between the two reads: no dead letter any more.
            entry.map(|entry| DeadLetter::read(queue, (id, *at), &entry))
        });
        Ok(letters.collect())
    }

    /// One dead letter.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn dead_letter(&self, queue: &str, id: &str) -> Result<Option<DeadLetter>, QueueError> {
        let keys = self.keys.queue(queue);
        let (entry, at): (Option<Vec<u8>>, Option<i64>) = redis::pipe()
            .hget(&keys.jobs, id)
            .zscore(&keys.dead, id)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(QueueError::redis("reading a dead letter"))?;
        Ok(entry.zip(at).map(|(entry, at)| DeadLetter::read(queue, (id, at), &entry)))
    }

    /// Puts a dead letter back into its queue.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn requeue_dead(&self, queue: &str, id: &str) -> Result<Requeued, QueueError> {
        let keys = self.keys.queue(queue);
        let answer: String = REQUEUE
            .key(&keys.base)
            .arg(id)
            .invoke_async(&mut self.connection.clone())
            .await
            .map_err(QueueError::redis("requeueing a dead letter"))?;
        Ok(match answer.as_str() {
            "requeued" => Requeued::Requeued,
            "duplicate" => Requeued::Duplicate,
            "malformed" => Requeued::Malformed,
            _ => Requeued::Missing,
        })
    }

    async fn dead_entries(&self, keys: &QueueKeys, ids: &[&str]) -> Result<Vec<Option<Vec<u8>>>, QueueError> {
        redis::cmd("HMGET")
            .arg(&keys.jobs)
            .arg(ids)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(QueueError::redis("reading dead letters"))
    }
}

impl DeadLetter {
    fn read(queue: &str, (id, died_at_ms): (&str, i64), entry: &[u8]) -> Self {
        let text = String::from_utf8_lossy(entry);
        let mut letter = Self {
            id: id.to_owned(),
            queue: queue.to_owned(),
            died_at_ms,
            job: String::new(),
            tenant: None,
            attempts: 0,
            payload: String::new(),
            history: Vec::new(),
        };
        match Entry::parse(&text) {
            Ok(entry) => {
                letter.job = entry.job;
                letter.tenant = entry.tenant;
                letter.attempts = entry.spent;
                letter.payload = entry.payload;
                let notes = entry.history.iter();
                letter.history = notes.filter_map(|note| serde_json::from_str(note).ok()).collect();
            }
            Err(_) => letter.payload = text.into_owned(),
        }
        letter
    }
}
