//! The same windows, counted by this process alone.

use std::{collections::HashMap, time::Instant};

use crate::{Limit, Standing};

/// Most windows that are kept: about 2 MB. Redis is away only for moments.
const MAX_WINDOWS: usize = 10_000;

#[derive(Default)]
pub(crate) struct InProcess(HashMap<String, Window>);

struct Window {
    used: u64,
    ends: Instant,
}

impl InProcess {
    /// Counts a request on all limits, or on none if one is used up.
    pub(crate) fn take(&mut self, group: &str, limits: &[Limit], now: Instant) -> Standing {
        self.forget(now);
        let key = |limit: &Limit| format!("{group}:{}", limit.who);
        for limit in limits {
            let fresh = || Window { used: 0, ends: now + limit.quota.window };
            let window = self.0.entry(key(limit)).or_insert_with(fresh);
            if window.ends <= now {
                *window = fresh();
            }
        }
        let used = |limit: &Limit| self.0.get(&key(limit)).map_or(0, |window| window.used);
        let passed = limits.iter().all(|limit| used(limit) < u64::from(limit.quota.requests));
        let standings = limits.iter().filter_map(|limit| {
            let window = self.0.get_mut(&key(limit))?;
            window.used += u64::from(passed);
            let left = window.ends.saturating_duration_since(now);
            Some(Standing::of(limit.quota, window.used, left).with_outcome(passed))
        });
        Standing::tightest(standings)
    }

    /// Makes room: windows that have ended go first. Where all are open, all begin anew, which is generous and rare.
    fn forget(&mut self, now: Instant) {
        if self.0.len() >= MAX_WINDOWS {
            self.0.retain(|_, window| window.ends > now);
        }
        if self.0.len() >= MAX_WINDOWS {
            self.0.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{InProcess, Instant, Limit, MAX_WINDOWS};

    fn limit(who: &str, quota: &str) -> Limit {
        Limit { who: who.to_owned(), quota: quota.parse().expect("a quota") }
    }

    #[test]
    fn a_window_ends_and_another_begins() {
        let (mut counts, now) = (InProcess::default(), Instant::now());
        let limits = [limit("tenant", "3/60"), limit("usr_1", "2/60")];
        let taken: Vec<_> = (0..3).map(|_| counts.take("ten_1", &limits, now)).collect();
        assert_eq!(taken.iter().map(|one| one.passed).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(taken.iter().map(|one| one.remaining).collect::<Vec<_>>(), [1, 0, 0]);
        // What was refused was not counted on the tenant.
        assert!(counts.take("ten_1", &limits[..1], now).passed);
        assert!(!counts.take("ten_1", &limits[..1], now).passed);
        assert!(counts.take("ten_2", &limits, now).passed);
        assert!(counts.take("ten_1", &limits, now + Duration::from_secs(60)).passed);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut counts, now) = (InProcess::default(), Instant::now());
        for number in 0..MAX_WINDOWS + 10 {
            counts.take(&number.to_string(), &[limit("address", "1/60")], now);
        }
        assert!(counts.0.len() <= MAX_WINDOWS);
    }
}
