//! Subscriptions: how one starts, and what it refuses.

use std::collections::BTreeMap;

use domain::{
    AnchorDay, Billable, BillingCycle, BillingError, Metered, Occasion, Plan, ProrationBehavior, SpecError, Start,
    Subscription, Taxes, Zone, bill, usage_windows,
};
use serde_json::json;

use crate::story::{Story, at, calls, flat, plan, seats, with};

fn team() -> Plan {
    serde_json::from_value(plan("team", "month", &[seats("advance", "10.00"), calls("1")])).unwrap()
}

fn start(instant: &str, quantities: &[(&str, &str)]) -> Result<Subscription, SpecError> {
    let quantities = quantities.iter().map(|(key, text)| ((*key).to_owned(), text.parse().unwrap())).collect();
    let zone = "America/Bogota".parse().unwrap();
    let cycle = BillingCycle::Calendar;
    Subscription::start("pln_1", &team(), Start { cycle, quantities, ..Start::at(at(instant), &zone) })
}

#[test]
fn a_subscription_is_due_at_its_start_and_then_at_local_midnights() {
    let zone: Zone = "America/Bogota".parse().unwrap();
    let subscription = start("2023-02-03T01:00:00Z", &[("seats", "5")]).unwrap();
    assert_eq!(subscription.start_date().to_string(), "2023-02-02");
    assert_eq!(subscription.due_at(), Some(at("2023-02-03T01:00:00Z")));

    let (plan, taxes, boundary) = (team(), Taxes::default(), Occasion::Boundary { next_plan: None });
    let billable = Billable { plan: &plan, subscription: &subscription, zone: &zone, taxes: &taxes };
    assert_eq!(usage_windows(&billable, &boundary), Ok(Vec::new()));
    let billed = bill(&billable, &boundary, &Metered::default()).unwrap().subscription;
    assert_eq!(billed.next_boundary().unwrap().to_string(), "2023-03-01");
    assert_eq!(billed.due_at(), Some(at("2023-03-01T05:00:00Z")));
    let windows = usage_windows(&Billable { subscription: &billed, ..billable }, &boundary).unwrap();
    let window = windows[0].window;
    assert_eq!((window.from, window.to), (subscription.start_at(), at("2023-03-01T05:00:00Z")));
    assert_eq!((window.full_from, window.full_to), (at("2023-02-01T05:00:00Z"), at("2023-03-01T05:00:00Z")));
    assert_eq!(window.carried_from, subscription.start_at());
}

/// At 00:01 of 1 November 2009 the clocks of Newfoundland went back to 23:01: a midnight that happened twice.
#[test]
fn a_start_between_two_midnights_has_an_empty_first_window() {
    let instant = "2009-11-01T02:45:00Z";
    let body = plan("team", "month", &[seats("advance", "1.00"), calls("1")]);
    let beginning = json!({ "cycle": "calendar", "zone": "America/St_Johns", "quantities": { "seats": "31" } });
    let mut story = Story::start(&[body], instant, beginning);
    story.uses("calls", instant, "7");
    story.bill_boundary().unwrap();
    assert_eq!(story.last(), ["seats licensed 2009-10-31..2009-11-01 x31 1/31 = 100"]);
    assert_eq!(story.subscription.next_boundary().unwrap().to_string(), "2009-11-01");
    assert_eq!(story.subscription.due_at(), Some(at(instant)));
    story.bill_boundary().unwrap();
    assert_eq!(story.last(), ["seats licensed 2009-11-01..2009-12-01 x31 = 3100"]);
    story.bill_boundary().unwrap();
    assert_eq!(story.last()[1], "calls usage 2009-11-01..2009-12-01 x7 = 700");
}

#[test]
fn quantities_fit_the_licensed_prices() {
    let instant = "2023-02-02T19:00:00Z";
    let refused = |quantities: &[(&str, &str)]| start(instant, quantities).unwrap_err().to_string();
    assert_eq!(refused(&[]), "quantities.seats is required: the price is charged by quantity");
    assert_eq!(refused(&[("seats", "1"), ("rooms", "1")]), "quantities.rooms is no licensed price of the plan");
    assert_eq!(refused(&[("seats", "-1")]), "quantities.seats must not be negative");
}

#[test]
fn a_start_that_cannot_be_is_named_by_its_path() {
    let base: Plan = serde_json::from_value(plan("a", "month", &[flat("base", "advance", "1")])).unwrap();
    let weekly: Plan = serde_json::from_value(with(
        plan("a", "week", &[flat("base", "advance", "1")]),
        json!({ "interval_count": 2 }),
    ))
    .unwrap();
    let (zone, now) = (Zone::UTC, at("2023-02-02T19:00:00Z"));
    let calendar = Start { cycle: BillingCycle::Calendar, ..Start::at(now, &zone) };
    let anchored = Start { anchor_day: Some(AnchorDay::try_from(5).unwrap()), ..Start::at(now, &zone) };
    let coupon = || serde_json::from_value(json!({ "key": "c", "percent_off": "1", "duration": "once" })).unwrap();
    let cases = [
        (&base, Start::at(at("1900-01-01"), &zone), "start_at must be in the years 1970 to 2199"),
        (&weekly, calendar.clone(), "billing_cycle cannot be calendar for several weeks or days"),
        (&weekly, anchored.clone(), "anchor_day needs an anniversary cycle of months, quarters or years"),
        (
            &base,
            Start { cycle: BillingCycle::Calendar, ..anchored },
            "anchor_day needs an anniversary cycle of months, quarters or years",
        ),
        (
            &base,
            Start { end_at: Some(at("2023-02-02T23:00:00Z")), ..Start::at(now, &zone) },
            "end_at must be on a later day than the start",
        ),
        (&base, Start { trial_days: Some(3_661), ..Start::at(now, &zone) }, "trial_days must be at most 3660"),
        (
            &base,
            Start { coupons: (0..21).map(|_| coupon()).collect(), ..Start::at(now, &zone) },
            "coupons must be at most 20",
        ),
    ];
    for (plan, start, error) in cases {
        assert_eq!(Subscription::start("pln_1", plan, start).unwrap_err().to_string(), error);
    }
    assert!(Subscription::start("pln_1", &base, calendar).is_ok());
}

/// A plan that has no such cycle is refused at a change as at a start.
#[test]
fn a_change_is_to_a_plan_that_has_the_cycle() {
    let weekly = with(plan("weeks", "week", &[flat("base", "advance", "1")]), json!({ "interval_count": 2 }));
    let plans = [plan("a", "month", &[flat("base", "advance", "1")]), weekly];
    let mut story = Story::start(&plans, "2023-02-02", json!({ "cycle": "calendar" }));
    story.bill_boundary().unwrap();
    let weeks: Plan = serde_json::from_value(plans[1].clone()).unwrap();
    let (quantities, proration) = (BTreeMap::new(), ProrationBehavior::Day);
    let change = Occasion::Change { at: at("2023-02-03"), to: ("weeks", &weeks), quantities: &quantities, proration };
    let error = "billing_cycle cannot be calendar for several weeks or days";
    assert_eq!(story.bill(&change).unwrap_err().to_string(), error);
    let scheduled = story.subscription.change_at_period_end(("weeks", &weeks), &quantities);
    assert_eq!(scheduled.unwrap_err().to_string(), error);
}

/// A boundary at which another plan follows needs that plan.
#[test]
fn a_plan_that_follows_must_be_known() {
    let plans = ["a", "b"].map(|key| plan(key, "month", &[flat("base", "advance", "1")]));
    let mut story = Story::start(&plans, "2023-04-01", json!({}));
    story.bill_boundary().unwrap();
    story.change_at_period_end("2023-04-02", json!({ "plan": "b" }));
    let error = story.bill(&Occasion::Boundary { next_plan: None }).unwrap_err();
    assert_eq!(error.to_string(), "plan must be known where it follows");
}

#[test]
fn what_is_over_is_not_billed() {
    let mut story = Story::start(&[plan("a", "month", &[flat("base", "advance", "1")])], "2023-04-01", json!({}));
    story.cancel("2023-04-02", ProrationBehavior::Day);
    assert_eq!(story.bill_boundary(), Err(BillingError::Over));
    let error = story.bill(&Occasion::Resume { at: at("2023-04-03") }).unwrap_err();
    assert_eq!(error.to_string(), "a subscription that is cancelled cannot become active");
    let plan = story.billable().plan.clone();
    let follows = story.subscription.change_at_period_end(("a", &plan), &BTreeMap::new());
    assert!(matches!(follows, Err(BillingError::State(_))));
    assert!(story.subscription.cancel_at_period_end().is_err());
    assert!(story.subscription.pause(at("2023-04-03")).is_err());
}
