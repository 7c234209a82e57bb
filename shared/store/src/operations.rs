//! Operations: what a person asked to be done to many things, as one object that can be watched.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Due, ReplayScope, instant, record::record};

/// An operation. Due (by the wall) until it is completed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Operation {
    /// `op_...`
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    pub kind: OperationKind,
    /// Which of the tenant's dead letters; of no meaning for webhooks.
    pub filter: OperationFilter,
    /// Which webhooks are sent again; absent for dead letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplayScope>,
    /// Why; shown with every letter it touches.
    pub reason: String,
    /// Who asked for it.
    pub by: String,
    pub state: OperationState,
    /// Letters or webhooks a second, at most.
    pub pace: i32,
    /// How many matched when it began to work; absent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<i64>,
    /// One per queue, worked on in this order.
    pub queues: Vec<QueueProgress>,
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    #[serde(flatten)]
    pub due: Due,
}
record!(Operation, "operations", revised);

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// Dead letters go back into their queues, with all attempts ahead of them.
    RetryDeadLetters,
    /// Dead letters are given up.
    DiscardDeadLetters,
    /// Webhooks are sent again.
    ReplayWebhooks,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    Running,
    /// Everything that was there by its end of time has been looked at.
    Completed,
}

/// Which letters: those that meet all conditions. The tenant is the operation's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationFilter {
    /// Only of this queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Only of this job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Only those that died of this error code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Only those of this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Died at or after.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub died_from: Option<Timestamp>,
    /// Died before.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub died_until: Option<Timestamp>,
}

/// What has been done about one queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueProgress {
    pub queue: String,
    /// Where the next step goes on; only the queue reads it. Absent at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Whether nothing is left of it.
    pub finished: bool,
    #[serde(flatten)]
    pub counts: OperationCounts,
}

/// What became of what it was about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationCounts {
    /// Those that met the conditions.
    pub matched: i64,
    /// Of these, requeued, discarded or sent again.
    pub done: i64,
    /// Of these, left where they are: other work holds their unique key, they are no job, or somebody else came first.
    pub skipped: i64,
}

impl OperationCounts {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            matched: self.matched + other.matched,
            done: self.done + other.done,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl Operation {
    /// What became of the letters of all queues. A process that is killed between a step and its being stored leaves that one
    /// step uncounted, never undone.
    #[must_use]
    pub fn totals(&self) -> OperationCounts {
        self.queues.iter().fold(OperationCounts::default(), |sum, queue| sum.plus(queue.counts))
    }
}
