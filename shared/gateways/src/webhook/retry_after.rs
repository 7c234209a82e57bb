//! `Retry-After`: seconds, or a date.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};

/// Longer than this nobody waits on somebody else's word.
const MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// HTTP's dates are those of mails, always in GMT.
static DATES: DateTimeParser = DateTimeParser::new();

/// How long to wait from `now` on; none for what cannot be read.
pub(super) fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let wait = match value.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = DATES.parse_timestamp(value.trim()).ok()?;
            Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_bounded() {
        let now = "2026-08-01T12:00:00Z".parse().unwrap();
        let seconds = |value: &str| parse(value, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("Sat, 01 Aug 2026 12:00:30 GMT"), Some(30));
        assert_eq!(seconds("Sat, 01 Aug 2026 11:00:00 GMT"), Some(0));
        assert_eq!(seconds("99999999"), Some(86_400));
        assert_eq!((seconds("soon"), seconds("-1"), seconds("")), (None, None, None));
    }
}
