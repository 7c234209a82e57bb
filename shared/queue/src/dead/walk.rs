//! The way through a queue's dead letters, page by page: [`Walk`].
//!
//! Owns the order and where a walk stands. Reads the index alone: one short line per letter.
//!
//! **Invariant:** whatever is added or removed meanwhile, a letter that is dead all the while is met exactly once: the
//! next page is found by the place of the last line in the order, not by counting.

use std::sync::{Arc, LazyLock};

use redis::Script;
use serde::{Deserialize, Serialize};

use super::filter::{DeadFilter, Line};
use crate::client::QueueClient;
use crate::error::QueueError;
use crate::keys::QueueKeys;

/// Lines of a page: a millisecond or two of Redis's time.
pub(super) const PAGE: usize = 1_000;

static DEAD_PAGE: LazyLock<Script> = LazyLock::new(|| {
    let source = concat!(
        "#!lua flags=no-writes,allow-oom\n",
        include_str!("../lua/lines.lua"),
        include_str!("../lua/dead_page.lua")
    );
    Script::new(source)
});

/// A position in the order of deaths; the letter it names need not be dead any more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeadCursor {
    /// When the letter died: by Redis's clock, in milliseconds since 1970.
    pub died_at_ms: i64,
    /// Its id; empty for the position before all letters of that time.
    pub id: String,
}

impl DeadCursor {
    /// The position before all letters of a time.
    pub(super) fn at(died_at_ms: i64) -> Self {
        Self { died_at_ms, id: String::new() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    OldestFirst,
    LatestFirst,
}

/// Goes through the dead letters that a filter means.
pub(super) struct Walk<'a> {
    client: &'a QueueClient,
    keys: Arc<QueueKeys>,
    filter: &'a DeadFilter,
    order: Order,
    /// Where the next page begins, itself not included.
    position: DeadCursor,
    ended: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn oldest_first(client: &'a QueueClient, queue: &str, filter: &'a DeadFilter) -> Self {
        let position = DeadCursor::at(filter.died_from_ms.unwrap_or(i64::MIN));
        Self { client, keys: client.keys.queue(queue), filter, order: Order::OldestFirst, position, ended: false }
    }

    pub(super) fn latest_first(client: &'a QueueClient, queue: &str, filter: &'a DeadFilter) -> Self {
        let position = DeadCursor::at(filter.died_until_ms.unwrap_or(i64::MAX));
        Self { client, keys: client.keys.queue(queue), filter, order: Order::LatestFirst, position, ended: false }
    }

    /// Not before this position.
    pub(super) fn after(mut self, cursor: Option<DeadCursor>) -> Self {
        if let Some(cursor) = cursor {
            self.position = self.position.max(cursor);
        }
        self
    }

    /// Only what died before this position.
    pub(super) fn before(mut self, cursor: Option<DeadCursor>) -> Self {
        if let Some(cursor) = cursor {
            self.position = self.position.min(cursor);
        }
        self
    }

    /// Behind the last line looked at, whether it was meant or not.
    pub(super) fn position(&self) -> &DeadCursor {
        &self.position
    }

    /// Whether all has been looked at.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Those of the next page that are meant, maybe none; nothing at the end.
    pub(super) async fn next_page(&mut self) -> Result<Option<Vec<Line>>, QueueError> {
        if self.ended {
            return Ok(None);
        }
        let rows: Vec<(String, i64, String)> = DEAD_PAGE
            .key(&self.keys.base)
            .arg(match self.order {
                Order::OldestFirst => "oldest",
                Order::LatestFirst => "latest",
            })
            .arg(self.position.died_at_ms)
            .arg(&self.position.id)
            .arg(PAGE)
            .invoke_async(&mut self.client.connection.clone())
            .await
            .map_err(QueueError::redis("looking through dead letters"))?;
        self.ended = rows.len() < PAGE;
        let mut meant = Vec::new();
        for (id, died_at_ms, words) in rows {
            if self.is_past_the_end(died_at_ms) {
                self.ended = true;
                break;
            }
            self.position = DeadCursor { died_at_ms, id: id.clone() };
            let line = Line { id, died_at_ms, words };
            if self.filter.means(&line) {
                meant.push(line);
            }
        }
        Ok(Some(meant))
    }

    fn is_past_the_end(&self, died_at_ms: i64) -> bool {
        match self.order {
            Order::OldestFirst => self.filter.died_until_ms.is_some_and(|until| died_at_ms >= until),
            Order::LatestFirst => self.filter.died_from_ms.is_some_and(|from| died_at_ms < from),
        }
    }
}
