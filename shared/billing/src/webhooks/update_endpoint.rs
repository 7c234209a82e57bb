//! Changes a webhook endpoint, also one that was disabled.

use serde_json::json;
use store::{EndpointState, Store, UnitOfWork, WebhookEndpoint};

use super::event_filter::check_events;
use crate::{
    Actor, BillingError, Change, EventType, Patch, Target, TenantTime,
    actor::Fact,
    patch::{MetadataPatch, patch_metadata},
};

/// What changes; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct WebhookEndpointPatch {
    /// Has been judged.
    pub url: Option<String>,
    pub description: Patch<String>,
    pub events: Option<Vec<String>>,
    /// Enabling one that was gone gives it another chance.
    pub state: Option<EndpointState>,
    pub metadata: MetadataPatch,
}

/// Decides the change.
///
/// # Errors
/// `NotFound`; `Stale`; `Rule` for events that there are not; store errors.
pub async fn update_webhook_endpoint(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (target, patch): (&Target, WebhookEndpointPatch),
) -> Result<Change<WebhookEndpoint>, BillingError> {
    let found: Option<WebhookEndpoint> = store.find(&actor.tenant, &target.id).await?;
    let mut endpoint = found.ok_or_else(|| BillingError::not_found("webhook_endpoint", &target.id))?;
    target.check(endpoint.revision)?;
    let before = facts(&endpoint);
    if let Some(events) = patch.events {
        check_events(&events)?;
        endpoint.events = events;
    }
    endpoint.url = patch.url.unwrap_or(endpoint.url);
    endpoint.state = patch.state.unwrap_or(endpoint.state);
    patch.description.apply(&mut endpoint.description);
    patch_metadata(&mut endpoint.metadata, patch.metadata)?;
    let mut unit = UnitOfWork::default();
    unit.replace(&mut endpoint)?;
    let fact = Fact {
        name: EventType::WebhookEndpointUpdated,
        subject: &endpoint.id,
        revision: endpoint.revision,
        data: facts(&endpoint),
    };
    actor.record_change(&mut unit, time.wall, (before, fact))?;
    Ok(Change { result: endpoint, unit, follow_up: Vec::new() })
}

fn facts(endpoint: &WebhookEndpoint) -> serde_json::Value {
    json!({ "url": endpoint.url, "events": endpoint.events, "state": endpoint.state })
}
