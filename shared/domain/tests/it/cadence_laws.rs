//! Laws of cadences: what holds for any anchor, any cycle and any length, over decades and in every zone.

use std::num::NonZeroU16;

use domain::{Anchor, AnchorDay, BillingCycle, BillingPeriod, Cadence, Every, Interval};
use jiff::{
    Span, ToSpan,
    civil::{Date, date},
};
use proptest::{option::of, prelude::*, sample::select};

use crate::laws::{instant, interval, zone};

fn every() -> impl Strategy<Value = Every> {
    (interval(), 1_u16..=7).prop_map(|(interval, count)| Every { interval, count: NonZeroU16::new(count).unwrap() })
}

/// From 1985 to 2035, often the last days of a month.
fn day() -> impl Strategy<Value = Date> {
    let any = (0_i64..18_000).prop_map(|days| date(1985, 1, 1).checked_add(Span::new().days(days)).unwrap());
    prop_oneof![any.clone(), any.prop_map(|day| day.last_of_month()), Just(date(2024, 2, 29))]
}

fn anchor_day() -> impl Strategy<Value = Option<AnchorDay>> {
    of((1_u8..=31).prop_map(|day| AnchorDay::try_from(day).unwrap()))
}

/// Any anchor that exists for a length.
fn anchor(first: Date, cycle: BillingCycle, day: Option<AnchorDay>, every: Every) -> Anchor {
    let (cycle, day) =
        if Anchor::check(cycle, day, every).is_ok() { (cycle, day) } else { (BillingCycle::Anniversary, None) };
    Anchor::new(first, cycle, day)
}

fn cycle() -> impl Strategy<Value = BillingCycle> {
    select(&[BillingCycle::Anniversary, BillingCycle::Calendar][..])
}

/// The windows from that of a day on.
fn windows(cadence: Cadence, day: Date) -> impl Iterator<Item = BillingPeriod> {
    std::iter::successors(Some(cadence.window_containing(day)), move |window| {
        Some(cadence.window_containing(window.end))
    })
}

proptest! {
    /// Thirty years of windows, or a hundred of them, from before the anchor on.
    #[test]
    fn windows_tile_time(first in day(), cycle in cycle(), day in anchor_day(), every in every(), back in 0_i64..4_000) {
        let cadence = anchor(first, cycle, day, every).cadence(every);
        let from = first.checked_sub(back.days()).unwrap();
        let mut next = from;
        for window in windows(cadence, from).take_while(|window| window.start < date(2065, 1, 1)).take(100) {
            prop_assert!(window.start <= next && next < window.end, "{window:?} does not hold {next}");
            prop_assert_eq!(cadence.next_boundary(next), window.end);
            prop_assert_eq!(cadence.window_containing(window.end.yesterday().unwrap()), window);
            next = window.end;
        }
    }

    /// Any day of a window tells the same window.
    #[test]
    fn every_day_is_in_its_window(first in day(), cycle in cycle(), day in anchor_day(), every in every(), other in day()) {
        let cadence = anchor(first, cycle, day, every).cadence(every);
        let window = cadence.window_containing(other);
        prop_assert!(window.start <= other && other < window.end);
        for day in window.start.series(1.day()).take_while(|day| *day < window.end).step_by(13) {
            prop_assert_eq!(cadence.window_containing(day), window);
        }
    }

    /// "Dates step from the *original* anchor": boundary n is n lengths after it, whatever came in between.
    #[test]
    fn an_anniversary_never_drifts(first in day(), every in every()) {
        let cadence = Anchor::new(first, BillingCycle::Anniversary, None).cadence(every);
        for (number, window) in (0_i64..40).zip(windows(cadence, first)) {
            let times = number * i64::from(every.count.get());
            let span = match every.interval {
                Interval::Day => times.days(),
                Interval::Week => times.weeks(),
                Interval::Month => times.months(),
                Interval::Quarter => (3 * times).months(),
                Interval::Year => times.years(),
            };
            prop_assert_eq!(window.start, first.checked_add(span).unwrap());
        }
    }

    /// "`anchor_day` (anniversary, month-based intervals): the first boundary is the first such day, clamped to the
    /// month's end, on or after the start."
    #[test]
    fn an_anchor_day_is_the_first_such_day(first in day(), number in 1_i8..=31, count in 1_u16..=7) {
        let every = Every { interval: Interval::Month, count: NonZeroU16::new(count).unwrap() };
        let day = AnchorDay::try_from(number.unsigned_abs()).unwrap();
        let cadence = Anchor::new(first, BillingCycle::Anniversary, Some(day)).cadence(every);
        let is_such = |day: &Date| day.day() == number.min(day.last_of_month().day());
        let boundary = first.series(1.day()).find(is_such).unwrap();
        prop_assert_eq!(cadence.window_containing(boundary).start, boundary);
        for window in windows(cadence, boundary).take(30) {
            prop_assert!(is_such(&window.start), "{}", window.start);
        }
    }

    /// "`calendar`: the 1st, Monday, Jan 1, first of the quarter (a count above 1 is counted from January .. )."
    #[test]
    fn a_calendar_cycle_is_the_calendars(first in day(), every in every()) {
        prop_assume!(Anchor::check(BillingCycle::Calendar, None, every).is_ok());
        let cadence = Anchor::new(first, BillingCycle::Calendar, None).cadence(every);
        let count = i16::try_from(every.count.get()).unwrap();
        for window in windows(cadence, first).take(30) {
            let start = window.start;
            let months = (start.year() - first.year()) * 12 + i16::from(start.month()) - 1;
            let is_turn = match every.interval {
                Interval::Day => true,
                Interval::Week => start.weekday() == jiff::civil::Weekday::Monday,
                Interval::Month => start.day() == 1 && months.rem_euclid(count) == 0,
                Interval::Quarter => start.day() == 1 && months.rem_euclid(3 * count) == 0,
                Interval::Year => start.day() == 1 && months.rem_euclid(12 * count) == 0,
            };
            prop_assert!(is_turn, "{start} is no turn of {every:?} from {first}");
        }
    }

    /// "Its windows step from the subscription's original anchor, never leaving a sliver": where lengths are multiples of each
    /// other, a longer window ends with a shorter one.
    #[test]
    fn months_never_leave_a_sliver_of_a_quarter_or_year(first in day(), cycle in cycle(), day in anchor_day()) {
        let anchor = Anchor::new(first, cycle, day.filter(|_| cycle == BillingCycle::Anniversary));
        let [months, quarters, years] =
            [Interval::Month, Interval::Quarter, Interval::Year].map(|unit| anchor.cadence(Every::one(unit)));
        for window in windows(years, first).take(20) {
            prop_assert_eq!(windows(months, window.start).nth(12).unwrap().start, window.end);
            prop_assert_eq!(windows(quarters, window.start).nth(4).unwrap().start, window.end);
        }
    }

    /// In every zone: boundaries are instants in the order of their days, and events count in the window of their day.
    #[test]
    fn windows_tile_the_instants_of_any_zone(at in instant(), zone in zone(), cycle in cycle(), every in every()) {
        let first = zone.date_of(at);
        let cadence = anchor(first, cycle, None, every).cadence(every);
        for window in windows(cadence, first).take(60) {
            let (from, to) = (zone.start_of_day(window.start), zone.start_of_day(window.end));
            prop_assert!(from <= to);
            // Only a day that never was has no time.
            prop_assert!(from < to || window.days() == 1, "{window:?}");
            if from < to {
                prop_assert!(zone.date_of(from) >= window.start && zone.date_of(from) < window.end);
            }
        }
    }
}
