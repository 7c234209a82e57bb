//! The checker: what must hold in the end, read from the books and the gateway's ledger alone.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Exact, InvoiceStatus, LineKind, SubscriptionStatus};

use super::{World, books::Invoice};

/// Asserts everything.
pub(super) fn check(world: &World) {
    check_invoices(world);
    check_days(world);
    check_usage(world);
    check_payments(world);
    check_standing(world);
    check_balance(world);
}

/// Every boundary and change has one invoice at most; numbers have no gap.
fn check_invoices(world: &World) {
    let invoices = &world.books.invoices;
    let ids: BTreeSet<&str> = invoices.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids.len(), invoices.len(), "an invoice is there twice");
    let numbers = invoices.iter().filter(|one| one.status != InvoiceStatus::Draft).map(|one| one.number);
    assert!(numbers.zip(1..).all(|(number, expected)| number == expected), "a number is missing or there twice");
    for one in invoices {
        assert_eq!(one.content.check(), Ok(()));
        assert_eq!(one.content.recompute().as_ref(), Ok(&one.content));
    }
}

fn own(world: &World, subscription: usize) -> impl Iterator<Item = &Invoice> {
    world.books.invoices.iter().filter(move |one| one.subscription == subscription)
}

/// Every day is billed once by one of the plans.
fn check_days(world: &World) {
    for (place, held) in world.books.subscriptions.iter().enumerate() {
        let lines = own(world, place).flat_map(|one| &one.content.lines);
        let days = lines.filter(|line| line.price.as_deref() == Some("base"));
        let days: i64 = days
            .map(|line| if line.kind == LineKind::Proration { -line.period.days() } else { line.period.days() })
            .sum();
        let period = held.state.current_period();
        let lived = domain::BillingPeriod { start: held.state.start_date(), end: period.end };
        assert_eq!(days, lived.days(), "subscription {place} until {}", period.end);
        let is_over = held.state.next_boundary().is_none();
        assert!(
            is_over
                || held
                    .state
                    .due_at()
                    .is_some_and(|due| due > world.books.now - jiff::SignedDuration::from_hours(24 * 31))
        );
    }
}

/// Every event is billed once; of a subscription that is over, late ones may be left.
fn check_usage(world: &World) {
    for (place, held) in world.books.subscriptions.iter().enumerate() {
        let lines = own(world, place).flat_map(|one| &one.content.lines);
        let billed: Exact =
            lines.filter(|line| line.price.as_deref() == Some("calls")).map(|line| line.quantity.clone()).sum();
        let events = world.books.events.iter().filter(|event| event.subscription == place);
        let used = Exact::from(events.map(|event| event.units).sum::<i64>());
        let is_over = held.state.next_boundary().is_none();
        assert!(
            billed == used || (is_over && billed < used),
            "subscription {place}: {used} were used, {billed} billed"
        );
    }
}

/// The gateway has charged every paid invoice once, and no other one.
fn check_payments(world: &World) {
    let mut charged = BTreeMap::<usize, Vec<i64>>::new();
    for charge in world.gateway.ledger.values().filter(|charge| charge.is_paid) {
        charged.entry(charge.invoice).or_default().push(charge.amount_minor);
    }
    for (place, one) in world.books.invoices.iter().enumerate() {
        let charges = charged.remove(&place).unwrap_or_default();
        let is_paid = one.status == InvoiceStatus::Paid && one.content.amount_due_minor != 0;
        let expected = if is_paid { vec![one.content.amount_due_minor] } else { Vec::new() };
        assert_eq!(charges, expected, "invoice {place} is {}", one.status.as_str());
        assert_eq!(one.open_attempt, None, "invoice {place}");
        // The first one and a retry for each day of the policy.
        assert!(one.attempts <= 3, "invoice {place}: {} attempts", one.attempts);
    }
    assert!(charged.is_empty(), "charges of no invoice");
}

/// A subscription's state says whether anything of it is owed whose payment has failed.
fn check_standing(world: &World) {
    for (place, held) in world.books.subscriptions.iter().enumerate() {
        let status = held.state.status();
        let expected = if world.books.has_failed(place) {
            [SubscriptionStatus::PastDue, SubscriptionStatus::Unpaid]
        } else {
            [SubscriptionStatus::Active; 2]
        };
        assert!(
            status == SubscriptionStatus::Cancelled || expected.contains(&status),
            "subscription {place} is {}",
            status.as_str()
        );
    }
}

/// What totals below zero have credited is the balance, or has paid something.
fn check_balance(world: &World) {
    let issued = world.books.invoices.iter().filter(|one| one.status != InvoiceStatus::Draft);
    let moved: i64 = issued.map(|one| one.content.credited_minor - one.content.credit_applied_minor).sum();
    assert_eq!(world.books.balance_minor, moved);
}
