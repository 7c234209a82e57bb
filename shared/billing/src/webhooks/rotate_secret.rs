//! Gives a webhook endpoint a new secret. The one before signs as well for a while, so that no delivery is refused meanwhile.

use jiff::SignedDuration;
use serde_json::json;
use store::{PreviousSecret, SecretText, Store, UnitOfWork, WebhookEndpoint};

use crate::{Actor, BillingError, Change, EventType, TenantTime, actor::Fact};

/// Longest time for which both sign: who has not changed over within a week has forgotten it.
const MAX_OVERLAP_HOURS: u16 = 7 * 24;

/// A secret to rotate in.
#[derive(Clone, Debug)]
pub struct SecretRotation {
    /// `whsec_...`
    pub secret: SecretText,
    /// Hours for which the one before signs as well; none for a secret that has leaked.
    pub overlap_hours: u16,
}

/// Decides the rotation. A rotation that is still under way ends with this one.
///
/// # Errors
/// `NotFound`; `Rule` for an overlap that is too long; store errors.
pub async fn rotate_webhook_secret(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (id, rotation): (&str, SecretRotation),
) -> Result<Change<WebhookEndpoint>, BillingError> {
    if rotation.overlap_hours > MAX_OVERLAP_HOURS {
        let detail = format!("must be 0 to {MAX_OVERLAP_HOURS}");
        return Err(BillingError::rule("overlap_out_of_range", "/overlap_hours", detail));
    }
    let found: Option<WebhookEndpoint> = store.find(&actor.tenant, id).await?;
    let mut endpoint = found.ok_or_else(|| BillingError::not_found("webhook_endpoint", id))?;
    let until = time.wall + SignedDuration::from_hours(rotation.overlap_hours.into());
    let secret = std::mem::replace(&mut endpoint.secret, rotation.secret);
    endpoint.previous_secret = (rotation.overlap_hours > 0).then_some(PreviousSecret { secret, until });
    let mut unit = UnitOfWork::default();
    unit.replace(&mut endpoint)?;
    let fact = Fact {
        name: EventType::WebhookEndpointSecretRotated,
        subject: &endpoint.id,
        revision: endpoint.revision,
        data: json!({ "previous_valid_until": endpoint.previous_secret.as_ref().map(|previous| previous.until) }),
    };
    actor.record(&mut unit, time.wall, fact)?;
    Ok(Change { result: endpoint, unit, follow_up: Vec::new() })
}
