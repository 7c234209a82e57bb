//! The civil calendar of a customer: time zones, local days and the instants at which they begin.
//!
//! The time zone database is compiled in, so that the same dates come out on every machine.

use std::{fmt, str::FromStr, sync::LazyLock};

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};
use serde::{Deserialize, Serialize};

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// An IANA time zone; its name on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone);

/// A name that is no time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an IANA time zone such as Europe/Berlin")]
pub struct UnknownZone(String);

impl Zone {
    /// The default zone.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The instant at which a local day begins: midnight; the first valid instant if midnight does not exist that day, the
    /// first of two if it happens twice; for a day that does not exist at all, the first valid instant after it.
    #[must_use]
    pub fn start_of_day(&self, date: Date) -> Timestamp {
        let midnight = date.at(0, 0, 0, 0);
        let instant = match self.0.to_ambiguous_timestamp(midnight).offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
                offset.to_timestamp(midnight)
            }
            // Read with the offset after the gap, a time in the gap lies before the jump: the next change is the jump.
            AmbiguousOffset::Gap { after, .. } => after
                .to_timestamp(midnight)
                .map(|before_jump| self.0.following(before_jump).next().map_or(before_jump, |jump| jump.timestamp())),
        };
        // Only at the edges of the calendar, the years -9999 and 9999, is there no such instant.
        instant.unwrap_or(if date.year() < 0 { Timestamp::MIN } else { Timestamp::MAX })
    }

    /// What the clocks show at an instant.
    #[must_use]
    pub fn clock_at(&self, at: Timestamp) -> DateTime {
        self.0.to_datetime(at)
    }

    /// The local day that an instant falls in.
    #[must_use]
    pub fn date_of(&self, at: Timestamp) -> Date {
        self.clock_at(at).date()
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let zone = DATABASE.get(name).map_err(|_| UnknownZone(name.to_owned()))?;
        // What has no name could not be written down again.
        if zone.iana_name().is_some() { Ok(Self(zone)) } else { Err(UnknownZone(name.to_owned())) }
    }
}

impl fmt::Display for Zone {
    /// The IANA name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Parsing refuses zones without a name.
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl TryFrom<String> for Zone {
    type Error = UnknownZone;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.to_string()
    }
}

/// Days from `start` to `end`: a difference of calendar dates, whatever the clocks do in between.
pub(crate) fn days_between(start: Date, end: Date) -> i64 {
    i64::from((end - start).get_days())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(zone: &str, date: &str) -> String {
        zone.parse::<Zone>().unwrap().start_of_day(date.parse().unwrap()).to_string()
    }

    #[test]
    fn a_day_begins_at_local_midnight() {
        assert_eq!(start("UTC", "2023-03-01"), "2023-03-01T00:00:00Z");
        // Worked example tz-001.
        assert_eq!(start("America/Bogota", "2023-03-01"), "2023-03-01T05:00:00Z");
        assert_eq!(start("Asia/Kolkata", "2023-03-01"), "2023-02-28T18:30:00Z");
    }

    /// "If midnight does not exist on a day, the period turns at the first valid instant."
    #[test]
    fn a_day_without_midnight_begins_at_its_first_instant() {
        assert_eq!(start("America/Sao_Paulo", "2018-11-04"), "2018-11-04T03:00:00Z");
        assert_eq!(start("Asia/Beirut", "2022-03-27"), "2022-03-26T22:00:00Z");
        assert_eq!(start("Africa/Cairo", "2023-04-28"), "2023-04-27T22:00:00Z");
        // The clocks jumped from 23:30 to 00:30, so the day began half an hour late, not a whole hour.
        assert_eq!(start("America/Toronto", "1919-03-31"), "1919-03-31T04:30:00Z");
    }

    /// "If midnight happens twice, the period turns at the first of the two."
    #[test]
    fn a_midnight_that_happens_twice_counts_the_first_time() {
        // At 00:01 the clocks went back to 23:01 of the day before.
        assert_eq!(start("America/St_Johns", "2008-11-02"), "2008-11-02T02:30:00Z");
    }

    /// "A billing date that does not exist at all turns at the first valid instant after it."
    #[test]
    fn a_day_that_does_not_exist_begins_at_the_first_instant_after_it() {
        assert_eq!(start("Pacific/Apia", "2011-12-30"), "2011-12-30T10:00:00Z");
        assert_eq!(start("Pacific/Apia", "2011-12-31"), "2011-12-30T10:00:00Z");
    }

    /// "Day counts are differences of calendar dates."
    #[test]
    fn days_are_counted_across_clock_changes() {
        // Worked example tz-003.
        let days = |from: &str, to: &str, zone: &str| {
            let zone: Zone = zone.parse().unwrap();
            let day = |at: &str| zone.date_of(at.parse().unwrap());
            days_between(day(from), day(to))
        };
        assert_eq!(days("2024-03-09T00:00Z", "2024-03-11T00:00Z", "America/New_York"), 2);
        assert_eq!(days("2024-11-02T00:00Z", "2024-11-04T00:00Z", "America/New_York"), 2);
        assert_eq!(days("2024-04-06T00:00Z", "2024-04-08T00:00Z", "Australia/Sydney"), 2);
        assert_eq!(days("2024-07-30T00:00Z", "2024-08-02T00:00Z", "Europe/London"), 3);
        assert_eq!(days("2024-05-01T08:00Z", "2024-05-01T17:00Z", "Europe/Berlin"), 0);
    }

    #[test]
    fn names_are_kept_and_unknown_ones_refused() {
        assert_eq!("Asia/Tokyo".parse::<Zone>().unwrap().to_string(), "Asia/Tokyo");
        for name in ["", "Mars/Olympus", "+02:00", "Etc/Unknown", "EST5EDT4"] {
            assert_eq!(name.parse::<Zone>(), Err(UnknownZone(name.to_owned())));
        }
    }

    #[test]
    fn the_edges_of_the_calendar_are_no_panic() {
        for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
            let zone: Zone = zone.parse().unwrap();
            assert!(zone.start_of_day(Date::MIN) < zone.start_of_day(Date::MAX));
        }
    }
}
