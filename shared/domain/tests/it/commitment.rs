//! Minimum commitments, sentence by sentence.

use domain::ProrationBehavior;
use serde_json::{Value, json};

use crate::story::{Story, calls, flat, plan, with};

fn committed(key: &str, interval: &str, minor: i64, prices: &[Value]) -> Value {
    with(plan(key, interval, prices), json!({ "minimum_commitment_minor": minor }))
}

/// "Per plan a minimum commitment with a true-up at period end: each component is prorated and rounded first, then
/// subtracted."
///
/// Worked example commit-001.
#[test]
fn commit_001_each_component_is_prorated_and_rounded_first() {
    for (interval, cycle, start, lines) in [
        (
            "week",
            "calendar",
            "2023-02-01",
            ["base fixed 2023-02-01..2023-02-06 5/7 = 71429", "- commitment 2023-02-01..2023-02-06 5/7 = 642857"],
        ),
        (
            "month",
            "calendar",
            "2023-02-04",
            ["base fixed 2023-02-04..2023-03-01 25/28 = 89286", "- commitment 2023-02-04..2023-03-01 25/28 = 803571"],
        ),
        (
            "quarter",
            "calendar",
            "2023-02-04",
            ["base fixed 2023-02-04..2023-04-01 56/90 = 62222", "- commitment 2023-02-04..2023-04-01 56/90 = 560000"],
        ),
        (
            "year",
            "calendar",
            "2022-02-01",
            [
                "base fixed 2022-02-01..2023-01-01 334/365 = 91507",
                "- commitment 2022-02-01..2023-01-01 334/365 = 823561",
            ],
        ),
        (
            "month",
            "anniversary",
            "2023-02-04",
            ["base fixed 2023-02-04..2023-03-04 = 100000", "- commitment 2023-02-04..2023-03-04 = 900000"],
        ),
    ] {
        let body = committed("pro", interval, 1_000_000, &[flat("base", "arrears", "1000.00")]);
        let mut story = Story::start(&[body], start, json!({ "cycle": cycle }));
        story.bill_boundary().unwrap();
        story.bill_boundary().unwrap();
        assert_eq!(story.last(), lines, "{interval}");
    }
}

/// "Lines for a minimum or a commitment appear only when something is missing."
///
/// And amounts count before discount and tax; worked example commit-003.
#[test]
fn commit_003_what_is_missing_is_added() {
    for (usage, lines) in [
        ("800", vec!["calls usage 2023-04-01..2023-05-01 x800 = 80000", "- commitment 2023-04-01..2023-05-01 = 20000"]),
        ("1000", vec!["calls usage 2023-04-01..2023-05-01 x1000 = 100000"]),
        ("1300", vec!["calls usage 2023-04-01..2023-05-01 x1300 = 130000"]),
    ] {
        let body = committed("pro", "month", 100_000, &[calls("1")]);
        let coupons = json!([ { "key": "half", "percent_off": "50", "duration": "forever", "applies_to": ["calls"] } ]);
        let mut story = Story::start(&[body], "2023-04-01", json!({ "coupons": coupons })).taxed("20");
        story.uses("calls", "2023-04-10T00:00:00Z", usage);
        assert_eq!(story.until("2023-05-01"), lines);
    }
}

/// What was billed in advance counts to the period that it is for.
#[test]
fn advance_counts_to_its_own_period() {
    let prices = [flat("base", "advance", "60.00"), calls("1")];
    let mut story = Story::start(&[committed("pro", "month", 10_000, &prices)], "2023-04-01", json!({}));
    story.uses("calls", "2023-04-10T00:00:00Z", "10");
    story.uses("calls", "2023-05-10T00:00:00Z", "40");
    assert_eq!(
        story.until("2023-05-01"),
        [
            "base fixed 2023-05-01..2023-06-01 = 6000",
            "calls usage 2023-04-01..2023-05-01 x10 = 1000",
            "- commitment 2023-04-01..2023-05-01 = 3000",
        ]
    );
    assert_eq!(
        story.until("2023-06-01"),
        ["base fixed 2023-06-01..2023-07-01 = 6000", "calls usage 2023-05-01..2023-06-01 x40 = 4000",]
    );
}

/// A price's own, shorter cadence counts to the plan's period, at whose end the commitment is trued up.
#[test]
fn the_commitment_is_the_plans_period_own() {
    let monthly = with(calls("1"), json!({ "interval": "month" }));
    let mut story = Story::start(&[committed("pro", "quarter", 10_000, &[monthly])], "2023-01-01", json!({}));
    for month in ["2023-01-10T00:00:00Z", "2023-02-10T00:00:00Z", "2023-03-10T00:00:00Z"] {
        story.uses("calls", month, "20");
    }
    assert_eq!(story.until("2023-02-01"), ["calls usage 2023-01-01..2023-02-01 x20 = 2000"]);
    assert_eq!(story.until("2023-03-01"), ["calls usage 2023-02-01..2023-03-01 x20 = 2000"]);
    assert_eq!(
        story.until("2023-04-01"),
        ["calls usage 2023-03-01..2023-04-01 x20 = 2000", "- commitment 2023-01-01..2023-04-01 = 4000",]
    );
}

/// Where a plan ends within its period, its commitment is for the days so far; credits reduce what was billed.
#[test]
fn a_commitment_ends_with_its_plan() {
    let a = committed("a", "month", 9_000, &[flat("base", "advance", "30.00")]);
    let b = committed("b", "month", 18_000, &[flat("base", "advance", "60.00")]);
    let mut story = Story::start(&[a, b], "2023-04-01", json!({}));
    assert_eq!(
        story.change("2023-04-11", json!({ "plan": "b" })),
        [
            "base proration 2023-04-11..2023-05-01 20/30 = -2000",
            "- commitment 2023-04-01..2023-04-11 10/30 = 2000",
            "base fixed 2023-04-11..2023-05-01 20/30 = 4000",
        ]
    );
    assert_eq!(
        story.cancel("2023-04-20T12:00:00Z", ProrationBehavior::Day),
        ["base proration 2023-04-21..2023-05-01 10/30 = -2000", "- commitment 2023-04-11..2023-04-21 10/30 = 4000",]
    );
}

/// Paused days are not committed, and the credit for them counts to the period of the pause.
#[test]
fn paused_days_are_not_committed() {
    let body = committed("a", "month", 9_000, &[flat("base", "advance", "30.00")]);
    let mut story = Story::start(&[body], "2023-04-01", json!({}));
    story.pause("2023-04-11");
    story.resume("2023-04-21");
    // 20 days of 3.00 a day, of which 30.00 less 10.00 were billed.
    assert_eq!(
        story.until("2023-05-01"),
        [
            "base proration 2023-04-11..2023-04-21 10/30 = -1000",
            "base fixed 2023-05-01..2023-06-01 = 3000",
            "- commitment 2023-04-01..2023-05-01 20/30 = 4000",
        ]
    );
}
