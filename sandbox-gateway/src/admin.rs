//! `/_sandbox`: what a test or a demo may ask of the gateway that no client of Stripe could. It has
//! no authentication: the sandbox guards nothing of value and is never exposed.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::charging::{Charge, authenticated};
use crate::clock::MAX_ADVANCE_SECONDS;
use crate::errors::ApiError;
use crate::execution::{Executed, dispute_of, event};
use crate::form::Fields;
use crate::gateway::{Books, Gateway};
use crate::ledger::Totals;
use crate::objects::{Dispute, DisputeStatus, Metadata, Object};
use crate::refunds;
use crate::requests::{List, limit};
use crate::settings::Settings;
use crate::tokens::behaviour_of;
use crate::webhooks::{Delivery, Endpoint};

/// An audit reads whole books: pages ten times Stripe's are still only some hundred kilobytes.
const MAX_LIMIT: i64 = 1000;

type Body<T> = Result<Json<T>, JsonRejection>;

pub(crate) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/_sandbox/ledger", get(ledger))
        .route("/_sandbox/charges", get(charges).post(charge))
        .route("/_sandbox/settings", get(settings).post(set_settings))
        .route("/_sandbox/clock/advance", post(advance_clock))
        .route("/_sandbox/payment_methods", post(disguise))
        .route("/_sandbox/authentications", post(authenticate))
        .route("/_sandbox/disputes", post(dispute))
        .route("/_sandbox/refunds", post(settle_refund))
        .route("/_sandbox/webhook_endpoints", get(endpoints).post(add_endpoint))
        .route("/_sandbox/webhooks", post(send_webhooks))
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
    let page = found.map_err(|id| ApiError::missing("payment_intent", &id, "starting_after"))?;
    Ok(Json(List::new("/_sandbox/charges", page)).into_response())
}

/// A charge that no client has asked for, as somebody makes one by hand.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForeignCharge {
    customer: String,
    amount: i64,
    currency: String,
    #[serde(default)]
    metadata: Metadata,
}

async fn charge(State(gateway): State<Arc<Gateway>>, body: Body<ForeignCharge>) -> Result<Response, ApiError> {
    let Json(ForeignCharge { customer, amount, currency, metadata }) = body.map_err(unreadable)?;
    let method = "pm_sandbox_ok".to_owned();
    let charge = Charge { amount, currency, customer, method, description: None, metadata };
    gateway.enter(move |books, now| charge.execute(books, None, now)).await
}

async fn settings(State(gateway): State<Arc<Gateway>>) -> Json<Settings> {
    Json(gateway.behaviour.settings())
}

/// Replaces all settings; one that is not named goes back to zero.
async fn set_settings(State(gateway): State<Arc<Gateway>>, body: Body<Settings>) -> Result<Json<Settings>, ApiError> {
    let Json(settings) = body.map_err(unreadable)?;
    settings.check().map_err(ApiError::malformed)?;
    gateway.behaviour.replace(settings.clone());
    Ok(Json(settings))
}

async fn advance_clock(
    State(gateway): State<Arc<Gateway>>,
    body: Body<AdvanceClock>,
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

/// A method, or everything made of a token, behaves as another token from now on. Kept in memory only.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Disguise {
    payment_method: String,
    behaves_as: String,
}

async fn disguise(State(gateway): State<Arc<Gateway>>, body: Body<Disguise>) -> Result<StatusCode, ApiError> {
    let Json(Disguise { payment_method, behaves_as }) = body.map_err(unreadable)?;
    if behaviour_of(&behaves_as).is_none() {
        return Err(ApiError::malformed(format!("{behaves_as} is no token of the sandbox's.")));
    }
    gateway.books().ledger.disguises.insert(payment_method, behaves_as);
    Ok(StatusCode::NO_CONTENT)
}

/// What ends something that waits.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ending {
    id: String,
    succeeds: bool,
}

async fn authenticate(State(gateway): State<Arc<Gateway>>, body: Body<Ending>) -> Result<Response, ApiError> {
    let Json(Ending { id, succeeds }) = body.map_err(unreadable)?;
    gateway.enter(move |books, now| authenticated(books, &id, succeeds, now)).await
}

async fn settle_refund(State(gateway): State<Arc<Gateway>>, body: Body<Ending>) -> Result<Response, ApiError> {
    let Json(Ending { id, succeeds }) = body.map_err(unreadable)?;
    gateway.enter(move |books, now| refunds::settled(books, &id, succeeds, now)).await
}

/// A dispute begins, or goes on, by the id of the payment intent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DisputeStep {
    payment_intent: String,
    status: DisputeStatus,
}

async fn dispute(State(gateway): State<Arc<Gateway>>, body: Body<DisputeStep>) -> Result<Response, ApiError> {
    let Json(DisputeStep { payment_intent, status }) = body.map_err(unreadable)?;
    gateway.enter(move |books, now| dispute_step(books, (&payment_intent, status), now)).await
}

fn dispute_step(books: &mut Books, (id, status): (&str, DisputeStatus), now: Timestamp) -> Result<Executed, ApiError> {
    let found = books.ledger.intents.get(id).cloned();
    let intent = found.ok_or_else(|| ApiError::missing("payment_intent", id, "payment_intent"))?;
    let (dispute, kind) = match books.ledger.disputes.of(id).last() {
        None => (Dispute { status, ..dispute_of(&intent, now) }, "charge.dispute.created"),
        Some(known) => {
            let ends = matches!(status, DisputeStatus::Won | DisputeStatus::Lost);
            let kind = if ends { "charge.dispute.closed" } else { "charge.dispute.updated" };
            (Dispute { status, ..known.clone() }, kind)
        }
    };
    let happened = event(kind, &dispute, now)?;
    Ok(Executed::answered(&dispute)?.change(Object::Dispute(dispute)).event(happened))
}

async fn endpoints(State(gateway): State<Arc<Gateway>>) -> Json<Vec<Endpoint>> {
    Json(gateway.webhooks.endpoints())
}

async fn add_endpoint(State(gateway): State<Arc<Gateway>>, body: Body<Endpoint>) -> Result<StatusCode, ApiError> {
    let Json(endpoint) = body.map_err(unreadable)?;
    gateway.webhooks.put(endpoint).map_err(ApiError::malformed)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Events to send to every endpoint, in this order, as often as they are named.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Webhooks {
    events: Vec<String>,
    /// How far from now the signature's time is.
    #[serde(default)]
    signed_seconds_from_now: i64,
}

async fn send_webhooks(
    State(gateway): State<Arc<Gateway>>,
    body: Body<Webhooks>,
) -> Result<Json<Vec<Delivery>>, ApiError> {
    let Json(Webhooks { events, signed_seconds_from_now }) = body.map_err(unreadable)?;
    let mut deliveries = Vec::new();
    for id in events {
        let found = gateway.books().ledger.events.get(&id).cloned();
        let event = found.ok_or_else(|| ApiError::missing("event", &id, "events"))?;
        let offset = SignedDuration::from_secs(signed_seconds_from_now);
        let at = gateway.clock.wall().saturating_add(offset).map_err(|error| ApiError::malformed(error.to_string()))?;
        for endpoint in gateway.webhooks.endpoints() {
            let status = gateway.webhooks.send(&endpoint, &event, at).await;
            deliveries.push(Delivery { event: id.clone(), url: endpoint.url, status });
        }
    }
    Ok(Json(deliveries))
}

fn unreadable(rejection: JsonRejection) -> ApiError {
    ApiError::malformed(rejection.body_text())
}
