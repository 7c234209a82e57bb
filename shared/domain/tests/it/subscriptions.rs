//! Subscriptions: how one starts, what it refuses, and which changes of state exist.

use std::collections::BTreeMap;

use domain::{
    Bill, Billable, BillingCycle, BillingError, Plan, SpecError, Start, Subscription, SubscriptionStatus, Zone, bill,
    usage_window,
};
use serde_json::json;

fn plan() -> Plan {
    serde_json::from_value(json!({
        "key": "team", "currency": "usd", "interval": "month",
        "prices": [ { "key": "seats", "kind": "licensed", "timing": "advance",
                      "model": { "type": "per_unit", "unit_amount": "10.00" } } ],
    }))
    .unwrap()
}

fn start(at: &str, quantities: &[(&str, &str)]) -> Result<Subscription, SpecError> {
    let quantities = quantities.iter().map(|(key, text)| ((*key).to_owned(), text.parse().unwrap())).collect();
    let zone = "America/Bogota".parse().unwrap();
    let start = Start { at: at.parse().unwrap(), zone: &zone, cycle: BillingCycle::Calendar, quantities };
    Subscription::start("pln_1", &plan(), start)
}

#[test]
fn a_subscription_is_due_at_its_start_and_then_at_local_midnights() {
    let zone: Zone = "America/Bogota".parse().unwrap();
    let subscription = start("2023-02-03T01:00:00Z", &[("seats", "5")]).unwrap();
    assert_eq!(subscription.start_date().to_string(), "2023-02-02");
    assert_eq!(subscription.due_at(&zone), "2023-02-03T01:00:00Z".parse().unwrap());
    assert_eq!(usage_window(&subscription, &zone), None);

    let (plan, usage) = (plan(), BTreeMap::new());
    let billable = Billable { plan: &plan, subscription: &subscription, zone: &zone, tax_rate: None, usage: &usage };
    let billed = bill(&billable).unwrap().subscription;
    assert_eq!(billed.next_boundary().to_string(), "2023-03-01");
    assert_eq!(billed.due_at(&zone), "2023-03-01T05:00:00Z".parse().unwrap());
    let window = usage_window(&billed, &zone).unwrap();
    assert_eq!((window.from, window.to), (subscription.start_at(), billed.due_at(&zone)));
}

/// At 00:01 of 1 November 2009 the clocks of Newfoundland went back to 23:01: a midnight that happened twice.
#[test]
fn a_start_between_two_midnights_has_an_empty_first_window() {
    let (plan, zone, usage) = (plan(), "America/St_Johns".parse::<Zone>().unwrap(), BTreeMap::new());
    let quantities = BTreeMap::from([("seats".to_owned(), "31".parse().unwrap())]);
    let at = "2009-11-01T02:45:00Z".parse().unwrap();
    let start = Start { at, zone: &zone, cycle: BillingCycle::Calendar, quantities };
    let subscription = Subscription::start("pln_1", &plan, start).unwrap();
    let billable = Billable { plan: &plan, subscription: &subscription, zone: &zone, tax_rate: None, usage: &usage };
    let Bill { invoice, subscription } = bill(&billable).unwrap();
    assert_eq!(invoice.unwrap().lines[0].proration.unwrap().to_string(), "1/31");
    assert_eq!(subscription.next_boundary().to_string(), "2009-11-01");
    assert_eq!(subscription.due_at(&zone), at);
    let window = usage_window(&subscription, &zone).unwrap();
    assert_eq!((window.from, window.to), (at, at));
}

#[test]
fn quantities_fit_the_licensed_prices() {
    let at = "2023-02-02T19:00:00Z";
    let refused = |quantities: &[(&str, &str)]| start(at, quantities).unwrap_err().to_string();
    assert_eq!(refused(&[]), "quantities.seats is required: the price is charged by quantity");
    assert_eq!(refused(&[("seats", "1"), ("rooms", "1")]), "quantities.rooms is no licensed price of the plan");
    assert_eq!(refused(&[("seats", "-1")]), "quantities.seats must not be negative");
    assert_eq!(
        start("1900-01-01T00:00:00Z", &[("seats", "1")]).unwrap_err().to_string(),
        "start_at must be in the years 1970 to 2199"
    );
}

#[test]
fn a_subscription_is_not_billed_by_a_plan_that_it_does_not_fit() {
    let subscription = start("2023-02-02T19:00:00Z", &[("seats", "5")]).unwrap();
    let mut body = serde_json::to_value(plan()).unwrap();
    body["prices"][0]["key"] = json!("rooms");
    let other: Plan = serde_json::from_value(body).unwrap();
    let (zone, usage) = (Zone::UTC, BTreeMap::new());
    let billable = Billable { plan: &other, subscription: &subscription, zone: &zone, tax_rate: None, usage: &usage };
    assert_eq!(bill(&billable), Err(BillingError::MissingQuantity("rooms".to_owned())));
}

#[test]
fn only_listed_transitions_exist() {
    use SubscriptionStatus::{Active, Cancelled, PastDue, Paused, Trialing, Unpaid};
    let mut subscription = start("2023-02-02T19:00:00Z", &[("seats", "5")]).unwrap();
    for status in [PastDue, Active, Paused, Active, Unpaid, Active, Cancelled] {
        subscription.transition_to(status).unwrap();
        assert_eq!(subscription.status(), status);
    }
    for status in [Trialing, Active, PastDue, Unpaid, Paused, Cancelled] {
        let error = subscription.transition_to(status).unwrap_err();
        assert_eq!(error.to_string(), format!("a subscription that is cancelled cannot become {}", status.as_str()));
        assert_eq!(subscription.status(), Cancelled);
    }
    let wire = |status| serde_json::to_value(status).unwrap();
    for status in [Trialing, Active, PastDue, Unpaid, Paused, Cancelled] {
        assert_eq!(wire(status), status.as_str());
        assert!(!status.successors().contains(&status));
    }
}
