//! Ingests usage events: stores what was reported and decides nothing about when it is billed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use store::{Customer, Insertion, MeterRecord, Store, SubscriptionRecord, UsageEvent};

use crate::BillingError;

/// An event as reported, already parsed.
#[derive(Clone, Debug)]
pub struct NewUsageEvent {
    /// The client's id, unique per tenant.
    pub id: String,
    pub subject: UsageSubject,
    /// Key of the meter.
    pub meter: String,
    pub timestamp: Timestamp,
    pub properties: BTreeMap<String, String>,
}

/// Whose usage it is.
#[derive(Clone, Debug)]
pub enum UsageSubject {
    /// `cus_...`
    Customer(String),
    /// `sub_...`
    Subscription(String),
}

/// What became of a batch.
#[derive(Clone, Debug, Default)]
pub struct Ingestion {
    pub accepted: usize,
    /// Repeats of events that were stored before, with the same content.
    pub duplicates: usize,
    pub rejected: Vec<Rejection>,
}

/// An event that was not stored; the others of its batch were.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// Position in the batch, from 0.
    pub index: usize,
    pub code: &'static str,
    pub detail: String,
}

/// Objects that the events of a batch name.
struct Known {
    customers: BTreeSet<String>,
    /// Subscription -> customer.
    subscriptions: BTreeMap<String, String>,
    meters: BTreeMap<String, MeterRecord>,
}

/// Stores a batch of events; a bad one never sinks the others, and a repeat of the batch changes nothing.
///
/// # Errors
/// Store errors.
pub async fn ingest_usage(
    store: &Store,
    tenant: &str,
    events: &[NewUsageEvent],
    wall: Timestamp,
) -> Result<Ingestion, BillingError> {
    let known = load(store, tenant, events).await?;
    let mut outcome = Ingestion::default();
    let mut indices = Vec::with_capacity(events.len());
    let mut records = Vec::with_capacity(events.len());
    for (index, event) in events.iter().enumerate() {
        match resolve(tenant, event, &known, wall) {
            Ok(record) => {
                indices.push(index);
                records.push(record);
            }
            Err((code, detail)) => outcome.rejected.push(Rejection { index, code, detail }),
        }
    }
    for (index, insertion) in indices.into_iter().zip(store.insert_usage_events(&records).await?) {
        match insertion {
            Insertion::Accepted => outcome.accepted += 1,
            Insertion::Duplicate => outcome.duplicates += 1,
            Insertion::Conflicting => {
                let detail = format!("an event with the id `{}` and other content exists", events[index].id);
                outcome.rejected.push(Rejection { index, code: "id_conflict", detail });
            }
        }
    }
    outcome.rejected.sort_by_key(|rejection| rejection.index);
    Ok(outcome)
}

async fn load(store: &Store, tenant: &str, events: &[NewUsageEvent]) -> Result<Known, BillingError> {
    let mut customers = BTreeSet::new();
    let mut subscriptions = BTreeSet::new();
    for event in events {
        match &event.subject {
            UsageSubject::Customer(id) => customers.insert(id.clone()),
            UsageSubject::Subscription(id) => subscriptions.insert(id.clone()),
        };
    }
    let customers: Vec<Customer> = store.find_all(tenant, &Vec::from_iter(customers)).await?;
    let subscriptions: Vec<SubscriptionRecord> = store.find_all(tenant, &Vec::from_iter(subscriptions)).await?;
    let meters = store.meters(tenant).await?;
    Ok(Known {
        customers: customers.into_iter().map(|customer| customer.id).collect(),
        subscriptions: subscriptions.into_iter().map(|record| (record.id, record.customer)).collect(),
        meters: meters.into_iter().map(|record| (record.meter.key().to_owned(), record)).collect(),
    })
}

fn resolve(
    tenant: &str,
    event: &NewUsageEvent,
    known: &Known,
    wall: Timestamp,
) -> Result<UsageEvent, (&'static str, String)> {
    let customer = match &event.subject {
        UsageSubject::Customer(id) => {
            known.customers.get(id).ok_or_else(|| ("unknown_customer", format!("no such customer: {id}")))?
        }
        UsageSubject::Subscription(id) => known
            .subscriptions
            .get(id)
            .ok_or_else(|| ("unknown_subscription", format!("no such subscription: {id}")))?,
    };
    let meter = known
        .meters
        .get(&event.meter)
        .ok_or_else(|| ("unknown_meter", format!("no meter has the key `{}`", event.meter)))?;
    let quantity = meter.meter.quantity(&event.properties).map_err(|error| ("invalid_property", error.to_string()))?;
    Ok(UsageEvent {
        id: UsageEvent::stored_id(tenant, &event.id),
        tenant: tenant.to_owned(),
        created: wall,
        customer: customer.clone(),
        meter: event.meter.clone(),
        timestamp: event.timestamp,
        quantity,
        properties: event.properties.clone(),
        replaces: None,
        replaced_by: None,
    })
}
