//! Changes of plan and quantity, sentence by sentence.

use domain::{InvoiceReason, ProrationBehavior};
use serde_json::{Value, json};

use crate::story::{Story, calls, flat, plan, seats, with};

fn monthly(key: &str, amount: &str) -> Value {
    plan(key, "month", &[flat("base", "advance", amount)])
}

/// "It is an upgrade when the advance amount per day does not fall."
#[test]
fn an_upgrade_is_a_change_after_which_no_day_costs_less_in_advance() {
    // A day of January costs 1.00, as does one of 2023.
    let plans = [
        monthly("a", "31.00"),
        monthly("less", "30.99"),
        plan("year", "year", &[flat("base", "advance", "365.00")]),
        plan("less_year", "year", &[flat("base", "advance", "364.99")]),
        plan("later", "month", &[flat("base", "arrears", "999.00")]),
        plan("split", "month", &[with(flat("base", "advance", "7.00"), json!({ "interval": "week" }))]),
    ];
    let story = Story::start(&plans, "2023-01-01", json!({}));
    let is_upgrade = |key: &str| story.is_upgrade("2023-01-10", json!({ "plan": key }));
    assert_eq!(["a", "year", "split"].map(is_upgrade), [true; 3]);
    assert_eq!(["less", "less_year", "later"].map(is_upgrade), [false; 3]);

    let team = plan("team", "month", &[seats("advance", "31.00")]);
    let story = Story::start(&[team], "2023-01-01", json!({ "quantities": { "seats": "5" } }));
    let is_upgrade = |seats: &str| story.is_upgrade("2023-01-10", json!({ "quantities": { "seats": seats } }));
    assert_eq!(["4", "5", "6"].map(is_upgrade), [false, true, true]);
}

/// "A downgrade at period end": nothing changes before, and the new plan begins with the next period.
#[test]
fn a_change_at_period_end_waits_for_it() {
    let mut story = Story::start(&[monthly("a", "60.00"), monthly("b", "30.00")], "2023-04-01", json!({}));
    story.change_at_period_end("2023-04-10T12:00:00Z", json!({ "plan": "b" }));
    assert_eq!((story.subscription.plan(), story.subscription.scheduled_plan()), ("a", Some("b")));
    assert_eq!(story.until("2023-04-30T23:59:59Z"), ["base fixed 2023-04-01..2023-05-01 = 6000"]);
    assert_eq!(story.until("2023-05-01"), ["base fixed 2023-05-01..2023-06-01 = 3000"]);
    assert_eq!((story.subscription.plan(), story.subscription.scheduled_plan()), ("b", None));
    assert_eq!(story.invoices[1].reason, InvoiceReason::Period);
}

/// Quantities can wait for the end of the period, too.
#[test]
fn quantities_can_change_at_period_end() {
    let team =
        plan("team", "month", &[seats("advance", "30.00"), with(seats("arrears", "10.00"), json!({ "key": "rooms" }))]);
    let beginning = json!({ "quantities": { "seats": "5", "rooms": "1" } });
    let mut story = Story::start(&[team], "2023-04-01", beginning);
    story.change_at_period_end("2023-04-10", json!({ "quantities": { "seats": "2", "rooms": "3" } }));
    assert_eq!(story.subscription.quantities()["seats"], "5".parse().unwrap());
    assert_eq!(
        story.until("2023-05-01"),
        ["seats licensed 2023-05-01..2023-06-01 x2 = 6000", "rooms licensed 2023-04-01..2023-05-01 = 1000",]
    );
    assert_eq!(
        story.until("2023-06-01"),
        ["seats licensed 2023-06-01..2023-07-01 x2 = 6000", "rooms licensed 2023-05-01..2023-06-01 x3 = 3000",]
    );
}

/// "Now means an invoice at once: the old plan's arrears so far, a `proration` line crediting the unused days of what
/// was billed in advance, a line for the rest of the period at the new price."
#[test]
fn a_change_now_is_an_invoice_at_once() {
    let a = plan("a", "month", &[flat("base", "advance", "31.00"), flat("late", "arrears", "31.00"), calls("0.10")]);
    let b = plan("b", "month", &[calls("0.20"), flat("core", "advance", "62.00")]);
    let mut story = Story::start(&[a, b], "2023-01-01", json!({}));
    story.uses("calls", "2023-01-10T00:00:00Z", "7");
    let lines = story.change("2023-01-16T12:00:00Z", json!({ "plan": "b" }));
    assert_eq!(
        lines,
        [
            "late fixed 2023-01-01..2023-01-16 15/31 = 1500",
            "calls usage 2023-01-01..2023-01-16 x7 15/31 = 70",
            "base proration 2023-01-16..2023-02-01 16/31 = -1600",
            "core fixed 2023-01-16..2023-02-01 16/31 = 3200",
        ]
    );
    let invoice = &story.invoices[1];
    assert_eq!((invoice.reason, invoice.issued_at), (InvoiceReason::Change, "2023-01-16T12:00:00Z".parse().unwrap()));
    assert_eq!(story.until("2023-02-01"), ["core fixed 2023-02-01..2023-03-01 = 6200"]);
}

/// "A quantity change is two lines, of the prices concerned and no others."
///
/// Only what changes is touched.
#[test]
fn a_change_of_quantity_is_two_lines() {
    let team = plan("team", "month", &[flat("base", "advance", "31.00"), seats("advance", "10.00")]);
    let mut story = Story::start(&[team], "2023-04-01", json!({ "quantities": { "seats": "5" } }));
    let lines = story.change("2023-04-16T12:00:00Z", json!({ "quantities": { "seats": "7" } }));
    assert_eq!(
        lines,
        [
            "seats proration 2023-04-16..2023-05-01 x5 15/30 = -2500",
            "seats licensed 2023-04-16..2023-05-01 x7 15/30 = 3500",
        ]
    );
    let lines = story.change("2023-04-26", json!({ "quantities": { "seats": "1" } }));
    assert_eq!(
        lines,
        ["seats proration 2023-04-26..2023-05-01 x7 5/30 = -1167", "seats licensed 2023-04-26..2023-05-01 5/30 = 167",]
    );
    assert_eq!(story.change("2023-04-27", json!({ "quantities": { "seats": "1" } })), Vec::<String>::new());
}

/// Worked example pro-018: from 10 to 20 exactly half-way.
#[test]
fn pro_018_half_way_through_half_is_credited_and_half_is_charged() {
    let mut story = Story::start(&[monthly("a", "10.00"), monthly("b", "20.00")], "2023-04-01", json!({}));
    let lines = story.change("2023-04-16", json!({ "plan": "b" }));
    assert_eq!(
        lines,
        ["base proration 2023-04-16..2023-05-01 15/30 = -500", "base fixed 2023-04-16..2023-05-01 15/30 = 1000",]
    );
    assert_eq!(story.invoices[1].total_minor, 500);
}

/// "The credit is min(list price x unused fraction, what was billed net of discount, less credits already given); an
/// open invoice counts as billed."
#[test]
fn a_credit_is_at_most_what_was_billed_net_of_discount() {
    let coupon = |percent: &str| json!({ "coupons": [ { "key": "c", "percent_off": percent, "duration": "once" } ] });
    let credit = |percent: &str, day: &str| {
        let mut story = Story::start(&[monthly("a", "30.00")], "2023-04-01", coupon(percent));
        story.cancel(day, ProrationBehavior::Day)
    };
    // 27/30 of the list price are 27.00, but 15.00 were billed.
    assert_eq!(credit("50", "2023-04-03"), ["base proration 2023-04-04..2023-05-01 27/30 = -1500"]);
    assert_eq!(credit("50", "2023-04-20"), ["base proration 2023-04-21..2023-05-01 10/30 = -1000"]);
    assert_eq!(credit("100", "2023-04-03"), Vec::<String>::new());
}

/// The same sentence: "less credits already given".
#[test]
fn credits_given_already_are_not_given_again() {
    let team = plan("team", "month", &[seats("advance", "10.00")]);
    let coupons = json!([ { "key": "c", "percent_off": "50", "duration": "once" } ]);
    let beginning = json!({ "quantities": { "seats": "3" }, "coupons": coupons });
    let mut story = Story::start(&[team], "2023-04-01", beginning);
    // 15.00 were billed; 20/30 of 30.00 are 20.00.
    assert_eq!(
        story.change("2023-04-11", json!({ "quantities": { "seats": "2" } })),
        [
            "seats proration 2023-04-11..2023-05-01 x3 20/30 = -1500",
            "seats licensed 2023-04-11..2023-05-01 x2 20/30 = 1333",
        ]
    );
    // Of all that was billed, 13.33 are left.
    assert_eq!(
        story.change("2023-04-21", json!({ "quantities": { "seats": "1" } })),
        ["seats proration 2023-04-21..2023-05-01 x2 10/30 = -667", "seats licensed 2023-04-21..2023-05-01 10/30 = 333",]
    );

    let coupons = json!([ { "key": "c", "percent_off": "80", "duration": "once" } ]);
    let mut story = Story::start(&[monthly("a", "30.00")], "2023-04-01", json!({ "coupons": coupons }));
    story.pause("2023-04-11");
    story.resume("2023-04-21");
    // Ten paused days would be 10.00, but 6.00 were billed; nothing is left for the days after the cancellation.
    let lines = story.cancel("2023-04-25", ProrationBehavior::Day);
    assert_eq!(lines, ["base proration 2023-04-11..2023-04-21 10/30 = -600"]);
}

/// "Periods after a change step from the original anchor, with the new interval."
///
/// Worked example pro-004.
#[test]
fn pro_004_a_downgrade_to_a_year_lasts_to_the_original_anniversary() {
    let year = plan("year", "year", &[flat("base", "advance", "1188.00")]);
    let mut story = Story::start(&[monthly("month", "129.00"), year], "2023-07-19", json!({}));
    story.catch_up("2023-11-09T00:00:00Z".parse().unwrap()).unwrap();
    assert!(!story.is_upgrade("2023-11-09", json!({ "plan": "year" })));
    story.change_at_period_end("2023-11-09", json!({ "plan": "year" }));
    assert_eq!(story.last(), ["base fixed 2023-10-19..2023-11-19 = 12900"]);
    assert_eq!(story.until("2023-11-19"), ["base fixed 2023-11-19..2024-07-19 243/366 = 78875"]);
    assert_eq!(story.until("2024-07-19"), ["base fixed 2024-07-19..2025-07-19 = 118800"]);
}

/// The same; worked example pro-010, from the first of the month and with an anchor day.
#[test]
fn pro_010_a_change_to_a_year_is_credited_and_charged_to_the_original_anchor() {
    for (start, beginning) in [("2012-05-01", json!({})), ("2012-04-20", json!({ "anchor_day": 1 }))] {
        let year = plan("year", "year", &[flat("base", "advance", "2399.95")]);
        let mut story = Story::start(&[monthly("month", "249.95"), year], start, beginning);
        let lines = story.change("2012-05-12T12:00:00Z", json!({ "plan": "year" }));
        assert_eq!(
            lines,
            [
                "base proration 2012-05-12..2012-06-01 20/31 = -16126",
                "base fixed 2012-05-12..2013-05-01 354/365 = 232762",
            ]
        );
        assert_eq!(story.invoices.last().unwrap().total_minor, 216_636);
        assert_eq!(story.until("2013-05-01"), ["base fixed 2013-05-01..2014-05-01 = 239995"]);
    }
}

/// "Cancel now gives the same negative line on a cancel invoice."
#[test]
fn a_cancellation_credits_on_a_cancel_invoice() {
    let mut story = Story::start(
        &[plan("a", "month", &[flat("base", "advance", "30.00"), calls("0.10")])],
        "2023-04-01",
        json!({}),
    );
    story.uses("calls", "2023-04-05T00:00:00Z", "20");
    assert_eq!(
        story.cancel("2023-04-10T12:00:00Z", ProrationBehavior::Day),
        ["calls usage 2023-04-01..2023-04-11 x20 10/30 = 200", "base proration 2023-04-11..2023-05-01 20/30 = -2000",]
    );
    let invoice = &story.invoices[1];
    assert_eq!(invoice.reason, InvoiceReason::Cancel);
    assert_eq!((invoice.subtotal_minor, invoice.total_minor, invoice.credited_minor), (-1800, 0, 1800));
}

/// A cancellation at the end of the period changes nothing before.
#[test]
fn a_cancellation_at_period_end_bills_the_last_arrears() {
    let a = plan("a", "month", &[flat("base", "advance", "30.00"), calls("0.10")]);
    let mut story = Story::start(&[a], "2023-04-01", json!({}));
    story.uses("calls", "2023-04-29T00:00:00Z", "20");
    story.cancel_at_period_end("2023-04-10T12:00:00Z");
    assert_eq!(story.until("2023-05-01"), ["calls usage 2023-04-01..2023-05-01 x20 = 200"]);
    assert_eq!(story.subscription.next_boundary(), None);
    assert_eq!(story.subscription.current_period().end.to_string(), "2023-05-01");
}

/// A plan may end between two windows of a price's own cadence: these are cut there as by a change now.
#[test]
fn own_cadences_are_cut_where_a_plan_follows_or_the_subscription_ends() {
    let weekly = |price: Value| with(price, json!({ "interval": "week" }));
    let prices =
        [weekly(flat("ahead", "advance", "7.00")), weekly(flat("late", "arrears", "7.00")), weekly(calls("0.10"))];
    let begin = || {
        let plans = [plan("a", "month", &prices), monthly("b", "30.00")];
        let mut story = Story::start(&plans, "2023-03-01", json!({ "cycle": "calendar" }));
        // Weeks begin on Mondays, such as March 27 and April 3.
        story.uses("calls", "2023-03-31T00:00:00Z", "7");
        story.until("2023-03-28");
        story
    };
    let rest = [
        "late fixed 2023-03-27..2023-04-01 5/7 = 500",
        "calls usage 2023-03-27..2023-04-01 x7 5/7 = 70",
        "ahead proration 2023-04-01..2023-04-03 2/7 = -200",
    ];
    let mut story = begin();
    story.change_at_period_end("2023-03-28", json!({ "plan": "b" }));
    let mut lines = rest.to_vec();
    lines.push("base fixed 2023-04-01..2023-05-01 = 3000");
    assert_eq!(story.until("2023-04-01"), lines);

    let mut story = begin();
    story.cancel_at_period_end("2023-03-28");
    assert_eq!(story.until("2023-04-01"), rest);
}

/// A week that a change of quantity at the end of the month falls into has days of both quantities.
#[test]
fn own_cadences_are_cut_where_quantities_change_at_period_end() {
    let weekly = |key: &str, timing: &str| with(seats(timing, "7.00"), json!({ "key": key, "interval": "week" }));
    let a = plan("a", "month", &[weekly("ahead", "advance"), weekly("late", "arrears")]);
    let beginning = json!({ "cycle": "calendar", "quantities": { "ahead": "1", "late": "1" } });
    let mut story = Story::start(&[a], "2023-03-01", beginning);
    story.change_at_period_end("2023-03-28", json!({ "quantities": { "ahead": "2", "late": "2" } }));
    assert_eq!(
        story.until("2023-04-01"),
        [
            "ahead proration 2023-04-01..2023-04-03 2/7 = -200",
            "ahead licensed 2023-04-01..2023-04-03 x2 2/7 = 400",
            "late licensed 2023-03-27..2023-04-01 5/7 = 500",
        ]
    );
    assert_eq!(
        story.until("2023-04-03"),
        ["ahead licensed 2023-04-03..2023-04-10 x2 = 1400", "late licensed 2023-04-01..2023-04-03 x2 2/7 = 400",]
    );
}
