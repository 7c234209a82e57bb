//! `POST /webhooks/stripe/{tenant}`: what a tenant's payment gateway tells us.
//!
//! **Invariant:** nothing of a body is read before its signature is found good; who signs wrongly learns nothing but that.

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use billing::{Inbound, Received};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    http::{openapi::WriteProblems, problem::Problem},
    state::GatewayState,
};

const SIGNATURE: &str = "stripe-signature";

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(receive_stripe_webhook))
}

/// Takes an event of a tenant's payment gateway, signed as Stripe signs. It is stored once, and settled a moment later.
#[utoipa::path(post, path = "/webhooks/stripe/{tenant}", tag = "invoices", security(()),
    params(("tenant" = String, Path), ("Stripe-Signature" = String, Header)),
    request_body(content = String, content_type = "application/json"),
    responses((status = 200, description = "It is stored, now or before"), WriteProblems))]
async fn receive_stripe_webhook(
    State(gateway): State<GatewayState>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let now = gateway.app.clock.now();
    let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let inbound = Inbound { tenant: &tenant, signature, body: &body };
    let shared = gateway.app.config.stripe_webhook_secret().map_err(|error| {
        tracing::error!(%error, "the webhook secret cannot be read");
        Problem::internal()
    })?;
    let shared = shared.as_ref().map(app::Secret::expose);
    match billing::receive_webhook(&gateway.app.billing, inbound, shared, now).await? {
        Received::New | Received::Known => Ok(StatusCode::OK),
        Received::Refused(error) => Err(Problem::malformed("invalid_signature", error.to_string())),
    }
}
