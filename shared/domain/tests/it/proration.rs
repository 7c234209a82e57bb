//! Proration, sentence by sentence.

use domain::{ProrationBehavior, SubscriptionStatus};
use serde_json::json;

use crate::story::{Story, calls, flat, plan, seats, with};

/// "Proration is by local days: days in the part / days in the full period, shown unreduced ("15/30")."
#[test]
fn a_part_is_days_of_days_unreduced() {
    let base = plan("pro", "month", &[flat("base", "advance", "30.00")]);
    let mut story = Story::start(&[base], "2023-04-16T10:00:00Z", json!({ "cycle": "calendar" }));
    assert_eq!(story.until("2023-04-20"), ["base fixed 2023-04-16..2023-05-01 15/30 = 1500"]);
}

/// Worked example pro-002: a calendar month from January 8 in advance, with 20% tax.
#[test]
fn pro_002_a_stub_is_billed_in_advance_with_tax() {
    let base = plan("pro", "month", &[flat("base", "advance", "50.00")]);
    let mut story = Story::start(&[base], "2023-01-08", json!({ "cycle": "calendar" })).taxed("20");
    assert_eq!(story.until("2023-01-08"), ["base fixed 2023-01-08..2023-02-01 24/31 = 3871"]);
    assert_eq!((story.invoices[0].tax_minor, story.invoices[0].total_minor), (774, 4645));
}

/// Worked example pro-006: a leap February from the 4th on.
#[test]
fn pro_006_a_leap_february_has_29_days() {
    let base = plan("pro", "month", &[flat("base", "advance", "2000.00")]);
    let mut story = Story::start(&[base], "2024-02-04", json!({ "cycle": "calendar" }));
    assert_eq!(story.until("2024-02-04"), ["base fixed 2024-02-04..2024-03-01 26/29 = 179310"]);
}

/// Worked example pro-001: in arrears, the old plan is billed up to the change, the new one from there on.
#[test]
fn pro_001_an_upgrade_bills_the_old_plans_arrears_so_far() {
    let [a, b] =
        [("a", "100.00"), ("b", "200.00")].map(|(key, amount)| plan(key, "month", &[flat("base", "arrears", amount)]));
    let mut story = Story::start(&[a, b], "2023-01-01", json!({ "cycle": "calendar" }));
    assert_eq!(
        story.change("2023-01-15T12:00:00Z", json!({ "plan": "b" })),
        ["base fixed 2023-01-01..2023-01-15 14/31 = 4516"]
    );
    assert_eq!(story.until("2023-02-01"), ["base fixed 2023-01-15..2023-02-01 17/31 = 10968"]);
}

/// "On a plan or quantity change the local day of the change belongs to the new state."
///
/// Whatever the hour, and by the customer's calendar.
#[test]
fn the_local_day_of_a_change_belongs_to_the_new_state() {
    // January 15 in Tokyo.
    for instant in ["2023-01-14T15:00:00Z", "2023-01-15T14:59:59Z"] {
        let [a, b] = ["a", "b"].map(|key| plan(key, "month", &[flat("base", "arrears", "31.00")]));
        let beginning = json!({ "cycle": "calendar", "zone": "Asia/Tokyo" });
        let mut story = Story::start(&[a, b], "2022-12-31T15:00:00Z", beginning);
        let lines = story.change(instant, json!({ "plan": "b" }));
        assert_eq!(lines, ["base fixed 2023-01-01..2023-01-15 14/31 = 1400"], "{instant}");
        assert_eq!(story.until("2023-01-31T15:00:00Z"), ["base fixed 2023-01-15..2023-02-01 17/31 = 1700"]);
    }
    let team = plan("team", "month", &[seats("arrears", "31.00")]);
    let beginning = json!({ "cycle": "calendar", "quantities": { "seats": "1" } });
    let mut story = Story::start(&[team], "2023-01-01", beginning);
    let lines = story.change("2023-01-15T23:59:59Z", json!({ "quantities": { "seats": "2" } }));
    assert_eq!(lines, ["seats licensed 2023-01-01..2023-01-15 14/31 = 1400"]);
    assert_eq!(story.until("2023-02-01"), ["seats licensed 2023-01-15..2023-02-01 x2 17/31 = 3400"]);
}

/// "Usage is split at the instant of the change."
#[test]
fn usage_is_split_at_the_instant_of_a_change() {
    let [a, b] = [("a", "0.10"), ("b", "0.20")].map(|(key, amount)| plan(key, "month", &[calls(amount)]));
    let mut story = Story::start(&[a, b], "2023-01-01", json!({ "cycle": "calendar" }));
    story.uses("calls", "2023-01-15T11:59:59Z", "10");
    story.uses("calls", "2023-01-15T12:00:00Z", "20");
    let lines = story.change("2023-01-15T12:00:00Z", json!({ "plan": "b" }));
    assert_eq!(lines, ["calls usage 2023-01-01..2023-01-15 x10 14/31 = 100"]);
    assert_eq!(story.until("2023-02-01"), ["calls usage 2023-01-15..2023-02-01 x20 17/31 = 400"]);
}

/// A change of quantity does not touch usage, which costs the same before and after: the whole month is one line.
#[test]
fn usage_is_not_cut_by_a_change_of_quantity() {
    let team = plan("team", "month", &[seats("advance", "30.00"), calls("0.10")]);
    let beginning = json!({ "cycle": "calendar", "quantities": { "seats": "1" } });
    let mut story = Story::start(&[team], "2023-04-01", beginning);
    story.uses("calls", "2023-04-10T00:00:00Z", "10");
    story.uses("calls", "2023-04-20T00:00:00Z", "20");
    let lines = story.change("2023-04-16", json!({ "quantities": { "seats": "2" } }));
    assert_eq!(
        lines,
        [
            "seats proration 2023-04-16..2023-05-01 15/30 = -1500",
            "seats licensed 2023-04-16..2023-05-01 x2 15/30 = 3000",
        ]
    );
    assert_eq!(
        story.until("2023-05-01"),
        ["seats licensed 2023-05-01..2023-06-01 x2 = 6000", "calls usage 2023-04-01..2023-05-01 x30 = 300",]
    );
}

/// A change on the day of a boundary finds that the boundary has been billed: nothing of it is billed again.
#[test]
fn a_change_after_the_boundary_of_its_day_bills_nothing_twice() {
    let [a, b] = [("a", "31.00"), ("b", "62.00")].map(|(key, amount)| {
        with(
            plan(key, "month", &[flat("base", "arrears", amount), calls("0.10")]),
            json!({ "minimum_commitment_minor": 10_000 }),
        )
    });
    let mut story = Story::start(&[a, b], "2023-01-01", json!({ "cycle": "calendar" }));
    story.uses("calls", "2023-01-20T00:00:00Z", "10");
    story.uses("calls", "2023-02-01T06:00:00Z", "20");
    story.uses("calls", "2023-02-01T18:00:00Z", "30");
    assert_eq!(
        story.until("2023-02-01"),
        [
            "base fixed 2023-01-01..2023-02-01 = 3100",
            "calls usage 2023-01-01..2023-02-01 x10 = 100",
            "- commitment 2023-01-01..2023-02-01 = 6800",
        ]
    );
    let lines = story.change("2023-02-01T12:00:00Z", json!({ "plan": "b" }));
    assert_eq!(lines, ["calls usage 2023-02-01..2023-02-01 x20 0/28 = 200"]);
    assert_eq!(
        story.until("2023-03-01"),
        [
            "base fixed 2023-02-01..2023-03-01 = 6200",
            "calls usage 2023-02-01..2023-03-01 x30 = 300",
            "- commitment 2023-02-01..2023-03-01 = 3500",
        ]
    );
}

/// A cancellation on the day of a boundary bills that day, and nothing of the period before again.
#[test]
fn a_cancellation_after_the_boundary_of_its_day_bills_one_day() {
    let base = plan("a", "month", &[flat("base", "arrears", "28.00"), calls("0.10")]);
    let mut story = Story::start(&[base], "2023-01-01", json!({ "cycle": "calendar" }));
    story.uses("calls", "2023-01-20T00:00:00Z", "10");
    story.uses("calls", "2023-02-01T06:00:00Z", "20");
    let lines = story.cancel("2023-02-01T12:00:00Z", ProrationBehavior::Day);
    assert_eq!(
        lines,
        ["base fixed 2023-02-01..2023-02-02 1/28 = 100", "calls usage 2023-02-01..2023-02-02 x20 1/28 = 200",]
    );
}

/// "On cancellation now the local day of cancellation is a used day."
///
/// Worked example cn-001.
#[test]
fn cn_001_the_day_of_a_cancellation_is_a_used_one() {
    let base = plan("pro", "month", &[flat("base", "advance", "200.00")]);
    let mut story = Story::start(&[base], "2025-09-18T09:00:00Z", json!({})).taxed("25");
    let lines = story.cancel("2025-09-18T20:00:00Z", ProrationBehavior::Day);
    assert_eq!(story.invoices[0].total_minor, 25_000);
    assert_eq!(lines, ["base proration 2025-09-19..2025-10-18 29/30 = -19333"]);
    let invoice = &story.invoices[1];
    assert_eq!((invoice.tax_minor, invoice.total_minor, invoice.credited_minor), (-4833, 0, 24_166));
    assert_eq!(story.subscription.status(), SubscriptionStatus::Cancelled);
}

/// The same in arrears: the day of the cancellation is billed.
#[test]
fn arrears_are_billed_up_to_the_day_of_a_cancellation() {
    let base = plan("pro", "month", &[flat("base", "arrears", "30.00"), calls("0.10")]);
    let mut story = Story::start(&[base], "2023-04-01", json!({}));
    story.uses("calls", "2023-04-10T11:59:59Z", "7");
    story.uses("calls", "2023-04-10T12:00:00Z", "100");
    assert_eq!(
        story.cancel("2023-04-10T12:00:00Z", ProrationBehavior::Day),
        ["base fixed 2023-04-01..2023-04-11 10/30 = 1000", "calls usage 2023-04-01..2023-04-11 x7 10/30 = 70",]
    );
    assert_eq!(story.subscription.next_boundary(), None);
}

/// "`end_at` is exclusive like every end."
///
/// The day that it falls in is not billed, usage is up to its instant.
#[test]
fn an_end_is_exclusive() {
    let base =
        plan("pro", "month", &[flat("base", "advance", "31.00"), flat("late", "arrears", "62.00"), calls("0.10")]);
    let beginning = json!({ "cycle": "calendar", "end_at": "2023-01-11T15:00:00Z" });
    let mut story = Story::start(&[base], "2023-01-01", beginning);
    story.uses("calls", "2023-01-11T14:59:59Z", "7");
    story.uses("calls", "2023-01-11T15:00:00Z", "100");
    assert_eq!(story.until("2023-01-01"), ["base fixed 2023-01-01..2023-01-11 10/31 = 1000"]);
    assert_eq!(story.until("2023-01-11T14:59:59Z"), story.last());
    assert_eq!(story.invoices.len(), 1);
    assert_eq!(
        story.until("2023-01-11T15:00:00Z"),
        ["late fixed 2023-01-01..2023-01-11 10/31 = 2000", "calls usage 2023-01-01..2023-01-11 x7 10/31 = 70",]
    );
    assert_eq!(story.invoices[1].issued_at, "2023-01-11T15:00:00Z".parse().unwrap());
    assert_eq!(story.subscription.status(), SubscriptionStatus::Cancelled);
}

/// A cancellation on the day of the end, which is a boundary as well, comes to what the end would have come to.
#[test]
fn a_cancellation_on_the_day_of_the_end_adds_no_day() {
    let base = plan("pro", "month", &[flat("base", "arrears", "31.00"), calls("0.10")]);
    let beginning = json!({ "cycle": "calendar", "end_at": "2023-02-01T15:00:00Z" });
    let mut story = Story::start(&[base], "2023-01-01", beginning);
    story.uses("calls", "2023-01-20T00:00:00Z", "7");
    story.uses("calls", "2023-02-01T09:00:00Z", "1");
    assert_eq!(
        story.cancel("2023-02-01T12:00:00Z", ProrationBehavior::Day),
        ["base fixed 2023-01-01..2023-02-01 = 3100", "calls usage 2023-01-01..2023-02-01 x8 = 80",]
    );
    assert_eq!(story.subscription.end_at(), Some("2023-02-01T12:00:00Z".parse().unwrap()));
}

/// "A part of zero days bills nothing."
///
/// Not even what is charged at quantity 0.
#[test]
fn a_part_of_zero_days_bills_nothing() {
    let entry = json!({ "model": { "type": "graduated", "tiers": [ { "up_to": null, "unit_amount": "1", "flat_amount": "5" } ] } });
    let prices = [flat("base", "arrears", "31.00"), flat("least", "arrears", "0"), with(calls("1"), entry)];
    let prices = prices.map(|price| with(price, json!({ "min_amount_minor": 700 })));
    let a = with(plan("a", "month", &prices), json!({ "minimum_commitment_minor": 10_000 }));
    let b = plan("b", "month", &[flat("other", "arrears", "31.00")]);
    let mut story = Story::start(&[a, b], "2023-01-01T09:00:00Z", json!({}));
    assert_eq!(story.change("2023-01-01T18:00:00Z", json!({ "plan": "b" })), Vec::<String>::new());
    assert_eq!(story.until("2023-02-01"), ["other fixed 2023-01-01..2023-02-01 = 3100"]);
}

/// "`proration: "none"`: neither credit nor charge until the next period."
#[test]
fn without_proration_there_is_neither_credit_nor_charge_until_the_next_period() {
    let [a, b] =
        [("a", "31.00"), ("b", "62.00")].map(|(key, amount)| plan(key, "month", &[flat("base", "advance", amount)]));
    let mut story = Story::start(&[a, b], "2023-01-01", json!({}));
    let change = json!({ "plan": "b", "proration": "none" });
    assert_eq!(story.change("2023-01-16", change), Vec::<String>::new());
    assert_eq!(story.invoices.len(), 1);
    assert_eq!(story.until("2023-02-01"), ["base fixed 2023-02-01..2023-03-01 = 6200"]);

    let team = plan("team", "month", &[seats("advance", "31.00")]);
    let mut story = Story::start(&[team], "2023-01-01", json!({ "quantities": { "seats": "5" } }));
    let change = json!({ "quantities": { "seats": "10" }, "proration": "none" });
    assert_eq!(story.change("2023-01-16", change), Vec::<String>::new());
    assert_eq!(story.until("2023-02-01"), ["seats licensed 2023-02-01..2023-03-01 x10 = 31000"]);
    assert_eq!(story.cancel("2023-02-14T12:00:00Z", ProrationBehavior::None), Vec::<String>::new());
}

/// What is credited is what was billed: quantities that changed without proration were not.
#[test]
fn a_credit_is_for_the_quantity_that_was_billed() {
    let team = plan("team", "month", &[seats("advance", "30.00")]);
    let mut story = Story::start(&[team], "2023-04-01", json!({ "quantities": { "seats": "5" } }));
    let change = json!({ "quantities": { "seats": "10" }, "proration": "none" });
    assert_eq!(story.change("2023-04-11", change), Vec::<String>::new());
    let lines = story.cancel("2023-04-15T12:00:00Z", ProrationBehavior::Day);
    assert_eq!(lines, ["seats proration 2023-04-16..2023-05-01 x5 15/30 = -7500"]);
}

/// A subscription that is to end was billed up to its end, so no more than that is credited.
#[test]
fn a_credit_ends_where_the_subscription_was_to_end() {
    let base = plan("pro", "month", &[flat("base", "advance", "31.00")]);
    let mut story = Story::start(&[base], "2023-01-01", json!({ "end_at": "2023-01-11T00:00:00Z" }));
    let lines = story.cancel("2023-01-05T12:00:00Z", ProrationBehavior::Day);
    assert_eq!(lines, ["base proration 2023-01-06..2023-01-11 5/31 = -500"]);
}
