//! What passes between the driver and the worker: a [`Delivery`] one way, its [`Settlement`] back.
//!
//! **Invariant:** every delivery is settled exactly once, also when its future is dropped unfinished.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::claims::Turnstile;
use crate::entry::Entry;
use crate::stats::Counter;

/// The fencing token of a claim. Unique within a queue, growing; it never goes back, even if Redis
/// loses its data, because it is at least Redis's time in microseconds.
pub(crate) type Token = u64;

/// The name of a claim in Redis: `<token>:<id>:<attempt>:<worker>`.
pub(crate) type Lease = Arc<str>;

/// The token, id and attempt that a lease names, or nothing if it is no lease.
pub(crate) fn read_lease(lease: &str) -> Option<(Token, &str, u32)> {
    let mut parts = lease.splitn(4, ':');
    let (token, id, attempt) = (parts.next()?, parts.next()?, parts.next()?);
    Some((token.parse().ok()?, id, attempt.parse().ok()?))
}

/// A claimed job.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) token: Token,
    pub(crate) lease: Lease,
    pub(crate) id: String,
    /// Which attempt this is.
    pub(crate) attempt: u32,
    pub(crate) entry: Entry,
    /// Set when the lease is known to be lost.
    pub(crate) lost: CancellationToken,
    /// Whoever begins the job passes it first.
    pub(crate) turnstile: Turnstile,
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
        /// Fingerprint and code on one line, then a [`crate::Failure`] as JSON.
        note: String,
    },
    /// Back to the head of the queue as if never claimed.
    Release,
}

/// The end of a claim.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) token: Token,
    pub(crate) lease: Lease,
    /// Whether the end of the job gives nothing back but the job itself.
    pub(crate) plain: bool,
    pub(crate) verdict: Verdict,
    /// How long the handler ran; nothing if it did not.
    pub(crate) ran: Option<Duration>,
}

impl Settlement {
    /// Whether the script can end it together with all others of its kind.
    pub(crate) fn ends_plainly(&self) -> bool {
        self.plain && matches!(self.verdict, Verdict::Done | Verdict::Cancel)
    }

    /// Where it stands among the settlements of a turn: plain ends together at the front, and what goes back to the head
    /// of the queue with the latest claim first, so that the earliest comes to stand before the others again.
    pub(crate) fn place(&self) -> (u8, Reverse<Token>) {
        match self.verdict {
            Verdict::Release => (2, Reverse(self.token)),
            _ => (u8::from(!self.ends_plainly()), Reverse(0)),
        }
    }

    /// The wire name of what the script does.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.verdict {
            Verdict::Done | Verdict::Cancel => "end",
            Verdict::Snooze(_) => "snooze",
            Verdict::Retry { .. } => "retry",
            Verdict::Dead { .. } => "dead",
            Verdict::Release => "release",
        }
    }

    /// Where the statistics count it.
    pub(crate) fn counter(&self) -> Counter {
        match &self.verdict {
            Verdict::Done => Counter::Done,
            Verdict::Cancel => Counter::Cancelled,
            Verdict::Snooze(_) => Counter::Snoozed,
            Verdict::Retry { .. } => Counter::Retried,
            Verdict::Dead { .. } => Counter::Dead,
            Verdict::Release => Counter::Released,
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
