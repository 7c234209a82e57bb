//! Sends a test to a webhook endpoint: a delivery like any other, about nothing.

use store::{EndpointState, Store, UnitOfWork, WebhookDelivery, WebhookEndpoint};

use super::message::{job, test_delivery};
use crate::{Actor, BillingError, Change, TenantTime};

/// Decides the test; `cause` makes its id its own.
///
/// # Errors
/// `NotFound`; `State` for an endpoint that is not enabled; store errors.
pub async fn test_webhook_endpoint(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (id, cause): (&str, &str),
) -> Result<Change<WebhookDelivery>, BillingError> {
    let found: Option<WebhookEndpoint> = store.find(&actor.tenant, id).await?;
    let endpoint = found.ok_or_else(|| BillingError::not_found("webhook_endpoint", id))?;
    if endpoint.state != EndpointState::Enabled {
        return Err(BillingError::state("endpoint_disabled", "the endpoint is disabled: nothing is sent to it"));
    }
    let delivery = test_delivery(cause, &endpoint, time.wall);
    let mut unit = UnitOfWork::default();
    unit.insert(&delivery)?;
    let follow_up = vec![job(&delivery)?];
    Ok(Change { result: delivery, unit, follow_up })
}
