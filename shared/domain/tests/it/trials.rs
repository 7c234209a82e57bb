//! Trials, sentence by sentence.

use domain::{InvoiceReason, ProrationBehavior, SubscriptionStatus};
use serde_json::{Value, json};

use crate::story::{Story, calls, flat, plan, with};

/// A monthly plan with a trial.
fn trial(key: &str, days: u16, prices: &[Value]) -> Value {
    with(plan(key, "month", prices), json!({ "trial_days": days }))
}

fn trial_end(story: &Story) -> String {
    story.subscription.trial_end().unwrap().to_string()
}

/// "Fixed fees and commitment start when the trial ends, prorated in calendar cycles."
///
/// Worked example trial-001.
#[test]
fn trial_001_in_a_calendar_cycle_the_first_fee_is_prorated() {
    let body = trial("pro", 10, &[flat("base", "advance", "50000.00")]);
    let mut story = Story::start(&[body], "2024-03-05", json!({ "cycle": "calendar" }));
    assert_eq!(story.subscription.status(), SubscriptionStatus::Trialing);
    assert_eq!(story.until("2024-03-14T23:59:59Z"), Vec::<String>::new());
    assert_eq!(story.until("2024-03-15"), ["base fixed 2024-03-15..2024-04-01 17/31 = 2741935"]);
    assert_eq!(story.invoices[0].reason, InvoiceReason::Period);
    assert_eq!(story.subscription.status(), SubscriptionStatus::Active);
    assert_eq!(story.until("2024-04-01"), ["base fixed 2024-04-01..2024-05-01 = 5000000"]);
}

/// "In anniversary cycles the anchor is the trial's end."
#[test]
fn in_an_anniversary_cycle_the_anchor_is_the_trials_end() {
    let body = trial("pro", 10, &[flat("base", "advance", "50000.00")]);
    let mut story = Story::start(&[body], "2024-03-05", json!({}));
    assert_eq!(story.until("2024-03-05"), Vec::<String>::new());
    assert_eq!(story.subscription.current_period().end.to_string(), "2024-03-15");
    assert_eq!(story.until("2024-03-15"), ["base fixed 2024-03-15..2024-04-15 = 5000000"]);
    assert_eq!(story.until("2024-04-15"), ["base fixed 2024-04-15..2024-05-15 = 5000000"]);
}

/// "Days from the original start, in the customer's zone".
#[test]
fn a_trial_is_counted_in_the_customers_days() {
    let body = trial("pro", 1, &[flat("base", "advance", "30.00")]);
    // Late on March 4 in Bogota.
    let mut story = Story::start(&[body], "2024-03-05T04:00:00Z", json!({ "zone": "America/Bogota" }));
    assert_eq!(trial_end(&story), "2024-03-05");
    assert_eq!(story.until("2024-03-05T04:59:59Z"), Vec::<String>::new());
    assert_eq!(story.until("2024-03-05T05:00:00Z"), ["base fixed 2024-03-05..2024-04-05 = 3000"]);
}

/// "A trial is days from the original start, in the customer's zone: the subscription's own number over the plan's."
#[test]
fn a_subscriptions_own_trial_replaces_the_plans() {
    let body = || [trial("pro", 10, &[flat("base", "advance", "30.00")])];
    let story = Story::start(&body(), "2024-03-05", json!({ "trial_days": 3 }));
    assert_eq!(trial_end(&story), "2024-03-08");
    let mut story = Story::start(&body(), "2024-03-05", json!({ "trial_days": 0 }));
    assert_eq!(story.subscription.trial_end(), None);
    assert_eq!(story.until("2024-03-05"), ["base fixed 2024-03-05..2024-04-05 = 3000"]);
}

/// "After a change the new plan's trial counts, still from the original start."
///
/// A longer one lasts longer.
#[test]
fn after_a_change_in_a_trial_a_longer_one_lasts_longer() {
    let plans =
        [trial("a", 10, &[flat("base", "advance", "30.00")]), trial("b", 20, &[flat("base", "advance", "60.00")])];
    let mut story = Story::start(&plans, "2024-04-01", json!({}));
    assert_eq!(story.change("2024-04-05T12:00:00Z", json!({ "plan": "b" })), Vec::<String>::new());
    assert_eq!((trial_end(&story).as_str(), story.subscription.status()), ("2024-04-21", SubscriptionStatus::Trialing));
    assert_eq!(story.until("2024-04-20T23:59:59Z"), Vec::<String>::new());
    assert_eq!(story.until("2024-04-21"), ["base fixed 2024-04-21..2024-05-21 = 6000"]);
}

/// The same: one that would be over ends at once, and one that does not exist never was.
#[test]
fn after_a_change_in_a_trial_a_shorter_one_ends_at_once() {
    let plans = [
        trial("a", 10, &[flat("base", "advance", "30.00")]),
        trial("b", 5, &[flat("base", "advance", "30.00")]),
        plan("c", "month", &[flat("base", "advance", "30.00")]),
    ];
    let mut story = Story::start(&plans, "2024-04-01", json!({}));
    // The anchor is April 6, from which the 9th is three days on.
    assert_eq!(
        story.change("2024-04-09T12:00:00Z", json!({ "plan": "b" })),
        ["base fixed 2024-04-09..2024-05-06 27/30 = 2700"]
    );
    assert_eq!(story.subscription.status(), SubscriptionStatus::Active);
    let mut story = Story::start(&plans, "2024-04-01", json!({}));
    assert_eq!(
        story.change("2024-04-09T12:00:00Z", json!({ "plan": "c" })),
        ["base fixed 2024-04-09..2024-05-01 22/30 = 2200"]
    );
    assert_eq!(story.until("2024-05-01"), ["base fixed 2024-05-01..2024-06-01 = 3000"]);
}

/// The same in a pause, which does not end the trial.
#[test]
fn after_a_change_in_a_paused_trial_the_new_plans_counts() {
    let plans =
        [trial("a", 10, &[flat("base", "advance", "30.00")]), trial("b", 20, &[flat("base", "advance", "60.00")])];
    let mut story = Story::start(&plans, "2024-04-01", json!({}));
    story.pause("2024-04-03");
    story.change("2024-04-05", json!({ "plan": "b" }));
    assert_eq!(trial_end(&story), "2024-04-21");
    story.resume("2024-04-07");
    assert_eq!(story.subscription.status(), SubscriptionStatus::Trialing);
    assert_eq!(story.until("2024-04-21"), ["base fixed 2024-04-21..2024-05-21 = 6000"]);
}

/// The same without a trial before: the new plan's, as far as it is not over, from the original start. Periods have begun, so
/// their anchor stays.
#[test]
fn after_a_change_without_trial_the_new_plans_counts() {
    let plans =
        [plan("a", "month", &[flat("base", "advance", "30.00")]), trial("b", 10, &[flat("base", "advance", "60.00")])];
    let mut story = Story::start(&plans, "2024-04-01", json!({}));
    assert_eq!(
        story.change("2024-04-05", json!({ "plan": "b" })),
        ["base proration 2024-04-05..2024-05-01 26/30 = -2600"]
    );
    assert_eq!((trial_end(&story).as_str(), story.subscription.status()), ("2024-04-11", SubscriptionStatus::Trialing));
    assert_eq!(story.until("2024-04-11"), ["base fixed 2024-04-11..2024-05-01 20/30 = 4000"]);
    assert_eq!(story.subscription.status(), SubscriptionStatus::Active);
    assert_eq!(story.until("2024-05-01"), ["base fixed 2024-05-01..2024-06-01 = 6000"]);

    let mut story = Story::start(&plans, "2024-04-01", json!({}));
    let lines = story.change("2024-04-16", json!({ "plan": "b" }));
    assert_eq!(
        lines,
        ["base proration 2024-04-16..2024-05-01 15/30 = -1500", "base fixed 2024-04-16..2024-05-01 15/30 = 3000"]
    );
    assert_eq!(story.subscription.trial_end(), None);
}

/// "Usage in a trial is free (the default) or billed as the plan says."
#[test]
fn usage_in_a_trial_is_free_or_billed() {
    for (usage, cycle, lines) in [
        ("free", "calendar", vec![vec!["calls usage 2024-03-15..2024-04-01 x100 17/31 = 1000"]]),
        ("billed", "calendar", vec![vec!["calls usage 2024-03-05..2024-04-01 x110 27/31 = 1100"]]),
        ("free", "anniversary", vec![vec!["calls usage 2024-03-15..2024-04-15 x100 = 1000"]]),
        (
            "billed",
            "anniversary",
            vec![
                vec!["calls usage 2024-03-05..2024-03-15 x10 10/29 = 100"],
                vec!["calls usage 2024-03-15..2024-04-15 x100 = 1000"],
            ],
        ),
    ] {
        let body = with(trial("pro", 10, &[calls("0.10")]), json!({ "trial_usage": usage }));
        let mut story = Story::start(&[body], "2024-03-05", json!({ "cycle": cycle }));
        story.uses("calls", "2024-03-14T23:59:59Z", "10");
        story.uses("calls", "2024-03-15T00:00:00Z", "100");
        story.until("2024-04-15");
        let all: Vec<Vec<String>> =
            story.invoices.iter().map(|invoice| invoice.lines.iter().map(crate::story::shown).collect()).collect();
        assert_eq!(all, lines, "{usage} in {cycle}");
    }
}

/// Usage of a trial that is longer than its price's period is billed by that period; the trial is the plan's.
#[test]
fn usage_in_a_long_trial_is_billed_by_its_own_period() {
    let usage = with(calls("0.10"), json!({ "max_amount_minor": 500 }));
    let body = with(trial("pro", 60, &[usage]), json!({ "trial_usage": "billed" }));
    let mut story = Story::start(&[body], "2024-01-15", json!({}));
    assert_eq!(trial_end(&story), "2024-03-15");
    assert_eq!(story.subscription.current_period().end.to_string(), "2024-03-15");
    for day in ["2024-01-20T00:00:00Z", "2024-02-20T00:00:00Z"] {
        story.uses("calls", day, "100");
    }
    // Windows step from March 15.
    assert_eq!(story.until("2024-02-15"), ["calls usage 2024-01-15..2024-02-15 x100 = 500"]);
    assert_eq!(story.until("2024-03-15"), ["calls usage 2024-02-15..2024-03-15 x100 = 500"]);
}

/// "Fixed fees and commitment start when the trial ends": also those in arrears.
#[test]
fn arrears_and_commitment_start_when_the_trial_ends() {
    let body = trial("pro", 10, &[flat("base", "arrears", "31.00")]);
    let body = with(body, json!({ "minimum_commitment_minor": 6_200 }));
    let mut story = Story::start(std::slice::from_ref(&body), "2024-03-05", json!({ "cycle": "calendar" }));
    assert_eq!(
        story.until("2024-04-01"),
        ["base fixed 2024-03-15..2024-04-01 17/31 = 1700", "- commitment 2024-03-15..2024-04-01 17/31 = 1700",]
    );
    let mut story = Story::start(&[body], "2024-03-05", json!({}));
    assert_eq!(
        story.until("2024-04-15"),
        ["base fixed 2024-03-15..2024-04-15 = 3100", "- commitment 2024-03-15..2024-04-15 = 3100",]
    );
}

/// What ends in a trial owes no fees; a cancellation at period end is one at the trial's end.
#[test]
fn a_cancellation_in_a_trial_owes_no_fees() {
    for cycle in ["anniversary", "calendar"] {
        let prices = [flat("base", "advance", "30.00"), flat("late", "arrears", "30.00")];
        let body = with(trial("pro", 45, &prices), json!({ "minimum_commitment_minor": 9_000 }));
        let mut story = Story::start(&[body], "2024-03-05", json!({ "cycle": cycle }));
        let mut now = story.clone();
        assert_eq!(now.cancel("2024-03-10", ProrationBehavior::Day), Vec::<String>::new());
        story.cancel_at_period_end("2024-03-10");
        assert_eq!(story.until("2024-06-01"), Vec::<String>::new());
        assert_eq!(story.subscription.end_at(), Some("2024-04-19T00:00:00Z".parse().unwrap()), "{cycle}");
        assert_eq!(story.subscription.status(), SubscriptionStatus::Cancelled);
    }
}
