//! Runs a scenario through the billing core on a simulated clock.
//!
//! Knows the part of the scenario format that the core implements: one tax rate, and the verbs `subscribe` and `usage`.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Billable, BillingCycle, Currency, InvoiceContent, LineItem, Meter, Plan, Start, Subscription, TaxRate, Zone, bill,
    usage_window,
};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    customer: Customer,
    #[serde(default)]
    meters: Vec<Meter>,
    plans: Vec<Plan>,
    timeline: Vec<Entry>,
    until: Timestamp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Customer {
    currency: Currency,
    #[serde(default)]
    timezone: Zone,
    #[serde(default)]
    tax_rates: Vec<TaxRate>,
}

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Entry {
    Subscribe {
        at: Timestamp,
        subscription: String,
        plan: String,
        #[serde(default)]
        billing_cycle: BillingCycle,
        #[serde(default)]
        quantities: BTreeMap<String, Decimal>,
    },
    Usage {
        at: Timestamp,
        subscription: String,
        meter: String,
        id: String,
        properties: BTreeMap<String, String>,
    },
}

impl Entry {
    fn at(&self) -> Timestamp {
        match self {
            Self::Subscribe { at, .. } | Self::Usage { at, .. } => *at,
        }
    }
}

struct Event {
    subscription: String,
    meter: String,
    at: Timestamp,
    quantity: Decimal,
}

/// What has happened up to a moment.
pub(crate) struct Simulation<'a> {
    scenario: &'a Scenario,
    subscriptions: BTreeMap<String, Subscription>,
    events: Vec<Event>,
    event_ids: BTreeSet<String>,
    invoices: Vec<(String, InvoiceContent)>,
}

impl<'a> Simulation<'a> {
    /// Runs a scenario to its end.
    pub(crate) fn run(scenario: &'a Scenario) -> Self {
        let mut simulation = Self {
            scenario,
            subscriptions: BTreeMap::new(),
            events: Vec::new(),
            event_ids: BTreeSet::new(),
            invoices: Vec::new(),
        };
        let mut timeline: Vec<&Entry> = scenario.timeline.iter().collect();
        timeline.sort_by_key(|entry| entry.at());
        for entry in timeline {
            simulation.bill_until(entry.at());
            simulation.apply(entry);
        }
        simulation.bill_until(scenario.until);
        simulation
    }

    fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Subscribe { at, subscription, plan, billing_cycle, quantities } => {
                let (zone, quantities) = (&self.scenario.customer.timezone, quantities.clone());
                assert_eq!(self.plan(plan).currency(), self.scenario.customer.currency);
                let start = Start { at: *at, zone, cycle: *billing_cycle, quantities };
                let started = Subscription::start(plan, self.plan(plan), start).unwrap();
                assert!(self.subscriptions.insert(subscription.clone(), started).is_none(), "{subscription} exists");
                self.bill_until(*at);
            }
            Entry::Usage { at, subscription, meter, id, properties } => {
                let meter = self.scenario.meters.iter().find(|known| known.key() == meter).unwrap();
                if self.event_ids.insert(id.clone()) {
                    let quantity = meter.quantity(properties).unwrap();
                    let (subscription, meter) = (subscription.clone(), meter.key().to_owned());
                    self.events.push(Event { subscription, meter, at: *at, quantity });
                }
            }
        }
    }

    fn plan(&self, key: &str) -> &'a Plan {
        self.scenario.plans.iter().find(|plan| plan.key() == key).unwrap()
    }

    /// Bills everything that is due by a moment, oldest first.
    fn bill_until(&mut self, until: Timestamp) {
        let zone = &self.scenario.customer.timezone;
        while let Some((due, key)) = self.subscriptions.iter().map(|(key, one)| (one.due_at(zone), key.clone())).min() {
            if due > until {
                return;
            }
            let subscription = &self.subscriptions[&key];
            let (tax_rate, usage) = (self.scenario.customer.tax_rates.first(), self.usage(&key));
            let plan = self.plan(subscription.plan());
            let bill = bill(&Billable { plan, subscription, zone, tax_rate, usage: &usage }).unwrap();
            self.invoices.extend(bill.invoice.map(|content| (key.clone(), content)));
            self.subscriptions.insert(key, bill.subscription);
        }
    }

    fn usage(&self, key: &str) -> BTreeMap<String, Decimal> {
        let mut usage = BTreeMap::new();
        if let Some(window) = usage_window(&self.subscriptions[key], &self.scenario.customer.timezone) {
            let of_period =
                |event: &&Event| event.subscription == key && window.from <= event.at && event.at < window.to;
            for event in self.events.iter().filter(of_period) {
                *usage.entry(event.meter.clone()).or_default() += event.quantity;
            }
        }
        usage
    }

    /// The issued invoices, in order.
    pub(crate) fn invoices(&self) -> impl Iterator<Item = &InvoiceContent> {
        self.invoices.iter().map(|(_, content)| content)
    }

    /// The output of the scenario format.
    pub(crate) fn output(&self) -> Value {
        let invoice = |(index, (subscription, content)): (usize, &(String, InvoiceContent))| {
            json!({
                "invoice": index + 1,
                "subscription": subscription,
                "reason": content.reason,
                "status": if content.amount_due_minor == 0 { "paid" } else { "open" },
                "issued_at": content.issued_at,
                "currency": content.currency,
                "lines": content.lines.iter().map(|item| line(item, content.currency)).collect::<Vec<_>>(),
                "subtotal_minor": content.subtotal_minor,
                "discount_minor": content.discount_minor,
                "tax_minor": content.tax_minor,
                "total_minor": content.total_minor,
                "amount_due_minor": content.amount_due_minor,
            })
        };
        let subscription = |(key, one): (&String, &Subscription)| {
            json!({
                "subscription": key,
                "plan": one.plan(),
                "status": one.status(),
                "current_period": one.current_period(),
            })
        };
        json!({
            "invoices": self.invoices.iter().enumerate().map(invoice).collect::<Vec<_>>(),
            "subscriptions": self.subscriptions.iter().map(subscription).collect::<Vec<_>>(),
        })
    }
}

fn line(item: &LineItem, currency: Currency) -> Value {
    json!({
        "price": item.price,
        "kind": item.kind,
        "description": item.description,
        "period": item.period,
        "quantity": item.quantity,
        "proration": item.proration,
        "amount_minor": item.amount_minor,
        "discount_minor": item.discount_minor,
        "tax_minor": item.tax_minor,
        "explain": item.explain(currency).unwrap(),
    })
}
