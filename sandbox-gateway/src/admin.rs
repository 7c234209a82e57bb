//! `/_sandbox`: what a test or a demo may ask of the gateway that no client of Stripe could. It has
//! no authentication: the sandbox guards nothing of value and is never exposed.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::MAX_ADVANCE_SECONDS;
use crate::errors::ApiError;
use crate::form::Fields;
use crate::gateway::Gateway;
use crate::ledger::Totals;
use crate::payment_intents::{List, limit};
use crate::settings::Settings;

/// An audit reads whole books: pages ten times Stripe's are still only some hundred kilobytes.
const MAX_LIMIT: i64 = 1000;

pub(crate) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/_sandbox/ledger", get(ledger))
        .route("/_sandbox/charges", get(charges))
        .route("/_sandbox/settings", get(settings).post(set_settings))
        .route("/_sandbox/clock/advance", post(advance_clock))
}

/// The sums of the books and the gateway's time.
#[derive(Serialize)]
struct LedgerView {
    #[serde(flatten)]
    totals: Totals,
    now: Timestamp,
}

/// Strict: a mistyped setting must not pass for the default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdvanceClock {
    seconds: u64,
}

#[derive(Serialize)]
struct ClockView {
    now: Timestamp,
}

async fn ledger(State(gateway): State<Arc<Gateway>>) -> Response {
    let totals = gateway.books().ledger.totals().clone();
    let now = gateway.clock.now();
    Json(LedgerView { totals, now }).into_response()
}

/// Every successful charge, oldest first.
async fn charges(State(gateway): State<Arc<Gateway>>, mut fields: Fields) -> Result<Response, ApiError> {
    let limit = limit(&mut fields, MAX_LIMIT, MAX_LIMIT)?;
    let after = fields.optional("starting_after");
    fields.finish()?;
    let found = gateway.books().ledger.succeeded(after.as_deref(), limit);
    let page = found.map_err(|id| ApiError::no_such_payment_intent(&id))?;
    Ok(Json(List::new("/_sandbox/charges", page)).into_response())
}

async fn settings(State(gateway): State<Arc<Gateway>>) -> Json<Settings> {
    Json(gateway.behaviour.settings())
}

/// Replaces all settings; one that is not named goes back to zero.
async fn set_settings(
    State(gateway): State<Arc<Gateway>>,
    body: Result<Json<Settings>, JsonRejection>,
) -> Result<Json<Settings>, ApiError> {
    let Json(settings) = body.map_err(unreadable)?;
    settings.check().map_err(ApiError::malformed)?;
    gateway.behaviour.replace(settings.clone());
    Ok(Json(settings))
}

async fn advance_clock(
    State(gateway): State<Arc<Gateway>>,
    body: Result<Json<AdvanceClock>, JsonRejection>,
) -> Result<Json<ClockView>, ApiError> {
    let Json(AdvanceClock { seconds }) = body.map_err(unreadable)?;
    let advanced = gateway.advance_clock(seconds).map_err(|error| {
        tracing::error!(error = format!("{error:#}"), "the clock was not advanced");
        ApiError::internal(StatusCode::INTERNAL_SERVER_ERROR)
    })?;
    if !advanced {
        return Err(ApiError::malformed(format!(
            "The clock goes at most {MAX_ADVANCE_SECONDS} seconds beyond the wall clock."
        )));
    }
    let now = gateway.clock.now();
    Ok(Json(ClockView { now }))
}

fn unreadable(rejection: JsonRejection) -> ApiError {
    ApiError::malformed(rejection.body_text())
}
