//! Creates a webhook endpoint.

use std::collections::BTreeMap;

use serde_json::json;
use store::{EndpointState, SecretText, Store, Tenant, UnitOfWork, WebhookEndpoint};

use super::event_filter::check_events;
use crate::{Actor, BillingError, Change, EventType, TenantTime, actor::Fact};

/// Endpoints of a tenant: each gets every event, and each has attempts under way in every worker.
const MAX_ENDPOINTS: usize = 10;

/// An endpoint to create; its URL has been judged.
#[derive(Clone, Debug)]
pub struct NewWebhookEndpoint {
    /// `whe_...`
    pub id: String,
    pub url: String,
    pub description: Option<String>,
    /// What it wants to hear of: `invoice.paid`, `invoice.*` or `*`.
    pub events: Vec<String>,
    /// `whsec_...`
    pub secret: SecretText,
    pub metadata: BTreeMap<String, String>,
}

/// Decides the creation of an endpoint.
///
/// # Errors
/// `Rule` for events that there are not; `State` when the tenant has as many as it may have; store errors.
pub async fn create_webhook_endpoint(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    new: NewWebhookEndpoint,
) -> Result<Change<WebhookEndpoint>, BillingError> {
    check_events(&new.events)?;
    if store.webhook_endpoints(&actor.tenant).await?.len() >= MAX_ENDPOINTS {
        return Err(BillingError::state(
            "too_many_endpoints",
            format!("a tenant has at most {MAX_ENDPOINTS} endpoints"),
        ));
    }
    let endpoint = WebhookEndpoint {
        id: new.id,
        tenant: actor.tenant.clone(),
        revision: 1,
        created: time.wall,
        url: new.url,
        description: new.description,
        events: new.events,
        state: EndpointState::Enabled,
        secret: new.secret,
        previous_secret: None,
        metadata: new.metadata,
    };
    let mut unit = UnitOfWork::default();
    mark_tenant(store, &mut unit, &actor.tenant).await?;
    unit.insert(&endpoint)?;
    let data = json!({ "url": endpoint.url, "events": endpoint.events });
    let fact = Fact { name: EventType::WebhookEndpointCreated, subject: &endpoint.id, revision: 1, data };
    actor.record(&mut unit, time.wall, fact)?;
    Ok(Change { result: endpoint, unit, follow_up: Vec::new() })
}

/// Has the tenant's events given to its endpoints from now on. The tenant's revision makes two creations at once see each
/// other, so that the limit holds.
async fn mark_tenant(store: &Store, unit: &mut UnitOfWork, tenant: &str) -> Result<(), BillingError> {
    let found: Option<Tenant> = store.find(tenant, tenant).await?;
    let mut tenant = found.ok_or_else(|| BillingError::not_found("tenant", tenant))?;
    tenant.has_webhooks = true;
    Ok(unit.replace(&mut tenant)?)
}
