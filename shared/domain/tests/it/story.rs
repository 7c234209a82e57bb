//! Stories: a subscription on its way through time, billed as the desk and the billing run bill it.
//!
//! What holds for every invoice is asserted for each one of every story.

use std::collections::BTreeMap;

use domain::{
    Accumulator, AnchorDay, Bill, Billable, BillingCycle, BillingError, Coupon, EventView, InvoiceContent, LineItem,
    Meter, Metered, Occasion, Plan, ProrationBehavior, Start, Subscription, Taxes, Usage, Used, Zone, bill,
    usage_windows,
};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Value, json};

/// An event of a meter.
#[derive(Clone, Debug)]
struct Event {
    meter: String,
    at: Timestamp,
    properties: BTreeMap<String, String>,
}

/// A subscription, all that it is billed from, and the invoices so far.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    plans: BTreeMap<String, Plan>,
    meters: BTreeMap<String, Meter>,
    zone: Zone,
    taxes: Taxes,
    events: Vec<Event>,
    /// By price: up to where its usage has been measured for an invoice.
    measured: BTreeMap<String, Timestamp>,
    pub(crate) subscription: Subscription,
    pub(crate) invoices: Vec<InvoiceContent>,
}

/// How a story starts; all but the instant can be left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Beginning {
    zone: Zone,
    cycle: BillingCycle,
    anchor_day: Option<AnchorDay>,
    trial_days: Option<u16>,
    quantities: BTreeMap<String, Decimal>,
    coupons: Vec<Coupon>,
    end_at: Option<String>,
}

/// What a change changes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Change {
    plan: Option<String>,
    quantities: BTreeMap<String, Decimal>,
    proration: ProrationBehavior,
}

/// An instant, or the first one of a day in UTC.
pub(crate) fn at(text: &str) -> Timestamp {
    let text = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    text.parse().unwrap()
}

/// A flat price.
pub(crate) fn flat(key: &str, timing: &str, amount: &str) -> Value {
    json!({ "key": key, "kind": "fixed", "timing": timing, "model": { "type": "flat", "amount": amount } })
}

/// A price per seat.
pub(crate) fn seats(timing: &str, unit_amount: &str) -> Value {
    json!({ "key": "seats", "kind": "licensed", "timing": timing,
            "model": { "type": "per_unit", "unit_amount": unit_amount } })
}

/// A price per unit of the meter `calls`.
pub(crate) fn calls(unit_amount: &str) -> Value {
    json!({ "key": "calls", "kind": "usage", "meter": "calls", "timing": "arrears",
            "model": { "type": "per_unit", "unit_amount": unit_amount } })
}

/// A JSON object with the fields of another one put over its own.
pub(crate) fn with(mut body: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// A plan's body, of dollars.
pub(crate) fn plan(key: &str, interval: &str, prices: &[Value]) -> Value {
    json!({ "key": key, "currency": "usd", "interval": interval, "prices": prices })
}

/// A line for comparing: "seats licensed 2023-01-15..2023-02-01 x5 17/31 = 10968".
pub(crate) fn shown(line: &LineItem) -> String {
    let mut text = format!("{} {}", line.price.as_deref().unwrap_or("-"), json!(line.kind).as_str().unwrap());
    text += &format!(" {}..{}", line.period.start, line.period.end);
    if line.quantity != 1.into() {
        text += &format!(" x{}", line.quantity);
    }
    if let Some(group) = &line.group {
        text += &format!(" ({group})");
    }
    if let Some(proration) = line.proration {
        text += &format!(" {proration}");
    }
    format!("{text} = {}", line.amount_minor)
}

impl Story {
    /// Starts a subscription to the first of these plans, as a JSON object says; nothing is billed yet.
    pub(crate) fn start(plans: &[Value], instant: &str, beginning: Value) -> Self {
        let read = |body: &Value| serde_json::from_value::<Plan>(body.clone()).unwrap();
        let plans: Vec<Plan> = plans.iter().map(read).collect();
        let Beginning { zone, cycle, anchor_day, trial_days, quantities, coupons, end_at } =
            serde_json::from_value(beginning).unwrap();
        let end_at = end_at.map(|end| at(&end));
        let start = Start { at: at(instant), zone: &zone, cycle, anchor_day, trial_days, quantities, coupons, end_at };
        let subscription = Subscription::start(plans[0].key(), &plans[0], start).unwrap();
        Self::of(plans, zone, Taxes::default(), subscription)
    }

    /// The story of a subscription to one of these plans, whose ids are their keys. Their meters sum up `value`.
    pub(crate) fn of(plans: Vec<Plan>, zone: Zone, taxes: Taxes, subscription: Subscription) -> Self {
        let meter = |key: &str| json!({ "key": key, "aggregation": "sum", "value_property": "value" });
        let meters = plans.iter().flat_map(Plan::meters);
        let meters = meters.map(|key| (key.to_owned(), serde_json::from_value(meter(key)).unwrap())).collect();
        let plans = plans.into_iter().map(|plan| (plan.key().to_owned(), plan)).collect();
        let (events, measured, invoices) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { plans, meters, zone, taxes, events, measured, subscription, invoices }
    }

    /// Taxes everything by a rate.
    pub(crate) fn taxed(mut self, percent: &str) -> Self {
        self.taxes.rates = vec![serde_json::from_value(json!({ "name": "VAT", "percent": percent })).unwrap()];
        self
    }

    /// Has the customer live in another zone.
    pub(crate) fn moves_to(&mut self, zone: Zone) {
        self.zone = zone;
    }

    /// Reports so many units.
    pub(crate) fn uses(&mut self, meter: &str, instant: &str, value: &str) {
        self.reports(meter, at(instant), &[("value", value)]);
    }

    /// Reports an event.
    pub(crate) fn reports(&mut self, meter: &str, at: Timestamp, properties: &[(&str, &str)]) {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.events.push(Event { meter: meter.to_owned(), at, properties });
        self.events.sort_by_key(|event| event.at);
    }

    /// Bills what is due up to an instant; the lines of the last invoice.
    pub(crate) fn until(&mut self, instant: &str) -> Vec<String> {
        self.catch_up(at(instant)).unwrap();
        self.last()
    }

    /// The lines of the last invoice.
    pub(crate) fn last(&self) -> Vec<String> {
        self.invoices.last().map(|invoice| invoice.lines.iter().map(shown).collect()).unwrap_or_default()
    }

    /// Changes something now; the lines of the invoice.
    pub(crate) fn change(&mut self, instant: &str, change: Value) -> Vec<String> {
        let Change { plan, quantities, proration } = serde_json::from_value(change).unwrap();
        let id = plan.unwrap_or_else(|| self.subscription.plan().to_owned());
        self.acts(at(instant), |story| {
            let to = (id.as_str(), &story.plans[&id].clone());
            story.bill(&Occasion::Change { at: at(instant), to, quantities: &quantities, proration })
        })
    }

    /// Has it change at the end of the period.
    pub(crate) fn change_at_period_end(&mut self, instant: &str, change: Value) {
        let Change { plan, quantities, .. } = serde_json::from_value(change).unwrap();
        self.catch_up(at(instant)).unwrap();
        let id = plan.unwrap_or_else(|| self.subscription.plan().to_owned());
        self.subscription.change_at_period_end((&id, &self.plans[&id]), &quantities).unwrap();
    }

    /// Ends it now; the lines of the invoice.
    pub(crate) fn cancel(&mut self, instant: &str, proration: ProrationBehavior) -> Vec<String> {
        self.acts(at(instant), |story| story.bill(&Occasion::Cancel { at: at(instant), proration }))
    }

    /// Has it end with its period.
    pub(crate) fn cancel_at_period_end(&mut self, instant: &str) {
        self.catch_up(at(instant)).unwrap();
        self.subscription.cancel_at_period_end().unwrap();
    }

    /// Pauses it.
    pub(crate) fn pause(&mut self, instant: &str) {
        self.catch_up(at(instant)).unwrap();
        self.subscription.pause(at(instant)).unwrap();
    }

    /// Resumes it; the lines of the invoice.
    pub(crate) fn resume(&mut self, instant: &str) -> Vec<String> {
        self.acts(at(instant), |story| story.bill(&Occasion::Resume { at: at(instant) }))
    }

    /// Whether a change now would be an upgrade.
    pub(crate) fn is_upgrade(&self, instant: &str, change: Value) -> bool {
        let Change { plan, quantities, .. } = serde_json::from_value(change).unwrap();
        let id = plan.unwrap_or_else(|| self.subscription.plan().to_owned());
        domain::is_upgrade(&self.billable(), at(instant), (&self.plans[&id], &quantities)).unwrap()
    }

    /// What is due first, then an action; the lines of its invoice, none without one.
    fn acts(
        &mut self,
        at: Timestamp,
        act: impl FnOnce(&mut Self) -> Result<Option<InvoiceContent>, BillingError>,
    ) -> Vec<String> {
        self.catch_up(at).unwrap();
        let invoice = act(self).unwrap();
        invoice.iter().flat_map(|invoice| &invoice.lines).map(shown).collect()
    }

    /// Bills the boundaries that are due at an instant, oldest first.
    pub(crate) fn catch_up(&mut self, at: Timestamp) -> Result<(), BillingError> {
        while self.subscription.due_at().is_some_and(|due| due <= at) {
            self.bill_boundary()?;
        }
        Ok(())
    }

    /// Bills the next boundary.
    pub(crate) fn bill_boundary(&mut self) -> Result<Option<InvoiceContent>, BillingError> {
        let next_plan = self.subscription.scheduled_plan().map(|id| self.plans[id].clone());
        self.bill(&Occasion::Boundary { next_plan: next_plan.as_ref() })
    }

    /// Bills an occasion, and asserts what holds for each.
    pub(crate) fn bill(&mut self, occasion: &Occasion<'_>) -> Result<Option<InvoiceContent>, BillingError> {
        let billable = self.billable();
        let metered = Metered { usage: self.measure(occasion)?, ..Metered::default() };
        let Bill { invoice, subscription, closed } = bill(&billable, occasion, &metered)?;
        let again = Bill { invoice: invoice.clone(), subscription: subscription.clone(), closed };
        assert_eq!(bill(&billable, occasion, &metered), Ok(again), "billing twice is billing once");
        if let Some(content) = &invoice {
            Self::adds_up(content);
        }
        let stored = serde_json::to_string(&subscription).unwrap();
        let loaded: Subscription = serde_json::from_str(&stored).unwrap();
        assert_eq!(loaded, subscription);
        self.note_measured(occasion);
        self.subscription = loaded;
        self.invoices.extend(invoice.clone());
        Ok(invoice)
    }

    /// No event counts twice.
    fn note_measured(&mut self, occasion: &Occasion<'_>) {
        for window in usage_windows(&self.billable(), occasion).unwrap() {
            let (from, to) = (window.window.from, window.window.to);
            assert!(from <= to);
            let before = self.measured.insert(window.price, to);
            assert!(before.is_none_or(|before| before <= from), "usage from {from} was measured up to {before:?}");
        }
    }

    fn adds_up(content: &InvoiceContent) {
        assert_eq!(content.check(), Ok(()));
        assert!(!content.lines.is_empty());
        let stored = serde_json::to_string(content).unwrap();
        let again = serde_json::from_str::<InvoiceContent>(&stored).unwrap().recompute().unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), stored, "a recomputation gives the same bytes");
        for line in &content.lines {
            assert!(!line.explain(content.currency).unwrap().is_empty());
            assert!(line.discount_minor >= 0 && line.discount_minor <= line.amount_minor.max(0));
            let (days, of_days) = line.proration.map_or((1, 1), |part| part.days());
            assert!((0..=of_days).contains(&days), "a part of more than the whole: {}", shown(line));
        }
    }

    pub(crate) fn billable(&self) -> Billable<'_> {
        let plan = &self.plans[self.subscription.plan()];
        Billable { plan, subscription: &self.subscription, zone: &self.zone, taxes: &self.taxes }
    }

    /// What was used in the windows that an occasion bills.
    fn measure(&self, occasion: &Occasion<'_>) -> Result<Usage, BillingError> {
        let billable = self.billable();
        let mut usage = Usage::new();
        for window in usage_windows(&billable, occasion)? {
            let price = billable.plan.price(&window.price).unwrap();
            let mut sum = Accumulator::new(&self.meters[&window.meter], price.selection(), window.window);
            for event in self.events.iter().filter(|event| event.meter == window.meter && !window.is_paused(event.at)) {
                sum.add(EventView { id: "evt", at: event.at, properties: &event.properties }).unwrap();
            }
            let used = sum.finish().unwrap().into_iter().map(|one| Used::measured(price, one)).collect();
            usage.insert(window.price, used);
        }
        Ok(usage)
    }
}
