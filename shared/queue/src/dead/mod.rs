//! Dead letters as an operator sees them: filtered, shown, counted; by cause in `groups`, handled one by one in
//! `acts` and all that match in `sweep`; their journal for a mirror in `changes`, and the way back in `restore`.
//!
//! Jobs get here in the driver's turn, in the same step as the ack (exhausted, fatal, undecodable). Nothing here or there
//! trims them: a letter goes when a person requeues or discards it.
//!
//! A queue that is split keeps the dead letters of each partition apart: all calls take a partition's name
//! ([`QueueClient::partitions`]).
//!
//! **Invariant:** an id is in the order of deaths exactly if it has an index line and its entry is that of no waiting or
//! running job; every change of that is one script, with a line in the journal. The holder of a dead unique key is the
//! letter that died last with it, for as long as that one is dead.

mod acts;
mod changes;
mod filter;
mod groups;
mod letter;
mod restore;
mod sweep;
mod walk;

use std::sync::LazyLock;

use redis::Script;

pub use acts::{By, Edited, Requeued};
pub use changes::{DeadChange, DeadChangeKind};
pub use filter::DeadFilter;
pub use groups::DeadGroup;
pub use letter::{DeadLetter, StoredDeadLetter};
pub use sweep::{DeadAction, SweepCursor, SweepStep};
pub use walk::DeadCursor;

use crate::client::QueueClient;
use crate::error::QueueError;
use crate::keys::QueueKeys;
use filter::Line;
use walk::Walk;

/// Most dead letters one page holds: each may carry a full payload.
const MAX_PAGE: usize = 1_000;

/// Letters asked for at a time: well within what a script may unpack. The script stops earlier where they are large.
const READ_CHUNK: usize = 500;

static READ: LazyLock<Script> = LazyLock::new(|| {
    let source = concat!(
        "#!lua flags=no-writes,allow-oom\n",
        include_str!("../lua/lines.lua"),
        include_str!("../lua/dead_read.lua")
    );
    Script::new(source)
});

/// Which part of a list of dead letters is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Only what died before this position: the last letter of the page before. Nothing for the first page.
    pub before: Option<DeadCursor>,
    /// Most letters, itself at most 1,000.
    pub limit: usize,
}

/// How much of a letter is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    /// The last line: the failure that it died of.
    Cause,
}

/// A letter as read: time of death or -1, index line, text.
type Row = (i64, String, Vec<u8>);

impl QueueClient {
    /// The dead letters of a queue that a filter means, latest first. Fewer than the page's limit are the last ones.
    ///
    /// A look through all dead letters where few match: about a second for some hundred thousand.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn dead_letters(
        &self,
        queue: &str,
        filter: &DeadFilter,
        page: Page,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        let limit = page.limit.min(MAX_PAGE);
        let mut walk = Walk::latest_first(self, queue, filter).before(page.before);
        let mut letters = Vec::new();
        while letters.len() < limit
            && let Some(lines) = walk.next_page().await?
        {
            let mut lines = lines.into_iter().peekable();
            while letters.len() < limit && lines.peek().is_some() {
                let wanted: Vec<Line> = lines.by_ref().take(limit - letters.len()).collect();
                letters.extend(self.letters_of(queue, wanted).await?);
            }
        }
        Ok(letters)
    }

    /// One dead letter.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn dead_letter(&self, queue: &str, id: &str) -> Result<Option<DeadLetter>, QueueError> {
        let rows = self.read_dead(&self.keys.queue(queue), Extent::Whole, &[id]).await?;
        let row = rows.into_iter().next().flatten();
        Ok(row.map(|(died_at_ms, line, entry)| {
            let line = Line { id: id.to_owned(), died_at_ms, words: line };
            DeadLetter::read(queue, &line, &String::from_utf8_lossy(&entry))
        }))
    }

    /// How many dead letters of a queue a filter means.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn count_dead(&self, queue: &str, filter: &DeadFilter) -> Result<u64, QueueError> {
        if let Some((from, until)) = filter.only_times() {
            return redis::cmd("ZCOUNT")
                .arg(&self.keys.queue(queue).dead)
                .arg(from)
                .arg(until)
                .query_async(&mut self.connection.clone())
                .await
                .map_err(QueueError::redis("counting dead letters"));
        }
        let mut walk = Walk::oldest_first(self, queue, filter);
        let mut count = 0;
        while let Some(lines) = walk.next_page().await? {
            count += lines.len() as u64;
        }
        Ok(count)
    }

    /// The letters behind index lines, but for those that are dead no more.
    async fn letters_of(&self, queue: &str, lines: Vec<Line>) -> Result<Vec<DeadLetter>, QueueError> {
        let ids: Vec<&str> = lines.iter().map(|line| line.id.as_str()).collect();
        let rows = self.read_dead(&self.keys.queue(queue), Extent::Whole, &ids).await?;
        let letters = lines.iter().zip(rows).filter_map(|(line, row)| {
            row.map(|(_, _, entry)| DeadLetter::read(queue, line, &String::from_utf8_lossy(&entry)))
        });
        Ok(letters.collect())
    }

    /// Reads letters in the order of their ids; nothing for what is no dead letter.
    async fn read_dead(&self, keys: &QueueKeys, extent: Extent, ids: &[&str]) -> Result<Vec<Option<Row>>, QueueError> {
        let extent = match extent {
            Extent::Whole => "whole",
            Extent::Cause => "cause",
        };
        let mut read: Vec<Option<Row>> = Vec::with_capacity(ids.len());
        while read.len() < ids.len() {
            let rest = &ids[read.len()..];
            let rows: Vec<Row> = READ
                .key(&keys.base)
                .arg(extent)
                .arg(&rest[..rest.len().min(READ_CHUNK)])
                .invoke_async(&mut self.connection.clone())
                .await
                .map_err(QueueError::redis("reading dead letters"))?;
            read.extend(rows.into_iter().map(|row| (row.0 >= 0).then_some(row)));
        }
        Ok(read)
    }
}
