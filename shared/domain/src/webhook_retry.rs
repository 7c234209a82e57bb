//! When a webhook that was not taken is sent again: the schedule of Standard Webhooks.

use std::time::Duration;

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// Waits after the first, second, ... failed attempt; over three days in all.
const WAITS: [Duration; 9] = [
    Duration::from_secs(5),
    minutes(5),
    minutes(30),
    minutes(2 * 60),
    minutes(5 * 60),
    minutes(10 * 60),
    minutes(14 * 60),
    minutes(20 * 60),
    minutes(24 * 60),
];
/// Attempts in all, the first included.
pub const WEBHOOK_ATTEMPTS: usize = WAITS.len() + 1;
/// The longest wait that an endpoint may ask for.
const MAX_ASKED: Duration = minutes(24 * 60);
/// A wait is longer by at most this part of it, so that what failed together does not come back together.
const JITTER_PARTS: u32 = 10;

/// How long to wait after `attempts` failed ones; none after the last. An endpoint may ask for a longer wait, and `draw` is any
/// number.
#[must_use]
pub fn webhook_wait(attempts: usize, asked: Option<Duration>, draw: u64) -> Option<Duration> {
    let wait = *WAITS.get(attempts.checked_sub(1)?)?;
    let most = u64::try_from((wait / JITTER_PARTS).as_millis()).unwrap_or(u64::MAX);
    let wait = wait + Duration::from_millis(draw % most.saturating_add(1));
    Some(asked.map_or(wait, |asked| asked.min(MAX_ASKED).max(wait)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_attempts_over_three_days() {
        let waits: Vec<u64> =
            (1..).map_while(|attempts| webhook_wait(attempts, None, 0)).map(|w| w.as_secs()).collect();
        assert_eq!(waits, [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]);
        assert_eq!((waits.len() + 1, webhook_wait(0, None, 0)), (WEBHOOK_ATTEMPTS, None));
    }

    #[test]
    fn a_wait_is_a_tenth_longer_at_most_and_never_shorter() {
        for draw in [0, 1, 499, 500, 501, u64::MAX] {
            let wait = webhook_wait(1, None, draw).unwrap();
            assert!((5_000..=5_500).contains(&wait.as_millis()), "{draw}: {wait:?}");
        }
        assert_ne!(webhook_wait(2, None, 7), webhook_wait(2, None, 8));
    }

    #[test]
    fn an_endpoint_is_given_the_time_it_asks_for_within_bounds() {
        let wait = |asked| webhook_wait(2, Some(Duration::from_secs(asked)), 0).unwrap().as_secs();
        assert_eq!((wait(10), wait(600), wait(9_999_999)), (300, 600, 86_400));
        assert_eq!(webhook_wait(10, Some(Duration::from_secs(5)), 0), None, "the last attempt is the last");
    }
}
