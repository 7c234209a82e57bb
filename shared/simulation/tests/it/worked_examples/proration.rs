//! Parts of periods: stubs, changes within a period, trials, and the commitments of parts.

use serde_json::{Value, json};

use crate::story::{act, briefs, fixed, invoice, issue_days, lines_of, plan, scenario, subscribe, told, with};

/// A subscription whose periods lie in the calendar.
fn in_the_calendar(start: &str) -> Value {
    with(subscribe(start, "a"), json!({ "billing_cycle": "calendar" }))
}

fn change(instant: &str) -> Value {
    act(instant, "change", json!({ "subscription": "s1", "plan": "b" }))
}

/// An upgrade in arrears: the old plan's days at the change, the new one's at the end of the month.
#[test]
fn pro_001_an_upgrade_in_arrears_bills_the_days_of_each_plan() {
    let plans =
        [("a", "100.00"), ("b", "200.00")].map(|(key, amount)| plan(key, "month", vec![fixed(key, "arrears", amount)]));
    let timeline = vec![in_the_calendar("2023-01-01"), change("2023-01-15")];
    let output = told(&scenario(plans.to_vec(), timeline, "2023-02-01"));
    assert_eq!(issue_days(&output), ["2023-01-15", "2023-02-01"]);
    assert_eq!(briefs(&output, 1), ["a fixed 2023-01-01..2023-01-15 14/31 4516"]);
    assert_eq!(briefs(&output, 2), ["b fixed 2023-01-15..2023-02-01 17/31 10968"]);
}

/// A stub is billed by its days, the day of the start included.
#[test]
fn pro_002_a_stub_of_24_days_with_tax() {
    let plan = plan("a", "month", vec![fixed("base", "advance", "50.00")]);
    let output = told(&with(
        scenario(vec![plan], vec![in_the_calendar("2023-01-08")], "2023-01-31"),
        json!({ "customer": { "currency": "usd", "tax_rates": [{ "name": "VAT", "percent": "20" }] } }),
    ));
    assert_eq!(briefs(&output, 1), ["base fixed 2023-01-08..2023-02-01 24/31 3871"]);
    let first = invoice(&output, 1);
    assert_eq!((first.subtotal_minor, first.tax_minor, first.total_minor), (3_871, 774, 4_645));
}

/// A downgrade waits for the period's end; the new plan's year steps from the original start.
#[test]
fn pro_004_a_downgrade_to_a_yearly_plan_keeps_the_original_anchor() {
    let plans = vec![
        plan("a", "month", vec![fixed("monthly", "advance", "129.00")]),
        plan("b", "year", vec![fixed("yearly", "advance", "1188.00")]),
    ];
    let timeline = vec![subscribe("2023-07-19", "a"), change("2023-11-09")];
    let output = told(&scenario(plans, timeline, "2024-07-19"));
    let monthly = lines_of(&output, "monthly");
    assert_eq!(monthly.last().map(|line| line.period.end.to_string()).as_deref(), Some("2023-11-19"));
    assert_eq!(briefs(&output, 5), ["yearly fixed 2023-11-19..2024-07-19 243/366 78875"]);
    assert_eq!(briefs(&output, 6), ["yearly fixed 2024-07-19..2025-07-19 118800"]);
}

/// A stub of a leap February is measured against its 29 days.
#[test]
fn pro_006_a_stub_in_a_leap_february() {
    let plan = plan("a", "month", vec![fixed("base", "advance", "2000.00")]);
    let output = told(&scenario(vec![plan], vec![in_the_calendar("2024-02-04")], "2024-02-29"));
    assert_eq!(briefs(&output, 1), ["base fixed 2024-02-04..2024-03-01 26/29 179310"]);
}

/// From a monthly to a yearly plan within a month: the unused days back, the rest of the year from the original anchor.
#[test]
fn pro_010_a_change_from_monthly_to_yearly_now() {
    let plans = vec![
        plan("a", "month", vec![fixed("monthly", "advance", "249.95")]),
        plan("b", "year", vec![fixed("yearly", "advance", "2399.95")]),
    ];
    let now = with(change("2012-05-12"), json!({ "when": "now" }));
    let output = told(&scenario(plans, vec![subscribe("2012-05-01", "a"), now], "2013-05-01"));
    assert_eq!(
        briefs(&output, 2),
        ["monthly proration 2012-05-12..2012-06-01 20/31 -16126", "yearly fixed 2012-05-12..2013-05-01 354/365 232762"]
    );
    assert_eq!(invoice(&output, 2).total_minor, 216_636);
    assert_eq!(briefs(&output, 3), ["yearly fixed 2013-05-01..2014-05-01 239995"]);
}

/// The source prorates by the second, we by the local day, which belongs to the new state: halfway through a month of 30
/// days is all of the 16th day, at noon as at midnight.
#[test]
fn pro_018_halfway_is_a_day_and_not_a_second() {
    let plans =
        [("a", "10.00"), ("b", "20.00")].map(|(key, amount)| plan(key, "month", vec![fixed(key, "advance", amount)]));
    for instant in ["2024-04-16T00:00:00Z", "2024-04-16T12:00:00Z", "2024-04-16T23:59:59Z"] {
        let timeline = vec![subscribe("2024-04-01", "a"), change(instant)];
        let output = told(&scenario(plans.to_vec(), timeline, "2024-04-30"));
        assert_eq!(
            briefs(&output, 2),
            ["a proration 2024-04-16..2024-05-01 15/30 -500", "b fixed 2024-04-16..2024-05-01 15/30 1000"]
        );
        assert_eq!(invoice(&output, 2).total_minor, 500);
    }
}

/// In the calendar the fee that starts with the trial's end is a stub.
#[test]
fn trial_001_the_fee_starts_when_the_trial_ends() {
    let plan = plan("a", "month", vec![fixed("base", "advance", "50000.00")]);
    let timeline = vec![with(in_the_calendar("2024-03-05"), json!({ "trial_days": 10 }))];
    let output = told(&scenario(vec![plan], timeline, "2024-03-31"));
    assert_eq!(issue_days(&output), ["2024-03-15"]);
    assert_eq!(briefs(&output, 1), ["base fixed 2024-03-15..2024-04-01 17/31 2741935"]);
}

/// Commitment and fee are prorated and rounded each, then subtracted: the year is 9150.68 less 915.07, which is 8235.61,
/// not the 8235.62 that 9000.00 x 334/365 would be.
#[test]
fn commit_001_each_part_is_rounded_before_it_is_subtracted() {
    for (interval, start, end, cycle, part, true_up) in [
        ("week", "2023-02-01", "2023-02-06", "calendar", " 5/7", 642_857),
        ("month", "2023-02-04", "2023-03-01", "calendar", " 25/28", 803_571),
        ("quarter", "2023-02-04", "2023-04-01", "calendar", " 56/90", 560_000),
        ("year", "2022-02-01", "2023-01-01", "calendar", " 334/365", 823_561),
        ("month", "2023-02-04", "2023-03-04", "anniversary", "", 900_000),
    ] {
        let plan = plan("a", interval, vec![fixed("fee", "arrears", "1000.00")]);
        let plan = with(plan, json!({ "minimum_commitment_minor": 1_000_000 }));
        let start_of_cycle = with(subscribe(start, "a"), json!({ "billing_cycle": cycle }));
        let output = told(&scenario(vec![plan], vec![start_of_cycle], end));
        assert_eq!(issue_days(&output), [end]);
        assert_eq!(briefs(&output, 1)[1], format!("- commitment {start}..{end}{part} {true_up}"), "{interval}");
    }
}
