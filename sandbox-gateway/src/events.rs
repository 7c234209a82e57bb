//! `/v1/events` and `/v1/disputes`: what happened, for a client that was not told.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use crate::auth::SecretKey;
use crate::errors::ApiError;
use crate::form::Fields;
use crate::gateway::Gateway;
use crate::requests::{page, selection};

pub(crate) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route("/v1/events", get(events)).route("/v1/disputes", get(disputes))
}

async fn events(State(gateway): State<Arc<Gateway>>, _: SecretKey, fields: Fields) -> Result<Response, ApiError> {
    gateway.behaviour.admit()?;
    let selection = selection(fields, None)?;
    page("/v1/events", gateway.books().ledger.events.newest_first(&selection))
}

async fn disputes(State(gateway): State<Arc<Gateway>>, _: SecretKey, fields: Fields) -> Result<Response, ApiError> {
    gateway.behaviour.admit()?;
    let selection = selection(fields, Some("payment_intent"))?;
    page("/v1/disputes", gateway.books().ledger.disputes.newest_first(&selection))
}
