//! The page on which a customer confirms a payment, or refuses to; then it goes back to where it came from.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use crate::charging::authenticated;
use crate::errors::ApiError;
use crate::form::Fields;
use crate::gateway::Gateway;
use crate::objects::PaymentIntent;

pub(crate) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route("/_sandbox/authenticate/{intent}", get(ask).post(decide))
}

fn waiting(gateway: &Gateway, id: &str) -> Result<(PaymentIntent, String), ApiError> {
    let found = gateway.books().ledger.intents.get(id).cloned();
    let intent = found.ok_or_else(|| ApiError::missing("payment_intent", id, "intent"))?;
    let Some(action) = intent.next_action.clone() else {
        return Err(ApiError::state("payment_intent_unexpected_state", "This payment waits for nobody."));
    };
    Ok((intent, action.redirect_to_url.return_url))
}

async fn ask(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let (PaymentIntent { amount, currency, .. }, _) = waiting(&gateway, &id)?;
    Ok(Html(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Confirm your payment</title>\
         <h1>Confirm your payment</h1><p>{amount} {currency} in minor units. Nobody is charged: this is a sandbox.</p>\
         <form method=post><button name=outcome value=succeed>Confirm</button> \
         <button name=outcome value=fail>Refuse</button></form></html>"
    ))
    .into_response())
}

async fn decide(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let (_, return_url) = waiting(&gateway, &id)?;
    let succeeds = match fields.required("outcome")?.as_str() {
        "succeed" => true,
        "fail" => false,
        _ => return Err(ApiError::parameter("parameter_invalid", "outcome", "It is succeed or fail.")),
    };
    fields.finish()?;
    gateway.enter(move |books, now| authenticated(books, &id, succeeds, now)).await?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, return_url)]).into_response())
}
