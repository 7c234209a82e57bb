//! The gateway's own clock: it starts from the wall clock, runs with it, and can be moved forward
//! by an admin call. It owns the only reading of the wall clock in this crate.
//!
//! **Invariant:** it never goes back, also when the machine's clock does, and not behind what the
//! journal has recorded when the gateway starts again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

/// A hundred years: further than any test goes, and far from the end of representable time.
pub(crate) const MAX_ADVANCE_SECONDS: u64 = 100 * 366 * 24 * 3600;

/// Wall clock at the start, plus the time since, plus all advances.
#[derive(Debug)]
pub(crate) struct Clock {
    base: Timestamp,
    started_at: Timestamp,
    started: Instant,
    advanced_seconds: AtomicU64,
}

impl Clock {
    /// A clock that stands `advanced_seconds` (as journalled) ahead of the wall clock, and not
    /// before `not_before`, the latest time in the journal.
    pub(crate) fn start(advanced_seconds: u64, not_before: Timestamp) -> Self {
        let wall = wall();
        let recorded = not_before.checked_sub(seconds(advanced_seconds)).unwrap_or(Timestamp::MIN);
        Self {
            base: wall.max(recorded),
            started_at: wall,
            started: Instant::now(),
            advanced_seconds: AtomicU64::new(advanced_seconds),
        }
    }

    /// The gateway's time.
    pub(crate) fn now(&self) -> Timestamp {
        let advanced = seconds(self.advanced_seconds.load(Ordering::Relaxed));
        let elapsed = SignedDuration::try_from(self.started.elapsed()).unwrap_or_default();
        self.base.saturating_add(advanced.saturating_add(elapsed)).unwrap_or(Timestamp::MAX)
    }

    /// The machine's time: what a message says that it was sent at, however far the gateway's own was moved.
    pub(crate) fn wall(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.started.elapsed()).unwrap_or_default();
        self.started_at.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// Whether `seconds` more would leave the clock within [`MAX_ADVANCE_SECONDS`] of the wall.
    pub(crate) fn can_advance(&self, seconds: u64) -> bool {
        self.advanced_seconds
            .load(Ordering::Relaxed)
            .checked_add(seconds)
            .is_some_and(|total| total <= MAX_ADVANCE_SECONDS)
    }

    /// Moves forward. The caller has asked [`Clock::can_advance`] and journalled the step.
    pub(crate) fn advance(&self, seconds: u64) {
        self.advanced_seconds.fetch_add(seconds, Ordering::Relaxed);
    }
}

#[expect(clippy::disallowed_methods, reason = "a gateway is another company's machine: it has a clock of its own")]
fn wall() -> Timestamp {
    Timestamp::now()
}

/// Every advance is within [`MAX_ADVANCE_SECONDS`]; a journal edited by hand saturates.
fn seconds(count: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(count).unwrap_or(i64::MAX))
}
