//! Deletes a webhook endpoint. What was under way to it is cancelled when its next attempt is due.

use serde_json::json;
use store::{Store, UnitOfWork, WebhookEndpoint};

use crate::{Actor, BillingError, Change, EventType, Target, TenantTime, actor::Fact};

/// Decides the deletion.
///
/// # Errors
/// `NotFound`; `Stale`; store errors.
pub async fn delete_webhook_endpoint(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    target: &Target,
) -> Result<Change<WebhookEndpoint>, BillingError> {
    let found: Option<WebhookEndpoint> = store.find(&actor.tenant, &target.id).await?;
    let endpoint = found.ok_or_else(|| BillingError::not_found("webhook_endpoint", &target.id))?;
    target.check(endpoint.revision)?;
    let mut unit = UnitOfWork::default();
    unit.delete::<WebhookEndpoint>(&endpoint.id);
    let fact = Fact {
        name: EventType::WebhookEndpointDeleted,
        subject: &endpoint.id,
        revision: endpoint.revision + 1,
        data: json!({ "url": endpoint.url }),
    };
    actor.record(&mut unit, time.wall, fact)?;
    Ok(Change { result: endpoint, unit, follow_up: Vec::new() })
}
