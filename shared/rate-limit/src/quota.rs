//! Quotas, and how somebody stands with one.

use std::{fmt, str::FromStr, time::Duration};

/// Longest window: counts are kept that long, in memory.
const MAX_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// So many requests in a window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub requests: u32,
    pub window: Duration,
}

impl Quota {
    /// The length of the window in whole milliseconds.
    pub(crate) fn window_ms(self) -> u64 {
        u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Quota {
    /// As in the configuration: `100/60`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.requests, self.window.as_secs())
    }
}

impl FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("{text:?} is no quota: expected REQUESTS/SECONDS, such as 100/60");
        let (requests, seconds) = text.split_once('/').ok_or_else(expected)?;
        let requests = requests.parse().map_err(|_| expected())?;
        let window = Duration::from_secs(seconds.parse().map_err(|_| expected())?);
        let fits = requests > 0 && !window.is_zero() && window <= MAX_WINDOW;
        if fits { Ok(Self { requests, window }) } else { Err(format!("{text:?}: 1 request or more, in 1 s to a day")) }
    }
}

/// How somebody stands with a quota after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub quota: Quota,
    /// Whether the request passes.
    pub passed: bool,
    /// Requests that are left in the window.
    pub remaining: u32,
    /// How long the window lasts still.
    pub resets_in: Duration,
}

impl Standing {
    pub(crate) fn of(quota: Quota, used: u64, resets_in: Duration) -> Self {
        let used = u32::try_from(used).unwrap_or(u32::MAX);
        Self { quota, passed: true, remaining: quota.requests.saturating_sub(used), resets_in }
    }

    pub(crate) fn with_outcome(self, passed: bool) -> Self {
        Self { passed, ..self }
    }

    /// The one of which the smallest part is left; of those that are equal, the one that lasts longest. Of a request without
    /// limits, one that is never used up.
    pub(crate) fn tightest(standings: impl Iterator<Item = Self>) -> Self {
        let unlimited = Self::of(Quota { requests: u32::MAX, window: MAX_WINDOW }, 0, Duration::ZERO);
        let left = |one: &Self| f64::from(one.remaining) / f64::from(one.quota.requests);
        let tighter = |one: &Self, other: &Self| {
            left(one).total_cmp(&left(other)).then_with(|| other.resets_in.cmp(&one.resets_in))
        };
        standings.min_by(tighter).unwrap_or(unlimited)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Quota, Standing};

    #[test]
    fn a_quota_is_requests_in_seconds() {
        let quota: Quota = "100/60".parse().expect("a quota");
        assert_eq!(quota, Quota { requests: 100, window: Duration::from_secs(60) });
        assert_eq!(quota.to_string(), "100/60");
        for bad in ["", "100", "0/60", "100/0", "-1/60", "1/100000", "a/b"] {
            assert!(bad.parse::<Quota>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_tightest_limit_speaks() {
        let standing = |quota: &str, used, seconds| {
            Standing::of(quota.parse().expect("a quota"), used, Duration::from_secs(seconds))
        };
        let tightest = Standing::tightest([standing("1000/60", 10, 5), standing("10/60", 9, 30)].into_iter());
        assert_eq!((tightest.remaining, tightest.quota.requests), (1, 10));
        let used_up = [standing("10/60", 10, 5), standing("20/60", 25, 50)];
        assert_eq!(Standing::tightest(used_up.into_iter()).resets_in, Duration::from_secs(50));
    }
}
