//! How many jobs a worker holds at once: its concurrency, and for very short jobs a few more, so that
//! the way to Redis is not what it waits for: [`Pace`].
//!
//! **Invariant:** jobs that take longer than the lookahead are never claimed before there is a slot for
//! them: an idle worker elsewhere would run them sooner. Where short ones are suddenly followed by long ones, `claims`
//! takes back what is held ahead.

use std::time::Duration;

/// The largest concurrency of one worker on one queue; more is a typing error.
pub(crate) const MAX_CONCURRENCY: usize = 1_000;

/// Work to hold beyond the running jobs: some round trips long.
const LOOKAHEAD: Duration = Duration::from_millis(5);

/// Most jobs held beyond the running ones. With [`MAX_CONCURRENCY`] it bounds what one turn claims, and
/// keeps that below Lua's limit on `unpack` (8,000 values, two per job).
const MAX_EXTRA: usize = 768;

/// Weight of the newest run time in the moving average: 1 / this.
const SMOOTHING: u32 = 8;

/// Follows run times and derives the capacity.
pub(crate) struct Pace {
    concurrency: usize,
    mean: Option<Duration>,
}

impl Pace {
    pub(crate) fn new(concurrency: usize) -> Self {
        Self { concurrency: concurrency.clamp(1, MAX_CONCURRENCY), mean: None }
    }

    /// Jobs that run at once at most.
    pub(crate) fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// Takes the run time of a finished job into account.
    pub(crate) fn observe(&mut self, ran: Duration) {
        self.mean = Some(match self.mean {
            None => ran,
            Some(mean) => (mean * (SMOOTHING - 1) + ran) / SMOOTHING,
        });
    }

    /// Jobs to hold at once, running or about to.
    pub(crate) fn capacity(&self) -> usize {
        let Some(mean) = self.mean else {
            return self.concurrency;
        };
        let nanos = mean.as_nanos().max(1);
        let per_slot = usize::try_from(LOOKAHEAD.as_nanos() / nanos).unwrap_or(MAX_EXTRA);
        self.concurrency + per_slot.saturating_mul(self.concurrency).min(MAX_EXTRA)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_jobs_are_claimed_only_for_free_slots() {
        let mut pace = Pace::new(4);
        assert_eq!(pace.capacity(), 4);
        pace.observe(Duration::from_millis(20));
        assert_eq!(pace.capacity(), 4);
    }

    #[test]
    fn short_jobs_are_held_ahead_within_the_bound() {
        let mut pace = Pace::new(4);
        pace.observe(Duration::from_millis(1));
        assert_eq!(pace.capacity(), 4 + 20);
        let mut pace = Pace::new(4);
        pace.observe(Duration::ZERO);
        assert_eq!(pace.capacity(), 4 + MAX_EXTRA);
    }

    #[test]
    fn one_slow_job_among_short_ones_ends_the_holding_ahead() {
        let mut pace = Pace::new(1);
        pace.observe(Duration::from_millis(1));
        pace.observe(Duration::from_secs(1));
        assert_eq!(pace.capacity(), 1);
    }
}
