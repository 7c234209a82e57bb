//! Cycles and cadences as invoices show them, sentence by sentence.

use serde_json::{Value, json};

use crate::story::{Story, calls, flat, plan, seats, shown, with};

/// All lines of the invoices up to an instant, in order.
fn lines(story: &mut Story, until: &str) -> Vec<String> {
    story.until(until);
    story.invoices.iter().flat_map(|invoice| &invoice.lines).map(shown).collect()
}

fn monthly() -> [Value; 1] {
    [plan("pro", "month", &[flat("base", "advance", "35.00")])]
}

/// "`anniversary` (default): dates step from the original anchor, so an anchor on the 31st bills on Feb 28 (29) and
/// returns to Mar 31, never drifts."
///
/// Worked example sched-008: from January 31, 2024.
#[test]
fn sched_008_an_anniversary_on_the_31st_bills_in_full_on_each_clamped_date() {
    let mut story = Story::start(&monthly(), "2024-01-31", json!({}));
    assert_eq!(
        lines(&mut story, "2024-04-30"),
        [
            "base fixed 2024-01-31..2024-02-29 = 3500",
            "base fixed 2024-02-29..2024-03-31 = 3500",
            "base fixed 2024-03-31..2024-04-30 = 3500",
            "base fixed 2024-04-30..2024-05-31 = 3500",
        ]
    );
}

/// "Feb 29 yearly bills Feb 28 in common years."
#[test]
fn a_leap_day_is_february_28_in_common_years() {
    let mut story = Story::start(&[plan("pro", "year", &[flat("base", "advance", "1")])], "2024-02-29", json!({}));
    assert_eq!(
        lines(&mut story, "2027-03-01"),
        [
            "base fixed 2024-02-29..2025-02-28 = 100",
            "base fixed 2025-02-28..2026-02-28 = 100",
            "base fixed 2026-02-28..2027-02-28 = 100",
            "base fixed 2027-02-28..2028-02-29 = 100",
        ]
    );
}

/// "`calendar`: the 1st, Monday, Jan 1, first of the quarter; the first period is a stub."
#[test]
fn a_calendar_cycle_begins_with_a_stub() {
    for (interval, count, expected) in [
        ("day", 1, ["base fixed 2023-02-08..2023-02-09 = 36000", "base fixed 2023-02-09..2023-02-10 = 36000"]),
        ("week", 1, ["base fixed 2023-02-08..2023-02-13 5/7 = 25714", "base fixed 2023-02-13..2023-02-20 = 36000"]),
        ("month", 1, ["base fixed 2023-02-08..2023-03-01 21/28 = 27000", "base fixed 2023-03-01..2023-04-01 = 36000"]),
        (
            "month",
            5,
            ["base fixed 2023-02-08..2023-06-01 113/151 = 26940", "base fixed 2023-06-01..2023-11-01 = 36000"],
        ),
        (
            "quarter",
            1,
            ["base fixed 2023-02-08..2023-04-01 52/90 = 20800", "base fixed 2023-04-01..2023-07-01 = 36000"],
        ),
        (
            "quarter",
            2,
            ["base fixed 2023-02-08..2023-07-01 143/181 = 28442", "base fixed 2023-07-01..2024-01-01 = 36000"],
        ),
        ("year", 1, ["base fixed 2023-02-08..2024-01-01 327/365 = 32252", "base fixed 2024-01-01..2025-01-01 = 36000"]),
    ] {
        let body =
            with(plan("pro", interval, &[flat("base", "advance", "360.00")]), json!({ "interval_count": count }));
        let mut story = Story::start(&[body], "2023-02-08T12:00:00Z", json!({ "cycle": "calendar" }));
        story.bill_boundary().unwrap();
        story.bill_boundary().unwrap();
        let lines: Vec<String> = story.invoices.iter().flat_map(|invoice| &invoice.lines).map(shown).collect();
        assert_eq!(lines, expected, "{count} {interval}");
    }
}

/// "A stub before an anchor day is measured against the full period from the anchor before."
#[test]
fn an_anchor_day_begins_with_a_stub() {
    let mut story = Story::start(&monthly(), "2023-01-20", json!({ "anchor_day": 31 }));
    assert_eq!(
        lines(&mut story, "2023-02-28"),
        [
            "base fixed 2023-01-20..2023-01-31 11/31 = 1242",
            "base fixed 2023-01-31..2023-02-28 = 3500",
            "base fixed 2023-02-28..2023-03-31 = 3500",
        ]
    );
    let mut story = Story::start(&monthly(), "2023-02-28", json!({ "anchor_day": 31 }));
    assert_eq!(lines(&mut story, "2023-02-28"), ["base fixed 2023-02-28..2023-03-31 = 3500"]);
    let year = plan("pro", "year", &[flat("base", "advance", "365.00")]);
    let mut story = Story::start(&[year], "2023-05-12", json!({ "anchor_day": 1 }));
    assert_eq!(
        lines(&mut story, "2023-06-01"),
        ["base fixed 2023-05-12..2023-06-01 20/365 = 2000", "base fixed 2023-06-01..2024-06-01 = 36500",]
    );
}

/// "A price may have its own, shorter cadence inside the plan's interval; its windows step from the subscription's
/// original anchor, never leaving a sliver."
#[test]
fn own_cadences_step_from_the_original_anchor() {
    let usage = with(calls("0.10"), json!({ "interval": "month" }));
    let body = plan("pro", "year", &[flat("base", "advance", "100.00"), usage]);
    let mut story = Story::start(&[body], "2023-01-31", json!({}));
    for month in 1..=12 {
        story.uses("calls", &format!("2023-{month:02}-15T00:00:00Z"), "10");
    }
    story.uses("calls", "2024-01-30T23:59:59Z", "20");
    let all = lines(&mut story, "2024-01-31");
    assert_eq!(
        all[..4],
        [
            "base fixed 2023-01-31..2024-01-31 = 10000",
            "calls usage 2023-01-31..2023-02-28 x10 = 100",
            "calls usage 2023-02-28..2023-03-31 x10 = 100",
            "calls usage 2023-03-31..2023-04-30 x10 = 100",
        ]
    );
    assert_eq!(
        all[12..],
        ["base fixed 2024-01-31..2025-01-31 = 10000", "calls usage 2023-12-31..2024-01-31 x20 = 200"]
    );
}

/// The same before the anchor: the stub of a plan is no single window of a shorter cadence.
#[test]
fn own_cadences_step_from_the_anchor_backwards_too() {
    let weekly = |price: Value| with(price, json!({ "interval": "week" }));
    let body = plan("pro", "month", &[weekly(flat("base", "advance", "7.00")), weekly(seats("arrears", "7.00"))]);
    let beginning = json!({ "anchor_day": 15, "quantities": { "seats": "2" } });
    let mut story = Story::start(&[body], "2023-03-05", beginning);
    assert_eq!(
        lines(&mut story, "2023-03-15"),
        [
            "base fixed 2023-03-05..2023-03-08 3/7 = 300",
            "base fixed 2023-03-08..2023-03-15 = 700",
            "seats licensed 2023-03-05..2023-03-08 x2 3/7 = 600",
            "base fixed 2023-03-15..2023-03-22 = 700",
            "seats licensed 2023-03-08..2023-03-15 x2 = 1400",
        ]
    );
    assert_eq!(
        story.until("2023-03-22"),
        ["base fixed 2023-03-22..2023-03-29 = 700", "seats licensed 2023-03-15..2023-03-22 x2 = 1400",]
    );
}

/// The same in a calendar cycle: weeks turn on Mondays also where a month does in between.
#[test]
fn own_cadences_in_a_calendar_cycle_are_the_calendars() {
    let weekly = with(flat("base", "arrears", "7.00"), json!({ "interval": "week" }));
    let mut story = Story::start(&[plan("pro", "month", &[weekly])], "2023-03-22", json!({ "cycle": "calendar" }));
    assert_eq!(
        lines(&mut story, "2023-04-03"),
        ["base fixed 2023-03-22..2023-03-27 5/7 = 500", "base fixed 2023-03-27..2023-04-03 = 700",]
    );
}

/// "A period turns at local midnight (.. a billing date that does not exist at all turns at the first valid instant after
/// it)": Samoa had no December 30, 2011.
#[test]
fn a_day_that_never_was_is_billed_as_a_date() {
    let daily = [plan("pro", "day", &[flat("base", "advance", "1"), calls("1")])];
    let mut story = Story::start(&daily, "2011-12-29T12:00:00Z", json!({ "zone": "Pacific/Apia" }));
    story.uses("calls", "2011-12-30T09:59:59Z", "1");
    story.uses("calls", "2011-12-30T10:00:00Z", "10");
    assert_eq!(
        lines(&mut story, "2011-12-31T10:00:00Z"),
        [
            "base fixed 2011-12-29..2011-12-30 = 100",
            "base fixed 2011-12-30..2011-12-31 = 100",
            "calls usage 2011-12-29..2011-12-30 = 100",
            "base fixed 2011-12-31..2012-01-01 = 100",
            "base fixed 2012-01-01..2012-01-02 = 100",
            "calls usage 2011-12-31..2012-01-01 x10 = 1000",
        ]
    );
}

/// "(.. the first of two if it happens twice ..)": at 00:01 of 1 November 2009 the clocks of Newfoundland went back to 23:01.
/// What happens between the two midnights falls into October 31 by the clock, but that is over.
#[test]
fn a_change_between_two_midnights_belongs_to_the_period_that_has_begun() {
    let [a, b] = [("a", "31.00"), ("b", "60.00")]
        .map(|(key, amount)| plan(key, "month", &[flat("base", "advance", amount), flat("late", "arrears", amount)]));
    let beginning = || json!({ "cycle": "calendar", "zone": "America/St_Johns" });
    let begin = || {
        let mut story = Story::start(&[a.clone(), b.clone()], "2009-10-01T12:00:00Z", beginning());
        assert_eq!(story.until("2009-11-01T02:30:00Z").len(), 2);
        story
    };
    assert_eq!(
        begin().change("2009-11-01T02:45:00Z", json!({ "plan": "b" })),
        ["base proration 2009-11-01..2009-12-01 = -3100", "base fixed 2009-11-01..2009-12-01 = 6000",]
    );
    assert_eq!(
        begin().cancel("2009-11-01T02:45:00Z", domain::ProrationBehavior::Day),
        ["late fixed 2009-11-01..2009-11-02 1/30 = 103", "base proration 2009-11-02..2009-12-01 29/30 = -2997",]
    );
    let mut paused = begin();
    paused.pause("2009-11-01T02:45:00Z");
    paused.resume("2009-11-01T02:50:00Z");
    paused.pause("2009-11-01T02:55:00Z");
    paused.resume("2009-11-11T12:00:00Z");
    assert_eq!(
        paused.until("2009-12-01T03:30:00Z"),
        [
            "base proration 2009-11-01..2009-11-11 10/30 = -1033",
            "base fixed 2009-12-01..2010-01-01 = 3100",
            "late fixed 2009-11-01..2009-12-01 20/30 = 2067",
        ]
    );
}
