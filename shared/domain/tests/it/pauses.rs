//! Pauses, sentence by sentence.

use domain::{ProrationBehavior, SubscriptionStatus};
use serde_json::{Value, json};

use crate::story::{Story, calls, flat, plan, seats, with};

fn story(prices: &[Value]) -> Story {
    Story::start(&[plan("a", "month", prices)], "2023-04-01", json!({}))
}

/// "A day on which a subscription is paused is not billed, the day it resumes is."
#[test]
fn paused_days_are_not_billed_and_the_day_of_resuming_is() {
    let mut story = story(&[flat("base", "arrears", "30.00")]);
    story.pause("2023-04-11T23:00:00Z");
    assert_eq!(story.subscription.status(), SubscriptionStatus::Paused);
    assert_eq!(story.resume("2023-04-16T23:59:59Z"), Vec::<String>::new());
    assert_eq!(story.subscription.status(), SubscriptionStatus::Active);
    assert_eq!(story.until("2023-05-01"), ["base fixed 2023-04-01..2023-05-01 25/30 = 2500"]);
}

/// "A day on which it is paused and resumed is billed."
#[test]
fn a_day_paused_and_resumed_is_billed() {
    let mut story = story(&[flat("base", "arrears", "30.00"), flat("ahead", "advance", "30.00"), calls("0.10")]);
    story.pause("2023-04-11T08:00:00Z");
    story.uses("calls", "2023-04-11T09:00:00Z", "5");
    story.resume("2023-04-11T20:00:00Z");
    assert_eq!(
        story.until("2023-05-01"),
        [
            "base fixed 2023-04-01..2023-05-01 = 3000",
            "ahead fixed 2023-05-01..2023-06-01 = 3000",
            "calls usage 2023-04-01..2023-05-01 x5 = 50",
        ]
    );
}

/// "What was billed in advance for paused days is credited on the next invoice."
#[test]
fn paused_days_that_were_billed_are_credited_on_the_next_invoice() {
    let mut story = story(&[flat("base", "advance", "30.00"), flat("other", "advance", "60.00")]);
    story.pause("2023-04-11T23:00:00Z");
    assert_eq!(story.resume("2023-04-16T10:00:00Z"), Vec::<String>::new());
    assert_eq!(
        story.until("2023-05-01"),
        [
            "base proration 2023-04-11..2023-04-16 5/30 = -500",
            "base fixed 2023-05-01..2023-06-01 = 3000",
            "other proration 2023-04-11..2023-04-16 5/30 = -1000",
            "other fixed 2023-05-01..2023-06-01 = 6000",
        ]
    );
}

/// The next invoice may be any: here a change's.
#[test]
fn a_change_brings_the_credit_of_a_pause() {
    let mut story = Story::start(
        &[plan("a", "month", &[seats("advance", "30.00")])],
        "2023-04-01",
        json!({ "quantities": { "seats": "1" } }),
    );
    story.pause("2023-04-11");
    story.resume("2023-04-16");
    assert_eq!(
        story.change("2023-04-21", json!({ "quantities": { "seats": "2" } })),
        [
            "seats proration 2023-04-11..2023-04-16 5/30 = -500",
            "seats proration 2023-04-21..2023-05-01 10/30 = -1000",
            "seats licensed 2023-04-21..2023-05-01 x2 10/30 = 2000",
        ]
    );
}

/// "A pause does not move the periods."
#[test]
fn a_pause_does_not_move_the_periods() {
    // 31.00 a day of April, 30.00 a day of May.
    let mut story = story(&[flat("base", "advance", "930.00"), flat("late", "arrears", "930.00")]);
    story.pause("2023-04-21");
    assert_eq!(
        story.until("2023-05-01"),
        ["base proration 2023-04-21..2023-05-01 10/30 = -31000", "late fixed 2023-04-01..2023-05-01 20/30 = 62000",]
    );
    assert_eq!(story.resume("2023-05-11T12:00:00Z"), ["base fixed 2023-05-11..2023-06-01 21/31 = 63000"]);
    assert_eq!(
        story.until("2023-06-01"),
        ["base fixed 2023-06-01..2023-07-01 = 93000", "late fixed 2023-05-01..2023-06-01 21/31 = 63000",]
    );
}

/// A month that was paused as a whole costs nothing, not even what is charged at quantity 0 or at least.
#[test]
fn a_period_that_was_paused_as_a_whole_costs_nothing() {
    let usage = with(calls("1"), json!({ "model": { "type": "flat", "amount": "5.00" }, "min_amount_minor": 900 }));
    let body = plan("a", "month", &[flat("base", "advance", "30.00"), usage]);
    let body = with(body, json!({ "minimum_commitment_minor": 10_000 }));
    let mut story = Story::start(&[body], "2023-04-01", json!({}));
    story.pause("2023-05-01T12:00:00Z");
    story.uses("calls", "2023-05-10T00:00:00Z", "7");
    let before = story.invoices.len();
    assert_eq!(story.until("2023-06-01"), ["base proration 2023-05-01..2023-06-01 = -3000"]);
    story.until("2023-07-01");
    assert_eq!(story.invoices.len(), before + 1);
}

/// Usage of a paused day does not count; that of the day of resuming does.
#[test]
fn usage_of_paused_days_does_not_count() {
    let mut story = story(&[calls("0.10")]);
    for (instant, value) in [
        ("2023-04-10T23:59:59Z", "1"),
        ("2023-04-11T00:00:00Z", "10"),
        ("2023-04-15T23:59:59Z", "100"),
        ("2023-04-16T00:00:00Z", "1000"),
    ] {
        story.uses("calls", instant, value);
    }
    story.pause("2023-04-11T12:00:00Z");
    story.resume("2023-04-16T12:00:00Z");
    assert_eq!(story.until("2023-05-01"), ["calls usage 2023-04-01..2023-05-01 x1001 25/30 = 10010"]);
}

/// A plan that changes in a pause: the day of the change is paused as well, before and after its instant.
#[test]
fn usage_of_the_day_of_a_change_in_a_pause_does_not_count() {
    let [a, b] = ["a", "b"].map(|key| plan(key, "month", &[calls("0.10"), flat("base", "advance", "30.00")]));
    let mut story = Story::start(&[a, b], "2023-04-01", json!({}));
    story.uses("calls", "2023-04-05T00:00:00Z", "3");
    story.uses("calls", "2023-04-16T09:00:00Z", "10");
    story.uses("calls", "2023-04-16T15:00:00Z", "100");
    story.pause("2023-04-11");
    assert_eq!(
        story.change("2023-04-16T12:00:00Z", json!({ "plan": "b" })),
        [
            "base proration 2023-04-11..2023-04-16 5/30 = -500",
            "calls usage 2023-04-01..2023-04-16 x3 10/30 = 30",
            "base proration 2023-04-16..2023-05-01 15/30 = -1500",
        ]
    );
    assert_eq!(story.resume("2023-04-21T12:00:00Z"), ["base fixed 2023-04-21..2023-05-01 10/30 = 1000"]);
    assert_eq!(story.until("2023-05-01"), ["base fixed 2023-05-01..2023-06-01 = 3000"]);
}

/// A quantity that changes in a pause is credited at once and billed from the day of resuming on.
#[test]
fn a_quantity_that_changes_in_a_pause_is_billed_when_it_is_over() {
    let a =
        plan("a", "month", &[seats("advance", "30.00"), with(seats("arrears", "30.00"), json!({ "key": "rooms" }))]);
    let beginning = json!({ "quantities": { "seats": "1", "rooms": "1" } });
    let mut story = Story::start(&[a], "2023-04-01", beginning);
    story.pause("2023-04-11");
    assert_eq!(
        story.change("2023-04-16", json!({ "quantities": { "seats": "2", "rooms": "2" } })),
        [
            "seats proration 2023-04-11..2023-04-16 5/30 = -500",
            "rooms licensed 2023-04-01..2023-04-16 10/30 = 1000",
            "seats proration 2023-04-16..2023-05-01 15/30 = -1500",
        ]
    );
    assert_eq!(story.resume("2023-04-21"), ["seats licensed 2023-04-21..2023-05-01 x2 10/30 = 2000"]);
    assert_eq!(
        story.until("2023-05-01"),
        ["seats licensed 2023-05-01..2023-06-01 x2 = 6000", "rooms licensed 2023-04-16..2023-05-01 x2 10/30 = 2000",]
    );
}

/// A cancellation in a pause: not even its own day is billed.
#[test]
fn a_cancellation_in_a_pause_credits_all_paused_days() {
    let mut story = story(&[flat("base", "advance", "30.00"), flat("late", "arrears", "30.00")]);
    story.pause("2023-04-11");
    assert_eq!(
        story.cancel("2023-04-16T12:00:00Z", ProrationBehavior::Day),
        [
            "base proration 2023-04-11..2023-04-16 5/30 = -500",
            "late fixed 2023-04-01..2023-04-17 10/30 = 1000",
            "base proration 2023-04-16..2023-05-01 15/30 = -1500",
        ]
    );
}

/// Days of a pause are days of the calendar: two pauses in a month add up.
#[test]
fn several_pauses_add_up() {
    let mut story = story(&[flat("base", "arrears", "30.00"), flat("ahead", "advance", "30.00")]);
    for (from, to) in
        [("2023-04-03", "2023-04-05"), ("2023-04-05T12:00:00Z", "2023-04-06"), ("2023-04-28", "2023-05-03")]
    {
        story.pause(from);
        story.resume(to);
    }
    // The 3rd to the 5th and the 28th to the 30th.
    let at_the_turn: Vec<String> = story.invoices[1].lines.iter().map(crate::story::shown).collect();
    assert_eq!(
        at_the_turn,
        [
            "base fixed 2023-04-01..2023-05-01 24/30 = 2400",
            "ahead proration 2023-04-03..2023-04-05 2/30 = -200",
            "ahead proration 2023-04-05..2023-04-06 1/30 = -100",
            "ahead proration 2023-04-28..2023-05-01 3/30 = -300",
        ]
    );
    assert_eq!(
        story.until("2023-06-01"),
        ["base fixed 2023-05-01..2023-06-01 29/31 = 2806", "ahead fixed 2023-06-01..2023-07-01 = 3000",]
    );
    assert_eq!(
        story.invoices[2].lines.iter().map(crate::story::shown).collect::<Vec<_>>(),
        ["ahead fixed 2023-05-03..2023-06-01 29/31 = 2806"]
    );
}
