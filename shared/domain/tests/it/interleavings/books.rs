//! The books: documents with revisions, and transactions over them.
//!
//! **Invariant:** a commit that compares revisions happens at once or not at all.

use std::collections::BTreeMap;

use domain::{
    ClosedWindow, DunningPolicy, InvoiceContent, InvoiceStatus, Plan, Start, Subscription, UsageWindow, Zone,
};
use jiff::Timestamp;
use serde_json::json;

use super::tasks::Job;
use crate::story::{at, calls, flat, plan};

/// A window that is closed, or about to be, and how often usage has come for it since.
pub(super) type Marks = BTreeMap<(usize, Timestamp, Timestamp), u64>;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    pub(super) revision: u64,
    pub(super) state: Subscription,
    /// Windows that were billed, each with the count of its mark up to which that is so.
    pub(super) closed: Vec<(ClosedWindow, String, u64)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Invoice {
    pub(super) id: String,
    pub(super) number: u64,
    pub(super) subscription: usize,
    pub(super) content: InvoiceContent,
    pub(super) status: InvoiceStatus,
    /// The attempt that is under way.
    pub(super) open_attempt: Option<usize>,
    pub(super) attempts: usize,
    pub(super) first_failed_at: Option<Timestamp>,
    /// When it is to be collected.
    pub(super) due: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attempt {
    pub(super) invoice: usize,
    pub(super) amount_minor: i64,
    pub(super) is_paid: Option<bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) subscription: usize,
    pub(super) at: Timestamp,
    pub(super) units: i64,
    /// Whether the marks have been looked at.
    pub(super) is_checked: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Books {
    pub(super) now: Timestamp,
    pub(super) plans: BTreeMap<&'static str, Plan>,
    pub(super) zone: Zone,
    pub(super) policy: DunningPolicy,
    /// The customer's, which two subscriptions share.
    pub(super) customer_revision: u64,
    pub(super) balance_minor: i64,
    pub(super) subscriptions: Vec<Held>,
    pub(super) invoices: Vec<Invoice>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) events: Vec<Event>,
    pub(super) marks: Marks,
}

impl Books {
    /// One customer with two monthly subscriptions, which begin on the last of January.
    pub(super) fn new() -> Self {
        let now = at("2024-01-31T05:00:00Z");
        let zone: Zone = "America/Bogota".parse().unwrap();
        let body = |key, amount| plan(key, "month", &[flat("base", "advance", amount), calls("0.37")]);
        let read = |key, amount| (key, serde_json::from_value::<Plan>(body(key, amount)).unwrap());
        let plans = BTreeMap::from([read("a", "31.00"), read("b", "10.01")]);
        let start = || Subscription::start("a", &plans["a"], Start::at(now, &zone)).unwrap();
        let held = || Held { revision: 1, state: start(), closed: Vec::new() };
        let subscriptions = vec![held(), held()];
        let policy = serde_json::from_value(json!({ "retry_days": [1, 3], "outcome": "unpaid" })).unwrap();
        let (invoices, attempts, events, marks) = (Vec::new(), Vec::new(), Vec::new(), Marks::new());
        Self {
            now,
            plans,
            zone,
            policy,
            customer_revision: 1,
            balance_minor: 0,
            subscriptions,
            invoices,
            attempts,
            events,
            marks,
        }
    }

    /// Everything that is to be done by now.
    pub(super) fn due(&self) -> Vec<Job> {
        let is_due = |due: Option<Timestamp>| due.is_some_and(|due| due <= self.now);
        let bill = self.subscriptions.iter().enumerate().filter(|(_, held)| is_due(held.state.due_at()));
        let collect =
            self.invoices.iter().enumerate().filter(|(_, one)| one.status == InvoiceStatus::Open && is_due(one.due));
        let check = self.events.iter().enumerate().filter(|(_, event)| !event.is_checked);
        let bill = bill.map(|(place, _)| Job::Bill(place));
        bill.chain(collect.map(|(place, _)| Job::Collect(place)))
            .chain(check.map(|(place, _)| Job::Check(place)))
            .collect()
    }

    /// What was used of a window.
    pub(super) fn units(&self, subscription: usize, window: &UsageWindow) -> i64 {
        let counts = |event: &&Event| {
            event.subscription == subscription && (window.window.from..window.window.to).contains(&event.at)
        };
        self.events.iter().filter(counts).map(|event| event.units).sum()
    }

    /// Whether any invoice of a subscription is owed whose payment has failed.
    pub(super) fn has_failed(&self, subscription: usize) -> bool {
        let own = |one: &&Invoice| one.subscription == subscription && one.status == InvoiceStatus::Open;
        self.invoices.iter().filter(own).any(|one| one.first_failed_at.is_some())
    }
}
