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

    /// The first boundary of an anniversary cycle; everything before it is a stub. A calendar has none.
    #[must_use]
    pub fn first_boundary(self) -> Option<Date> {
        (self.cycle == BillingCycle::Anniversary).then_some(self.date)
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
