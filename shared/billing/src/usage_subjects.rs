//! Whose an event is: the customer or subscription that it names, the meter, and the subscription that bills it.
//!
//! An event of a customer goes to the one subscription that bills its meter at its time. With several it is refused as
//! ambiguous; with none it stays unclaimed, for whichever subscription first counts that time.

use std::collections::{BTreeMap, BTreeSet};

use domain::Meter;
use jiff::Timestamp;
use store::{Customer, MeteredSubscription, Store, SubscriptionRecord, TouchedUsage, UsageEvent};

use crate::{
    BillingError, NewUsageEvent, UsageSubject,
    measure_usage::{Meters, load_meters},
};

/// Objects that the events of a batch name.
pub(crate) struct Known {
    tenant: String,
    customers: BTreeSet<String>,
    /// By id.
    subscriptions: BTreeMap<String, MeteredSubscription>,
    meters: Meters,
    /// Events that are stored already, under the ids of those that correct, are corrected or are ambiguous.
    stored: BTreeMap<String, UsageEvent>,
}

/// Why an event is not stored.
pub(crate) enum Refusal {
    /// It is stored already.
    Duplicate,
    /// Code and detail.
    Because(&'static str, String),
}

impl Known {
    /// # Errors
    /// Store errors.
    pub(crate) async fn load(store: &Store, tenant: &str, events: &[NewUsageEvent]) -> Result<Self, BillingError> {
        let (mut customers, mut subscriptions) = (BTreeSet::new(), BTreeSet::new());
        for event in events {
            match &event.subject {
                UsageSubject::Customer(id) => customers.insert(id.clone()),
                UsageSubject::Subscription(id) => subscriptions.insert(id.clone()),
            };
        }
        let named: Vec<SubscriptionRecord> = store.find_all(tenant, &Vec::from_iter(subscriptions)).await?;
        let named = named.into_iter().map(|SubscriptionRecord { id, customer, meters, .. }| MeteredSubscription {
            id,
            customer,
            meters,
        });
        let mut subscriptions: BTreeMap<String, MeteredSubscription> = named.map(|one| (one.id.clone(), one)).collect();
        let of_customers: Vec<&str> = customers.iter().map(String::as_str).collect();
        for one in store.metered_subscriptions(tenant, &of_customers).await? {
            subscriptions.insert(one.id.clone(), one);
        }
        let customers: Vec<Customer> = store.find_all(tenant, &Vec::from_iter(customers)).await?;
        let mut known = Self {
            tenant: tenant.to_owned(),
            customers: customers.into_iter().map(|customer| customer.id).collect(),
            subscriptions,
            meters: load_meters(store, tenant).await?,
            stored: BTreeMap::new(),
        };
        let ids = known.worth_looking_up(events);
        if !ids.is_empty() {
            let stored: Vec<UsageEvent> = store.find_all(tenant, &ids).await?;
            known.stored = stored.into_iter().map(|event| (event.id.clone(), event)).collect();
        }
        Ok(known)
    }

    /// Stored ids of events that correct another one, of what they correct, and of those that are ambiguous now.
    fn worth_looking_up(&self, events: &[NewUsageEvent]) -> Vec<String> {
        let mut ids = Vec::new();
        for event in events {
            let is_ambiguous = match &event.subject {
                UsageSubject::Customer(customer) => self.billing(customer, event).nth(1).is_some(),
                UsageSubject::Subscription(_) => false,
            };
            if is_ambiguous {
                ids.push(UsageEvent::stored_id(&self.tenant, &event.id));
            }
            ids.extend(event.replaces.as_deref().map(|id| UsageEvent::stored_id(&self.tenant, id)));
        }
        ids
    }

    /// A customer's subscriptions that bill an event's meter at its time.
    fn billing<'a>(
        &'a self,
        customer: &'a str,
        event: &'a NewUsageEvent,
    ) -> impl Iterator<Item = &'a MeteredSubscription> {
        let bills =
            |one: &MeteredSubscription| one.meters.iter().any(|span| span.covers(&event.meter, event.timestamp));
        self.subscriptions.values().filter(move |one| one.customer == customer && bills(one))
    }

    /// # Errors
    /// Why the event is not stored.
    pub(crate) fn resolve(&self, event: &NewUsageEvent, wall: Timestamp) -> Result<UsageEvent, Refusal> {
        let because = |code, detail: String| Refusal::Because(code, detail);
        let (customer, subscription, by_customer) = match &event.subject {
            UsageSubject::Customer(id) => {
                let unknown = || because("unknown_customer", format!("no such customer: {id}"));
                (self.customers.get(id).ok_or_else(unknown)?.clone(), None, true)
            }
            UsageSubject::Subscription(id) => {
                let unknown = || because("unknown_subscription", format!("no such subscription: {id}"));
                (self.subscriptions.get(id).ok_or_else(unknown)?.customer.clone(), Some(id.clone()), false)
            }
        };
        let unknown = || because("unknown_meter", format!("no meter has the key `{}`", event.meter));
        let meter: &Meter = self.meters.get(&event.meter).ok_or_else(unknown)?;
        let quantity =
            meter.quantity(&event.properties).map_err(|error| because("invalid_property", error.to_string()))?;
        let mut record = UsageEvent {
            id: UsageEvent::stored_id(&self.tenant, &event.id),
            tenant: self.tenant.clone(),
            created: wall,
            customer,
            subscription,
            by_customer,
            unclaimed: false,
            meter: event.meter.clone(),
            timestamp: event.timestamp,
            quantity,
            properties: event.properties.clone(),
            replaces: event.replaces.as_deref().map(|id| UsageEvent::stored_id(&self.tenant, id)),
            replaced_by: None,
        };
        if by_customer {
            record.subscription = self.bills(event, &record)?;
            record.unclaimed = record.subscription.is_none();
        }
        Ok(record)
    }

    /// The one subscription that bills an event of a customer; none if no one does.
    fn bills(&self, event: &NewUsageEvent, record: &UsageEvent) -> Result<Option<String>, Refusal> {
        let mut billing = self.billing(&record.customer, event);
        let (first, second) = (billing.next(), billing.next());
        let Some((first, second)) = first.zip(second) else { return Ok(first.map(|one| one.id.clone())) };
        // It may have been stored when that was not so.
        match self.stored.get(&record.id) {
            Some(stored) if stored.same_content(record) => Err(Refusal::Duplicate),
            _ => {
                let detail = format!(
                    "meter `{}` is billed by {} and {}: name the subscription",
                    event.meter, first.id, second.id
                );
                Err(Refusal::Because("ambiguous_subscription", detail))
            }
        }
    }

    /// What events change when they are stored: their own usage, and that of what they correct.
    pub(crate) fn touched(&self, events: &[(usize, UsageEvent)]) -> Vec<TouchedUsage> {
        let own: BTreeMap<&str, &UsageEvent> = events.iter().map(|(_, event)| (event.id.as_str(), event)).collect();
        let corrected = |event: &UsageEvent| {
            let id = event.replaces.as_deref()?;
            self.stored.get(id).or_else(|| own.get(id).copied())
        };
        let mut touched: BTreeMap<(&str, Option<&str>, &str), (Timestamp, Timestamp)> = BTreeMap::new();
        for event in events.iter().flat_map(|(_, event)| [Some(event), corrected(event)]).flatten() {
            let place = (event.customer.as_str(), event.subscription.as_deref(), event.meter.as_str());
            let span = touched.entry(place).or_insert((event.timestamp, event.timestamp));
            *span = (span.0.min(event.timestamp), span.1.max(event.timestamp));
        }
        let touched = touched.into_iter().map(|((customer, subscription, meter), (from, to))| TouchedUsage {
            customer: customer.to_owned(),
            subscription: subscription.map(ToOwned::to_owned),
            meter: meter.to_owned(),
            from,
            to,
        });
        touched.collect()
    }
}
