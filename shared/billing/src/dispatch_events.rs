//! Dispatches a tenant's recorded events: to live listeners over Redis pub/sub, and to durable subscribers as jobs.
//!
//! Pub/sub may lose a message; whoever must not miss one is a [`Subscriber`]. **Invariant:** deliveries are stored before
//! their events are marked, under ids that a repeat finds; so none is lost and none is made twice.

use std::collections::BTreeMap;

use jiff::Timestamp;
use queue::{NewJob, QueueError};
use serde_json::json;
use store::{Due, Event, EventDelivery, Tenant, event_delivery_id};

use crate::{Billing, BillingError, EventType, Progress, jobs::DeliverEvent, subscribers::Subscriber};

/// Events dispatched in one step.
const STEP_LIMIT: i64 = 500;

/// The channel on which a tenant's events are published, as JSON; the fields are told in `docs/events.md`.
#[must_use]
pub fn event_channel(tenant: &str) -> String {
    format!("events:{tenant}")
}

/// Publishes the oldest undispatched events, stores their deliveries and marks them. An event is published again when the
/// process dies in between.
///
/// # Errors
/// Store and queue errors.
pub async fn dispatch_events(billing: &Billing, tenant: &str, wall: Timestamp) -> Result<Progress, BillingError> {
    let events = billing.store.undispatched_events(tenant, wall, STEP_LIMIT).await?;
    let messages: Vec<String> = events.iter().map(message).collect();
    billing.queue.publish(&event_channel(tenant), &messages).await?;
    let settings: Tenant =
        billing.store.find(tenant, tenant).await?.ok_or_else(|| BillingError::not_found("tenant", tenant))?;
    let deliveries: Vec<EventDelivery> = events.iter().flat_map(|event| deliveries(event, &settings, wall)).collect();
    billing.store.insert_deliveries(&deliveries).await?;
    let ids: Vec<String> = events.iter().map(|event| event.id.clone()).collect();
    billing.store.events_dispatched(tenant, &ids).await?;
    // Each delivery's job is caused by what caused its event, not by what caused this step.
    billing.caused_by(None).hint(jobs(&events, &deliveries)?).await;
    let full = i64::try_from(ids.len()).is_ok_and(|count| count == STEP_LIMIT);
    Ok(if full { Progress::More } else { Progress::Done })
}

fn message(event: &Event) -> String {
    json!({
        "id": event.id, "type": event.event_type, "subject": event.subject, "revision": event.revision,
        "related": event.related, "created": event.created, "data": event.data,
    })
    .to_string()
}

/// One for each subscriber that wants the event. An event that left the catalogue is nobody's any more.
fn deliveries(event: &Event, tenant: &Tenant, wall: Timestamp) -> impl Iterator<Item = EventDelivery> {
    let event_type: Option<EventType> = event.event_type.parse().ok();
    let wanting =
        Subscriber::ALL.into_iter().filter(move |one| event_type.is_some_and(|event| one.wants(event, tenant)));
    wanting.map(move |subscriber| EventDelivery {
        id: event_delivery_id(&event.id, subscriber.name()),
        tenant: event.tenant.clone(),
        revision: 1,
        created: wall,
        event: event.id.clone(),
        subscriber: subscriber.name().to_owned(),
        delivered_at: None,
        expires_at: None,
        due: Due::at(wall),
    })
}

fn jobs(events: &[Event], deliveries: &[EventDelivery]) -> Result<Vec<NewJob>, QueueError> {
    let causes: BTreeMap<&str, &str> =
        events.iter().filter_map(|event| Some((event.id.as_str(), event.request_id.as_deref()?))).collect();
    let job = |delivery: &EventDelivery| {
        let job = NewJob::of(&DeliverEvent { tenant: delivery.tenant.clone(), delivery: delivery.id.clone() })?;
        Ok(match causes.get(delivery.event.as_str()) {
            Some(request_id) => job.request_id(*request_id),
            None => job,
        })
    };
    deliveries.iter().map(job).collect()
}
