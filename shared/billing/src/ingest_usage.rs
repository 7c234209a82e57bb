//! Ingests usage events: stores what was reported, and finds out afterwards whether it came too late to be counted.
//!
//! **Invariant:** what is stored here is either seen by whoever counts it, or marked as late: a report is stored before its
//! events, the fences are read after them, and a report whose process died in between is finished by the sweep. No lock is
//! taken, and no event is refused because its period is over.

use std::collections::BTreeMap;

use jiff::Timestamp;
use store::{Due, Insertion, LateMark, Store, TouchedUsage, UsageEvent, UsageReport, late_mark_id};

use crate::{
    Billing, BillingError,
    context::retry_conflicts,
    usage_subjects::{Known, Refusal},
};

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
    /// The client's id of the event that it corrects.
    pub replaces: Option<String>,
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

/// Stores a batch of events under the report `urp_...`; a bad one never sinks the others, and a repeat changes nothing.
///
/// # Errors
/// Store errors.
pub async fn ingest_usage(
    store: &Store,
    (tenant, report): (&str, &str),
    events: &[NewUsageEvent],
    wall: Timestamp,
) -> Result<Ingestion, BillingError> {
    let known = Known::load(store, tenant, events).await?;
    let mut outcome = Ingestion::default();
    let mut resolved = Vec::with_capacity(events.len());
    for (index, event) in events.iter().enumerate() {
        match known.resolve(event, wall) {
            Ok(event) => resolved.push((index, event)),
            Err(refusal) => outcome.note_refusal(index, refusal),
        }
    }
    let touched = known.touched(&resolved);
    let report = UsageReport { id: report.to_owned(), tenant: tenant.to_owned(), touched, due: Due::at(wall) };
    if !report.touched.is_empty() {
        store.begin_usage_report(&report).await?;
        insert(store, events, resolved, &mut outcome).await?;
        mark_late_usage(store, &report).await?;
    }
    outcome.rejected.sort_by_key(|rejection| rejection.index);
    Ok(outcome)
}

/// Finishes a report whose process died before it had looked for what came late.
///
/// # Errors
/// Store errors.
pub async fn finish_usage_report(billing: &Billing, (tenant, id): (&str, &str)) -> Result<(), BillingError> {
    let report: Option<UsageReport> = billing.store.find(tenant, id).await?;
    match report {
        Some(report) => mark_late_usage(&billing.store, &report).await,
        None => Ok(()),
    }
}

/// Stores all events that correct none at once, and then the others in their order: they may correct those.
async fn insert(
    store: &Store,
    events: &[NewUsageEvent],
    resolved: Vec<(usize, UsageEvent)>,
    outcome: &mut Ingestion,
) -> Result<(), BillingError> {
    let (corrections, plain): (Vec<_>, Vec<_>) = resolved.into_iter().partition(|(_, event)| event.replaces.is_some());
    let (indices, plain): (Vec<usize>, Vec<UsageEvent>) = plain.into_iter().unzip();
    for (index, insertion) in indices.into_iter().zip(store.insert_usage_events(&plain).await?) {
        outcome.note(index, &events[index], insertion);
    }
    for (index, correction) in corrections {
        let insertion = retry_conflicts(|| async { Ok(store.insert_correction(&correction).await?) }).await?;
        outcome.note(index, &events[index], insertion);
    }
    Ok(())
}

/// Marks what a report has changed where it may have been counted already, and ends the report.
async fn mark_late_usage(store: &Store, report: &UsageReport) -> Result<(), BillingError> {
    let mut customers: Vec<&str> = report.touched.iter().map(|touched| touched.customer.as_str()).collect();
    customers.sort_unstable();
    customers.dedup();
    for fence in store.usage_fences(&report.tenant, &customers).await? {
        let may_count = |touched: &&TouchedUsage| {
            let is_its = touched.subscription.as_ref().is_none_or(|subscription| *subscription == fence.id);
            touched.customer == fence.customer && is_its && touched.from < fence.until
        };
        for touched in report.touched.iter().filter(may_count) {
            store
                .mark_late(&LateMark {
                    id: late_mark_id(&fence.id, &touched.meter),
                    tenant: report.tenant.clone(),
                    subscription: fence.id.clone(),
                    meter: touched.meter.clone(),
                    from: touched.from,
                    to: touched.to,
                    token: report.id.clone(),
                })
                .await?;
        }
    }
    Ok(store.end_usage_report(report).await?)
}

impl Ingestion {
    fn note(&mut self, index: usize, event: &NewUsageEvent, insertion: Insertion) {
        match insertion {
            Insertion::Accepted => self.accepted += 1,
            Insertion::Duplicate => self.duplicates += 1,
            Insertion::Conflicting => {
                let detail = format!("an event with the id `{}` and other content exists", event.id);
                self.rejected.push(Rejection { index, code: "id_conflict", detail });
            }
            Insertion::NothingToCorrect => {
                let corrected = event.replaces.as_deref().unwrap_or_default();
                let detail = format!("there is no event `{corrected}` that counts: unknown, or corrected before");
                self.rejected.push(Rejection { index, code: "unknown_event", detail });
            }
        }
    }

    fn note_refusal(&mut self, index: usize, refusal: Refusal) {
        match refusal {
            Refusal::Duplicate => self.duplicates += 1,
            Refusal::Because(code, detail) => self.rejected.push(Rejection { index, code, detail }),
        }
    }
}
