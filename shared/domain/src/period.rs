//! Billing periods: half-open ranges of local dates, and parts of them.

use std::{fmt, str::FromStr};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{AmountError, Exact, calendar::days_between};

/// A half-open range of local dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillingPeriod {
    /// First day in it.
    pub start: Date,
    /// First day after it.
    pub end: Date,
}

impl BillingPeriod {
    /// Days in it.
    #[must_use]
    pub fn days(&self) -> i64 {
        days_between(self.start, self.end)
    }
}

/// The part of a full period that is billed, in days; on the wire unreduced: "15/30".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Proration {
    days: i64,
    of_days: i64,
}

/// Text that is no part of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be days of days, such as \"15/30\"")]
pub struct NotProration;

impl Proration {
    /// The part that `part` is of `full`; none when it is all of it.
    #[must_use]
    pub fn of(part: BillingPeriod, full: BillingPeriod) -> Option<Self> {
        (part != full).then(|| Self { days: part.days(), of_days: full.days() })
    }

    /// So many days of a full period; none when they are all of it.
    #[must_use]
    pub fn of_days(days: i64, full: BillingPeriod) -> Option<Self> {
        (days != full.days()).then(|| Self { days, of_days: full.days() })
    }

    /// The part as a number.
    pub(crate) fn ratio(self) -> Result<Exact, AmountError> {
        Exact::ratio(self.days, self.of_days)
    }

    /// Days in the part and in the full period.
    #[must_use]
    pub fn days(self) -> (i64, i64) {
        (self.days, self.of_days)
    }
}

impl fmt::Display for Proration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.days, self.of_days)
    }
}

impl FromStr for Proration {
    type Err = NotProration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (days, of_days) = text.split_once('/').ok_or(NotProration)?;
        let number = |text: &str| text.parse::<i64>().map_err(|_| NotProration);
        let (days, of_days) = (number(days)?, number(of_days)?);
        if days >= 0 && days <= of_days && of_days > 0 { Ok(Self { days, of_days }) } else { Err(NotProration) }
    }
}

impl TryFrom<String> for Proration {
    type Error = NotProration;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Proration> for String {
    fn from(proration: Proration) -> Self {
        proration.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proration_is_written_unreduced() {
        let period =
            |start: &str, end: &str| BillingPeriod { start: start.parse().unwrap(), end: end.parse().unwrap() };
        let full = period("2024-04-01", "2024-05-01");
        let half = Proration::of(period("2024-04-16", "2024-05-01"), full).unwrap();
        assert_eq!((half.to_string().as_str(), half.days()), ("15/30", (15, 30)));
        assert_eq!((Proration::of_days(15, full), Proration::of_days(30, full)), (Some(half), None));
        assert_eq!("15/30".parse(), Ok(half));
        assert_eq!(serde_json::to_value(half).unwrap(), "15/30");
        assert_eq!(Proration::of(full, full), None);
        for text in ["", "15", "31/30", "-1/30", "0/0", "1/-30", "a/b"] {
            assert_eq!(text.parse::<Proration>(), Err(NotProration));
        }
    }
}
