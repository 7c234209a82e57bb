//! Dispatches a tenant's recorded events to live listeners, over Redis pub/sub.
//!
//! Pub/sub may lose a message; whoever must not miss one subscribes durably.

use jiff::Timestamp;
use serde_json::json;

use crate::{Billing, BillingError, Progress};

/// Events published in one step.
const STEP_LIMIT: i64 = 500;

/// The channel on which a tenant's events are published, as JSON `{ id, type, subject, created, data }`.
#[must_use]
pub fn event_channel(tenant: &str) -> String {
    format!("events:{tenant}")
}

/// Publishes the oldest undispatched events and marks them. An event is published again when the process dies in between.
///
/// # Errors
/// Store and queue errors.
pub async fn dispatch_events(billing: &Billing, tenant: &str, wall: Timestamp) -> Result<Progress, BillingError> {
    let events = billing.store.undispatched_events(tenant, wall, STEP_LIMIT).await?;
    let messages: Vec<String> = events
        .iter()
        .map(|event| {
            json!({
                "id": event.id, "type": event.event_type, "subject": event.subject,
                "created": event.created, "data": event.data,
            })
            .to_string()
        })
        .collect();
    billing.queue.publish(&event_channel(tenant), &messages).await?;
    let ids: Vec<String> = events.into_iter().map(|event| event.id).collect();
    billing.store.events_dispatched(tenant, &ids).await?;
    let full = i64::try_from(ids.len()).is_ok_and(|count| count == STEP_LIMIT);
    Ok(if full { Progress::More } else { Progress::Done })
}
