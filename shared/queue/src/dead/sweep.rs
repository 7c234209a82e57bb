//! Requeues or discards all dead letters that match, in bounded steps: [`QueueClient::sweep_dead`].
//!
//! Owns what one step does. The pace, the cursor between steps and who drives them are the caller's.
//!
//! **Invariant:** a step may be repeated or interrupted anywhere: what it has done is dead no more and not met again, and
//! the cursor never passes a letter that was not tried.

use serde::{Deserialize, Serialize};

use super::acts::{By, Reason, Requeued};
use super::filter::{DeadFilter, Line};
use super::walk::{DeadCursor, Walk};
use crate::client::QueueClient;
use crate::error::QueueError;

/// Most letters handled in a step: some ten milliseconds of Redis's time, in calls of a millisecond or two.
const MAX_STEP: usize = 1_000;

/// Pages of the index looked through in a step that finds few: ten thousand letters.
const PAGES_PER_STEP: usize = 10;

/// What a sweep does with each letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadAction {
    /// See [`QueueClient::requeue_dead`].
    Requeue,
    /// See [`QueueClient::discard_dead`].
    Discard,
}

/// How far a sweep has come; the default is its begin. To be stored between steps.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SweepCursor {
    after: Option<DeadCursor>,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepStep {
    /// Where the next step goes on.
    pub cursor: SweepCursor,
    /// Letters that the filter means; `done` and `skipped` together.
    pub matched: u64,
    /// Requeued or discarded.
    pub done: u64,
    /// Left where they are, being malformed or beside work of their unique key; or handled by someone else meanwhile.
    pub skipped: u64,
    /// Whether nothing that the filter means is left behind the cursor.
    pub finished: bool,
}

impl QueueClient {
    /// One step of handling all dead letters that match, oldest first: at most `limit` letters (itself 1 to 1,000), and at
    /// most ten thousand looked at, so that a step may find none and not be finished.
    ///
    /// What is requeued may die again and is then among the latest: set the filter's `died_until_ms` when the sweep begins,
    /// so that it is not taken twice.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`]: any part of the step may have been done; repeat it with the same cursor.
    /// [`QueueError::Invalid`] for who and why, as for one letter.
    pub async fn sweep_dead(
        &self,
        queue: &str,
        action: DeadAction,
        filter: &DeadFilter,
        by: &By,
        cursor: SweepCursor,
        limit: usize,
    ) -> Result<SweepStep, QueueError> {
        by.check(match action {
            DeadAction::Requeue => Reason::Optional,
            DeadAction::Discard => Reason::Required,
        })?;
        let walk = Walk::oldest_first(self, queue, filter).after(cursor.after);
        let (lines, cursor, finished) = choose(walk, limit.clamp(1, MAX_STEP)).await?;
        let ids: Vec<&str> = lines.iter().map(|line| line.id.as_str()).collect();
        let keys = self.keys.queue(queue);
        let done = match action {
            DeadAction::Requeue => {
                let answers = self.requeue_all(&keys, by, &ids).await?;
                answers.iter().filter(|answer| **answer == Requeued::Requeued).count()
            }
            DeadAction::Discard => self.discard_all(&keys, by, &ids).await?,
        };
        let (matched, done) = (ids.len() as u64, done as u64);
        Ok(SweepStep { cursor, matched, done, skipped: matched - done, finished })
    }
}

/// The letters of a step, the cursor behind them and whether they are the last.
async fn choose(mut walk: Walk<'_>, limit: usize) -> Result<(Vec<Line>, SweepCursor, bool), QueueError> {
    let mut chosen: Vec<Line> = Vec::new();
    for _ in 0..PAGES_PER_STEP {
        let Some(mut lines) = walk.next_page().await? else { break };
        let room = limit - chosen.len();
        let are_more = lines.len() > room;
        lines.truncate(room);
        chosen.append(&mut lines);
        if are_more && let Some(last) = chosen.last() {
            let after = Some(DeadCursor { died_at_ms: last.died_at_ms, id: last.id.clone() });
            return Ok((chosen, SweepCursor { after }, false));
        }
        if chosen.len() == limit {
            break;
        }
    }
    let (after, finished) = (Some(walk.position().clone()), walk.has_ended());
    Ok((chosen, SweepCursor { after }, finished))
}
