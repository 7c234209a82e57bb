//! What passes between the driver and the worker: a [`Delivery`] one way, its [`Settlement`] back.
//!
//! **Invariant:** every delivery is settled exactly once, also when its future is dropped unfinished.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::entry::Entry;

/// The fencing token of a claim. Unique within a queue, growing; it never goes back, even if Redis
/// loses its data, because it is at least Redis's time in microseconds.
pub(crate) type Token = u64;

/// A claimed job.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) token: Token,
    pub(crate) entry: Entry,
    /// Set when the lease is known to be lost.
    pub(crate) lost: CancellationToken,
}

/// What the queue is to do with a claimed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Gone, done.
    Done,
    /// Gone, not needed.
    Cancel,
    /// Back to waiting; the attempt does not count.
    Snooze(Duration),
    /// Back to waiting; the attempt counts and the note is kept.
    Retry {
        delay: Duration,
        /// A [`crate::Failure`] as JSON.
        note: String,
    },
    /// To the dead letters.
    Dead {
        /// A [`crate::Failure`] as JSON.
        note: String,
    },
    /// Back to the head of the queue as if never claimed.
    Release,
}

/// The end of a claim.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) token: Token,
    /// Whether the entry has a unique key that ends with the job.
    pub(crate) holds_key: bool,
    pub(crate) verdict: Verdict,
    /// How long the handler ran; nothing if it did not.
    pub(crate) ran: Option<Duration>,
}

impl Settlement {
    /// The wire name of what the script does.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.verdict {
            Verdict::Done | Verdict::Cancel if self.holds_key => "free",
            Verdict::Done | Verdict::Cancel => "done",
            Verdict::Snooze(_) => "snooze",
            Verdict::Retry { .. } => "retry",
            Verdict::Dead { .. } => "dead",
            Verdict::Release => "release",
        }
    }

    /// The name in metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match &self.verdict {
            Verdict::Done => "done",
            Verdict::Cancel => "cancelled",
            Verdict::Snooze(_) => "snoozed",
            Verdict::Retry { .. } => "retried",
            Verdict::Dead { .. } => "dead",
            Verdict::Release => "released",
        }
    }
}
