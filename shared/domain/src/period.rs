//! Billing periods: half-open ranges of local dates that tile a subscription's life.
//!
//! **Invariant:** boundaries step from the original anchor, never from the last boundary, so an anchor on the 31st bills on
//! Feb 28 and returns to Mar 31: nothing drifts.

use std::{fmt, num::NonZeroU16, str::FromStr};

use jiff::{Span, civil::Date};
use serde::{Deserialize, Serialize};

use crate::calendar::days_between;

/// The unit of a billing period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// A calendar month.
    Month,
    /// A calendar year.
    Year,
}

/// Where boundaries lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillingCycle {
    /// On the day of the start, in every period.
    #[default]
    Anniversary,
    /// On the first of the month, or January 1; the first period is a stub.
    Calendar,
}

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
        if (0..=of_days).contains(&days) && of_days > 0 { Ok(Self { days, of_days }) } else { Err(NotProration) }
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

/// How often, and counted from which day, a subscription is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cadence {
    interval: Interval,
    interval_count: NonZeroU16,
    cycle: BillingCycle,
    /// The day that boundaries are counted from: the start, or the first of a month or year in a calendar cycle.
    anchor: Date,
}

impl Cadence {
    /// The cadence of a subscription that starts on a local day, with periods of `interval_count` intervals.
    #[must_use]
    pub fn starting(start: Date, (interval, interval_count): (Interval, NonZeroU16), cycle: BillingCycle) -> Self {
        let anchor = match (cycle, interval) {
            (BillingCycle::Anniversary, _) => start,
            (BillingCycle::Calendar, Interval::Month) if interval_count == NonZeroU16::MIN => start.first_of_month(),
            // Several months are counted from January, so that quarters and half-years lie where everybody expects them.
            (BillingCycle::Calendar, Interval::Month | Interval::Year) => start.first_of_year(),
        };
        Self { interval, interval_count, cycle, anchor }
    }

    /// Where its boundaries lie.
    #[must_use]
    pub fn cycle(&self) -> BillingCycle {
        self.cycle
    }

    /// The full period that contains a day.
    #[must_use]
    pub fn period_containing(&self, day: Date) -> BillingPeriod {
        let month = |date: Date| i64::from(date.year()) * 12 + i64::from(date.month());
        let number = (month(day) - month(self.anchor)).div_euclid(self.months());
        // Counted in months, a day before its month's boundary still belongs to the period before.
        let number = if self.boundary(number) > day { number - 1 } else { number };
        BillingPeriod { start: self.boundary(number), end: self.boundary(number + 1) }
    }

    /// The first boundary after a day.
    #[must_use]
    pub fn next_boundary(&self, after: Date) -> Date {
        self.period_containing(after).end
    }

    /// Boundary `number`, counted from the anchor; days that a month lacks are clamped to its end.
    fn boundary(&self, number: i64) -> Date {
        let span = Span::new().try_months(self.months() * number);
        // A span of more months than the calendar has ends where the calendar does.
        span.map_or(Date::MAX, |span| self.anchor.saturating_add(span))
    }

    fn months(&self) -> i64 {
        let unit = match self.interval {
            Interval::Month => 1,
            Interval::Year => 12,
        };
        unit * i64::from(self.interval_count.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn cadence(start: &str, every: (Interval, u16), cycle: BillingCycle) -> Cadence {
        Cadence::starting(date(start), (every.0, NonZeroU16::new(every.1).unwrap()), cycle)
    }

    fn boundaries(cadence: Cadence, after: &str, count: usize) -> Vec<String> {
        let next = |day: &Date| Some(cadence.next_boundary(*day));
        std::iter::successors(Some(date(after)), next).skip(1).take(count).map(|day| day.to_string()).collect()
    }

    #[test]
    fn an_anchor_on_the_31st_returns_to_the_31st() {
        // Worked example sched-001.
        let monthly = cadence("2022-12-31", (Interval::Month, 1), BillingCycle::Anniversary);
        assert_eq!(
            boundaries(monthly, "2022-12-31", 15),
            [
                "2023-01-31",
                "2023-02-28",
                "2023-03-31",
                "2023-04-30",
                "2023-05-31",
                "2023-06-30",
                "2023-07-31",
                "2023-08-31",
                "2023-09-30",
                "2023-10-31",
                "2023-11-30",
                "2023-12-31",
                "2024-01-31",
                "2024-02-29",
                "2024-03-31",
            ]
        );
    }

    #[test]
    fn an_anchor_on_february_28_does_not_stick_to_the_months_end() {
        // Worked example sched-003.
        let monthly = cadence("2022-02-28", (Interval::Month, 1), BillingCycle::Anniversary);
        let days = boundaries(monthly, "2022-12-31", 12);
        assert!(days.iter().all(|day| day.ends_with("-28")), "{days:?}");
    }

    #[test]
    fn a_leap_day_bills_february_28_in_common_years() {
        let yearly = cadence("2024-02-29", (Interval::Year, 1), BillingCycle::Anniversary);
        assert_eq!(boundaries(yearly, "2024-02-29", 4), ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]);
    }

    #[test]
    fn calendar_months_begin_on_the_first_and_several_are_counted_from_january() {
        let quarterly = cadence("2024-02-15", (Interval::Month, 3), BillingCycle::Calendar);
        assert_eq!(boundaries(quarterly, "2024-02-15", 3), ["2024-04-01", "2024-07-01", "2024-10-01"]);
        let monthly = cadence("2024-02-15", (Interval::Month, 1), BillingCycle::Calendar);
        assert_eq!(boundaries(monthly, "2024-02-15", 2), ["2024-03-01", "2024-04-01"]);
        let yearly = cadence("2024-02-15", (Interval::Year, 1), BillingCycle::Calendar);
        assert_eq!(boundaries(yearly, "2024-02-15", 2), ["2025-01-01", "2026-01-01"]);
    }

    #[test]
    fn a_proration_is_written_unreduced() {
        let period = |start, end| BillingPeriod { start: date(start), end: date(end) };
        let full = period("2024-04-01", "2024-05-01");
        let half = Proration::of(period("2024-04-16", "2024-05-01"), full).unwrap();
        assert_eq!(half.to_string(), "15/30");
        assert_eq!("15/30".parse(), Ok(half));
        assert_eq!(Proration::of(full, full), None);
        for text in ["", "15", "31/30", "-1/30", "0/0", "a/b"] {
            assert_eq!(text.parse::<Proration>(), Err(NotProration));
        }
    }

    #[test]
    fn the_end_of_the_calendar_is_no_panic() {
        let longest = cadence("9000-01-31", (Interval::Year, u16::MAX), BillingCycle::Anniversary);
        assert_eq!(longest.next_boundary(Date::MAX), Date::MAX);
    }
}
