//! Sends one delivery again, under its `webhook-id`. Many at once are an operation.

use serde_json::json;
use store::{DeliveryState, Store, UnitOfWork, WebhookDelivery};

use super::message::job;
use crate::{Actor, BillingError, Change, EventType, TenantTime, actor::Fact};

/// Decides the replay.
///
/// # Errors
/// `NotFound`; `State` for one that is still pending; store errors.
pub async fn replay_webhook_delivery(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    id: &str,
) -> Result<Change<WebhookDelivery>, BillingError> {
    let found: Option<WebhookDelivery> = store.find(&actor.tenant, id).await?;
    let mut delivery = found.ok_or_else(|| BillingError::not_found("webhook_delivery", id))?;
    if delivery.state == DeliveryState::Pending {
        return Err(BillingError::state("delivery_pending", "the delivery is still under way"));
    }
    delivery.replay(time.wall);
    let mut unit = UnitOfWork::default();
    unit.replace(&mut delivery)?;
    let data = json!({ "endpoint": delivery.endpoint });
    let fact =
        Fact { name: EventType::WebhookDeliveryReplayed, subject: &delivery.id, revision: delivery.revision, data };
    actor.audit(&mut unit, time.wall, &fact)?;
    let follow_up = vec![job(&delivery)?];
    Ok(Change { result: delivery, unit, follow_up })
}
