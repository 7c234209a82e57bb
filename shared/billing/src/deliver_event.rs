//! Delivers one event to one durable subscriber: what the subscriber decides commits together with the delivery's mark.

use std::time::Duration;

use jiff::Timestamp;
use store::{Due, Event, EventDelivery};

use crate::{Billing, BillingError, Change, TenantTime, context::retry_conflicts, subscribers::Subscriber};

/// How long a delivery is kept to be looked at: longer than any job that could still repeat it.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Delivers an event, unless that was done before.
///
/// # Errors
/// `NotFound` for an unknown delivery; `State` for a subscriber that is gone; those of the subscriber.
pub async fn deliver_event(billing: &Billing, id: (&str, &str), wall: Timestamp) -> Result<(), BillingError> {
    retry_conflicts(|| deliver(billing, id, wall)).await
}

async fn deliver(billing: &Billing, (tenant, id): (&str, &str), wall: Timestamp) -> Result<(), BillingError> {
    let store = &billing.store;
    let mut delivery: EventDelivery =
        store.find(tenant, id).await?.ok_or_else(|| BillingError::not_found("event_delivery", id))?;
    if delivery.delivered_at.is_some() {
        return Ok(());
    }
    let missing = || BillingError::not_found("event", &delivery.event);
    let event: Event = store.find(tenant, &delivery.event).await?.ok_or_else(missing)?;
    let subscriber = Subscriber::named(&delivery.subscriber).ok_or_else(|| {
        BillingError::state("no_subscriber", format!("no subscriber {} any more", delivery.subscriber))
    })?;
    let time = TenantTime::read(store, tenant, wall).await?;
    let decided = subscriber.decide(store, &event, &time).await?;
    let Change { mut unit, follow_up, .. } = decided.unwrap_or_default();
    delivery.delivered_at = Some(wall);
    delivery.expires_at = Some(wall + KEPT_FOR);
    delivery.due = Due::never();
    unit.replace(&mut delivery)?;
    billing.commit(Change { result: (), unit, follow_up }).await
}
