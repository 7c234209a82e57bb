//! The wall clock, read here and nowhere else.

use jiff::Timestamp;

/// Reads the wall clock, to the millisecond that the store keeps.
#[derive(Clone, Copy, Debug)]
pub struct Clock;

impl Clock {
    /// The current instant.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    pub fn now(self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}
