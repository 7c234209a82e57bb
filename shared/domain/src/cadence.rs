//! Cadences: where the boundaries of billing periods lie.
//!
//! **Invariant:** boundaries step from the original anchor, never from the last boundary, so an anchor on the 31st bills on
//! Feb 28 and returns to Mar 31: nothing drifts. **Invariant:** the windows of a cadence tile time, also before the anchor.

use std::num::NonZeroU16;

use jiff::{Span, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{BillingPeriod, SpecError, calendar::days_between};

/// The unit of a billing period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// A local day.
    Day,
    /// Seven days.
    Week,
    /// A calendar month.
    Month,
    /// Three calendar months.
    Quarter,
    /// A calendar year.
    Year,
}

/// Where boundaries lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillingCycle {
    /// On the day of the start, or of the trial's end, in every period.
    #[default]
    Anniversary,
    /// On the first of the month or quarter, on Mondays, or on January 1; the first period is a stub.
    Calendar,
}

/// A period's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every {
    /// Its unit.
    pub interval: Interval,
    /// How many of them.
    pub count: NonZeroU16,
}

/// A length in the calendar's own units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Days(i64),
    Months(i64),
}

impl Every {
    /// One interval.
    #[must_use]
    pub fn one(interval: Interval) -> Self {
        Self { interval, count: NonZeroU16::MIN }
    }

    fn length(self) -> Length {
        let count = i64::from(self.count.get());
        match self.interval {
            Interval::Day => Length::Days(count),
            Interval::Week => Length::Days(7 * count),
            Interval::Month => Length::Months(count),
            Interval::Quarter => Length::Months(3 * count),
            Interval::Year => Length::Months(12 * count),
        }
    }

    /// Whether it is at least as long as another one, in every month.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        match (self.length(), other.length()) {
            (Length::Days(long), Length::Days(short)) | (Length::Months(long), Length::Months(short)) => long >= short,
            (Length::Months(long), Length::Days(short)) => long * 28 >= short,
            (Length::Days(long), Length::Months(short)) => long >= short * 31,
        }
    }

    fn is_months(self) -> bool {
        matches!(self.length(), Length::Months(_))
    }
}

/// The day of the month that periods begin on: 1 to 31, in shorter months their last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct AnchorDay(i8);

/// A number that is no day of a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a day of the month, 1 to 31")]
pub struct NotAnchorDay;

impl TryFrom<u8> for AnchorDay {
    type Error = NotAnchorDay;

    fn try_from(day: u8) -> Result<Self, NotAnchorDay> {
        i8::try_from(day).ok().filter(|day| (1..=31).contains(day)).map(Self).ok_or(NotAnchorDay)
    }
}

impl From<AnchorDay> for u8 {
    fn from(day: AnchorDay) -> Self {
        day.0.unsigned_abs()
    }
}

/// What all grids of a subscription step from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    cycle: BillingCycle,
    /// A day of the first month that boundaries are counted from.
    date: Date,
    /// The day of the month, which that month may lack.
    day: i8,
}

impl Anchor {
    /// The anchor of a subscription whose first billed day is `first_day`: its start, or its trial's end.
    #[must_use]
    pub fn new(first_day: Date, cycle: BillingCycle, anchor_day: Option<AnchorDay>) -> Self {
        let Some(AnchorDay(day)) = anchor_day else {
            return Self { cycle, date: first_day, day: first_day.day() };
        };
        // The first such day, clamped to the month's end, on or after the first day.
        let here = clamped(first_day, day);
        let date = if here >= first_day { here } else { clamped(plus_months(first_day.first_of_month(), 1), day) };
        Self { cycle, date, day }
    }

    /// Whether a plan's interval has such a cycle and such an anchor day.
    ///
    /// # Errors
    /// A [`SpecError`] at `billing_cycle` or `anchor_day`.
    pub fn check(cycle: BillingCycle, anchor_day: Option<AnchorDay>, every: Every) -> Result<(), SpecError> {
        if cycle == BillingCycle::Calendar && !every.is_months() && every.count > NonZeroU16::MIN {
            return Err(SpecError::new("billing_cycle", "cannot be calendar for several weeks or days"));
        }
        if anchor_day.is_some() && (cycle == BillingCycle::Calendar || !every.is_months()) {
            return Err(SpecError::new("anchor_day", "needs an anniversary cycle of months, quarters or years"));
        }
        Ok(())
    }

    /// The grid of periods of a length.
    #[must_use]
    pub fn cadence(self, every: Every) -> Cadence {
        let length = every.length();
        if self.cycle == BillingCycle::Anniversary {
            return Cadence { origin: self.date, day: self.day, length };
        }
        let origin = match (every.interval, every.count.get()) {
            (Interval::Day, _) => self.date,
            (Interval::Week, _) => monday(self.date),
            (Interval::Month, 1) => self.date.first_of_month(),
            // Several months are counted from January, so that quarters and half-years lie where everybody expects them.
            _ => self.date.first_of_year(),
        };
        Cadence { origin, day: origin.day(), length }
    }
}

/// A grid of periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    origin: Date,
    /// The day of the month, which the origin's month may lack.
    day: i8,
    length: Length,
}

impl Cadence {
    /// The full window that contains a day.
    #[must_use]
    pub fn window_containing(&self, day: Date) -> BillingPeriod {
        let number = match self.length {
            Length::Days(days) => days_between(self.origin, day).div_euclid(days),
            Length::Months(months) => {
                let month = |date: Date| i64::from(date.year()) * 12 + i64::from(date.month());
                let number = (month(day) - month(self.origin)).div_euclid(months);
                // Counted in months, a day before its month's boundary still belongs to the period before.
                if self.boundary(number) > day { number - 1 } else { number }
            }
        };
        BillingPeriod { start: self.boundary(number), end: self.boundary(number + 1) }
    }

    /// The first boundary after a day.
    #[must_use]
    pub fn next_boundary(&self, after: Date) -> Date {
        self.window_containing(after).end
    }

    /// Boundary `number`, counted from the origin; a day that a month lacks is clamped to its end.
    fn boundary(&self, number: i64) -> Date {
        match self.length {
            Length::Days(days) => {
                let span = Span::new().try_days(days.saturating_mul(number));
                span.map_or(Date::MAX, |span| self.origin.saturating_add(span))
            }
            Length::Months(months) => {
                clamped(plus_months(self.origin.first_of_month(), months.saturating_mul(number)), self.day)
            }
        }
    }
}

/// Where the calendar ends, a sum ends, too.
fn plus_months(date: Date, months: i64) -> Date {
    Span::new().try_months(months).map_or(Date::MAX, |span| date.saturating_add(span))
}

/// A day of a date's month, or its last one.
fn clamped(date: Date, day: i8) -> Date {
    let last = date.last_of_month();
    if day >= last.day() { last } else { date.with().day(day).build().unwrap_or(last) }
}

/// The Monday on or before a day.
fn monday(date: Date) -> Date {
    let days = i64::from(date.weekday().to_monday_zero_offset());
    date.saturating_sub(Span::new().days(days))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn every(interval: Interval, count: u16) -> Every {
        Every { interval, count: NonZeroU16::new(count).unwrap() }
    }

    fn anniversary(first: &str, every: Every) -> Cadence {
        Anchor::new(date(first), BillingCycle::Anniversary, None).cadence(every)
    }

    fn calendar(first: &str, every: Every) -> Cadence {
        Anchor::new(date(first), BillingCycle::Calendar, None).cadence(every)
    }

    fn boundaries(cadence: Cadence, after: &str, count: usize) -> Vec<String> {
        let next = |day: &Date| Some(cadence.next_boundary(*day));
        std::iter::successors(Some(date(after)), next).skip(1).take(count).map(|day| day.to_string()).collect()
    }

    #[test]
    fn sched_001_an_anchor_on_the_31st_returns_to_the_31st() {
        let monthly = anniversary("2022-12-31", Every::one(Interval::Month));
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
    fn sched_003_an_anchor_on_february_28_does_not_stick_to_the_months_end() {
        let monthly = anniversary("2022-02-28", Every::one(Interval::Month));
        let days = boundaries(monthly, "2022-12-31", 12);
        let expected: Vec<String> = (1..=12).map(|month| format!("2023-{month:02}-28")).collect();
        assert_eq!(days, expected);
    }

    #[test]
    fn sched_006_an_anchor_on_january_31_bills_on_the_last_day_of_shorter_months() {
        let from = |anchor| boundaries(anniversary(anchor, Every::one(Interval::Month)), anchor, 3);
        assert_eq!(from("2023-01-31"), ["2023-02-28", "2023-03-31", "2023-04-30"]);
        assert_eq!(from("2024-01-31"), ["2024-02-29", "2024-03-31", "2024-04-30"]);
    }

    #[test]
    fn sched_011_the_first_boundary_is_the_first_such_day_on_or_after_the_start() {
        for (start, day, first) in [
            ("2012-01-16", 17, "2012-01-17"),
            ("2012-02-16", 30, "2012-02-29"),
            ("2012-01-31", 30, "2012-02-29"),
            ("2012-02-16", 14, "2012-03-14"),
            ("2012-07-16", 15, "2012-08-15"),
            ("2012-03-02", 3, "2012-03-03"),
            ("2012-03-03", 3, "2012-03-03"),
            ("2012-03-04", 3, "2012-04-03"),
        ] {
            let day = AnchorDay::try_from(day).unwrap();
            let anchor = Anchor::new(date(start), BillingCycle::Anniversary, Some(day));
            let before = date(start).yesterday().unwrap().to_string();
            assert_eq!(boundaries(anchor.cadence(Every::one(Interval::Month)), &before, 1), [first], "{start}");
        }
    }

    #[test]
    fn a_leap_day_bills_february_28_in_common_years() {
        let yearly = anniversary("2024-02-29", Every::one(Interval::Year));
        assert_eq!(boundaries(yearly, "2024-02-29", 4), ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]);
    }

    /// "The interval is day, week, month, quarter (3 months) or year, with a count."
    #[test]
    fn days_and_weeks_are_counted_from_the_anchor() {
        let ten_days = anniversary("2024-02-25", every(Interval::Day, 10));
        assert_eq!(boundaries(ten_days, "2024-02-25", 3), ["2024-03-06", "2024-03-16", "2024-03-26"]);
        let fortnights = anniversary("2024-02-28", every(Interval::Week, 2));
        assert_eq!(boundaries(fortnights, "2024-02-28", 2), ["2024-03-13", "2024-03-27"]);
        let quarters = anniversary("2023-11-30", Every::one(Interval::Quarter));
        assert_eq!(boundaries(quarters, "2023-11-30", 3), ["2024-02-29", "2024-05-30", "2024-08-30"]);
    }

    #[test]
    fn a_calendar_has_its_own_boundaries_and_several_months_are_counted_from_january() {
        let monthly = calendar("2024-02-15", Every::one(Interval::Month));
        assert_eq!(boundaries(monthly, "2024-02-15", 2), ["2024-03-01", "2024-04-01"]);
        let weekly = calendar("2024-02-15", Every::one(Interval::Week));
        assert_eq!(boundaries(weekly, "2024-02-15", 2), ["2024-02-19", "2024-02-26"]);
        let daily = calendar("2024-02-15", Every::one(Interval::Day));
        assert_eq!(boundaries(daily, "2024-02-15", 2), ["2024-02-16", "2024-02-17"]);
        let yearly = calendar("2024-02-15", Every::one(Interval::Year));
        assert_eq!(boundaries(yearly, "2024-02-15", 2), ["2025-01-01", "2026-01-01"]);
        for every in [every(Interval::Month, 3), Every::one(Interval::Quarter)] {
            assert_eq!(
                boundaries(calendar("2024-02-15", every), "2024-02-15", 3),
                ["2024-04-01", "2024-07-01", "2024-10-01"]
            );
        }
        let half_years = calendar("2024-08-15", every(Interval::Quarter, 2));
        assert_eq!(boundaries(half_years, "2024-08-15", 2), ["2025-01-01", "2025-07-01"]);
    }

    #[test]
    fn windows_step_backwards_too() {
        let monthly = anniversary("2024-03-31", Every::one(Interval::Month));
        let window = monthly.window_containing(date("2024-02-10"));
        assert_eq!((window.start, window.end), (date("2024-01-31"), date("2024-02-29")));
        let ten_days = anniversary("2024-03-31", every(Interval::Day, 10));
        let window = ten_days.window_containing(date("2024-03-20"));
        assert_eq!((window.start, window.end), (date("2024-03-11"), date("2024-03-21")));
    }

    #[test]
    fn several_weeks_or_days_have_no_calendar_and_only_months_an_anchor_day() {
        let refused = |cycle, day: Option<u8>, every| {
            let day = day.map(|day| AnchorDay::try_from(day).unwrap());
            Anchor::check(cycle, day, every).err().map(|error| error.path)
        };
        for interval in [Interval::Day, Interval::Week] {
            assert_eq!(refused(BillingCycle::Calendar, None, every(interval, 1)), None);
            assert_eq!(refused(BillingCycle::Calendar, None, every(interval, 2)).as_deref(), Some("billing_cycle"));
            assert_eq!(refused(BillingCycle::Anniversary, None, every(interval, 2)), None);
            assert_eq!(refused(BillingCycle::Anniversary, Some(1), every(interval, 1)).as_deref(), Some("anchor_day"));
        }
        for interval in [Interval::Month, Interval::Quarter, Interval::Year] {
            assert_eq!(refused(BillingCycle::Calendar, None, every(interval, 2)), None);
            assert_eq!(refused(BillingCycle::Anniversary, Some(31), every(interval, 2)), None);
            assert_eq!(refused(BillingCycle::Calendar, Some(1), every(interval, 1)).as_deref(), Some("anchor_day"));
        }
    }

    #[test]
    fn an_anchor_day_is_a_day_of_a_month() {
        assert_eq!([1, 31].map(|day| AnchorDay::try_from(day).map(u8::from)), [Ok(1), Ok(31)]);
        assert_eq!([0, 32, 255].map(AnchorDay::try_from), [Err(NotAnchorDay); 3]);
    }

    #[test]
    fn a_length_covers_those_that_fit_into_its_shortest() {
        let covers = |long, short| every(Interval::Month, long).covers(every(Interval::Day, short));
        assert!(covers(1, 28) && !covers(1, 29));
        assert!(every(Interval::Day, 31).covers(Every::one(Interval::Month)));
        assert!(!every(Interval::Day, 30).covers(Every::one(Interval::Month)));
        assert!(Every::one(Interval::Quarter).covers(every(Interval::Month, 3)));
    }

    #[test]
    fn the_ends_of_the_calendar_are_no_panic() {
        for day in [Date::MIN, Date::MAX] {
            for every in [every(Interval::Year, u16::MAX), every(Interval::Day, u16::MAX), Every::one(Interval::Week)] {
                for cycle in [BillingCycle::Anniversary, BillingCycle::Calendar] {
                    let cadence = Anchor::new(date("9000-01-31"), cycle, None).cadence(every);
                    let window = cadence.window_containing(day);
                    assert!(window.start <= window.end, "{every:?} {day}");
                }
            }
        }
        let longest = anniversary("9000-01-31", every(Interval::Year, u16::MAX));
        assert_eq!(longest.next_boundary(Date::MAX), Date::MAX);
    }
}
