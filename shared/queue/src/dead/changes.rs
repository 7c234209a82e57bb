//! The journal of dead letters, for a mirror outside of Redis: [`QueueClient::dead_changes`].
//!
//! Each death, requeue, discard and edit is a line in a stream, written in the step that makes it true. It is read, applied
//! elsewhere, and only then forgotten. Several readers do no harm: all see the same lines, forgetting twice is
//! forgetting once.
//!
//! Nobody else trims the journal: while no mirror reads it, it grows by some hundred bytes a change, as the letters
//! themselves do. When all of it is forgotten the empty stream stays, because it remembers its last id: ids never go
//! back, also when Redis's clock does.

use std::collections::HashMap;

use redis::{ErrorKind, RedisError};

use super::acts::By;
use super::letter::StoredDeadLetter;
use super::{Extent, Row};
use crate::client::QueueClient;
use crate::error::QueueError;
use crate::keys::QueueKeys;

/// Most changes told of at a time.
const MAX_CHANGES: usize = 1_000;

/// Changes whose letters are read at a time.
const CHUNK: usize = 50;

/// No more letters are read past this, so that what is told of fits into memory a few times over.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Changes forgotten in a call.
const FORGET_CHUNK: usize = 500;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadChange {
    /// Its id in the journal, `<ms>-<number>`: growing, never used twice.
    pub change_id: String,
    /// The letter's id.
    pub id: String,
    /// What happened.
    pub what: DeadChangeKind,
    /// Who did it and why; nobody makes a job die.
    pub by: Option<By>,
    /// When, by Redis's clock, in milliseconds since 1970.
    pub at_ms: i64,
    /// The letter as it is now, which may be later than this change; nothing if it is dead no more.
    pub letter: Option<StoredDeadLetter>,
}

/// What happened to a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadChangeKind {
    /// It became one.
    Died,
    /// It is back at work.
    Requeued,
    /// It is given up for good.
    Discarded,
    /// It has another payload.
    Edited,
}

/// A line as the stream tells it: id, fields.
type Entry = (String, HashMap<String, String>);

impl QueueClient {
    /// The oldest changes of a queue's dead letters that nobody has forgotten, oldest first: at most `limit`, itself at
    /// most 1,000; fewer where the letters are large. None only if there are none.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn dead_changes(&self, queue: &str, limit: usize) -> Result<Vec<DeadChange>, QueueError> {
        let keys = self.keys.queue(queue);
        let entries: Vec<Entry> = redis::cmd("XRANGE")
            .arg(keys.part("dead:changes"))
            .arg("-")
            .arg("+")
            .arg("COUNT")
            .arg(limit.min(MAX_CHANGES))
            .query_async(&mut self.connection.clone())
            .await
            .map_err(QueueError::redis("reading the journal of dead letters"))?;
        let mut changes: Vec<DeadChange> = Vec::with_capacity(entries.len());
        let mut bytes = 0;
        for chunk in entries.chunks(CHUNK) {
            for change in self.with_letters(&keys, chunk).await? {
                bytes += change.letter.as_ref().map_or(0, |letter| letter.entry.len());
                changes.push(change);
            }
            if bytes >= MAX_BYTES {
                break;
            }
        }
        Ok(changes)
    }

    /// Drops changes from the journal. Those that are not in it any more do no harm.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`]; any part of them may have been dropped.
    pub async fn forget_dead_changes(&self, queue: &str, change_ids: &[String]) -> Result<(), QueueError> {
        let journal = self.keys.queue(queue).part("dead:changes");
        for chunk in change_ids.chunks(FORGET_CHUNK) {
            redis::cmd("XDEL")
                .arg(&journal)
                .arg(chunk)
                .exec_async(&mut self.connection.clone())
                .await
                .map_err(QueueError::redis("forgetting changes of dead letters"))?;
        }
        Ok(())
    }

    async fn with_letters(&self, keys: &QueueKeys, entries: &[Entry]) -> Result<Vec<DeadChange>, QueueError> {
        let id_of = |entry: &Entry| entry.1.get("id").cloned().unwrap_or_default();
        let ids: Vec<String> = entries.iter().map(id_of).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let rows = self.read_dead(keys, Extent::Whole, &ids).await?;
        let changes = entries.iter().zip(rows).map(|(entry, row)| DeadChange::read(entry, row));
        changes.collect::<Result<_, _>>().map_err(QueueError::redis("reading the journal of dead letters"))
    }
}

impl DeadChange {
    fn read((change_id, fields): &Entry, row: Option<Row>) -> Result<Self, RedisError> {
        let unknown =
            || RedisError::from((ErrorKind::Parse, "a change of dead letters is not ours", change_id.clone()));
        let field = |name: &str| fields.get(name).cloned();
        let id = field("id").ok_or_else(unknown)?;
        let at_ms = change_id.split_once('-').and_then(|(ms, _)| ms.parse().ok()).ok_or_else(unknown)?;
        let letter = row.map(|(died_at_ms, _, entry)| StoredDeadLetter {
            id: id.clone(),
            died_at_ms,
            entry: String::from_utf8_lossy(&entry).into_owned(),
        });
        let what = match field("what").as_deref() {
            Some("died") => DeadChangeKind::Died,
            Some("requeued") => DeadChangeKind::Requeued,
            Some("discarded") => DeadChangeKind::Discarded,
            Some("edited") => DeadChangeKind::Edited,
            _ => return Err(unknown()),
        };
        let by = field("by").map(|who| By { who, reason: field("reason").unwrap_or_default() });
        Ok(Self { change_id: change_id.clone(), id, what, by, at_ms, letter })
    }
}
