//! `/v1/payment_intents`: charge off session and at once, confirm on session, cancel, read, list.
//! Owns the reading of parameters; what becomes of a charge is `charging`'s.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;

use crate::auth::SecretKey;
use crate::charging::{Charge, cancelled, confirmed};
use crate::errors::ApiError;
use crate::form::Fields;
use crate::gateway::{Books, Gateway};
use crate::requests::{Post, page, selection, within};

/// Stripe takes amounts of up to eight digits.
const MAX_AMOUNT_MINOR: i64 = 99_999_999;
/// Stripe's limit on descriptions.
const MAX_DESCRIPTION_CHARS: usize = 1000;
/// Stripe's limit on URLs.
const MAX_URL_CHARS: usize = 2048;

pub(crate) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/v1/payment_intents", post(create).get(list))
        .route("/v1/payment_intents/{id}", get(read))
        .route("/v1/payment_intents/{id}/confirm", post(confirm))
        .route("/v1/payment_intents/{id}/cancel", post(cancel))
}

async fn create(post: Post) -> Result<Response, ApiError> {
    post.run(|fields, key| {
        let charge = parse(fields)?;
        Ok(move |books: &mut Books, now: Timestamp| charge.execute(books, key.as_deref(), now))
    })
    .await
}

/// On session: the customer is there and is led to a page of the gateway's.
async fn confirm(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    post: Post,
) -> Result<Response, ApiError> {
    post.run(|fields, _| {
        let method = fields.required("payment_method")?;
        let return_url = within(fields.required("return_url")?, "return_url", MAX_URL_CHARS)?;
        let page = format!("{}/_sandbox/authenticate/{id}", gateway.own_url);
        Ok(move |books: &mut Books, now: Timestamp| confirmed(books, (&id, &method), (page, return_url), now))
    })
    .await
}

async fn cancel(Path(id): Path<String>, post: Post) -> Result<Response, ApiError> {
    post.run(|fields, _| {
        fields.exactly("cancellation_reason", "abandoned")?;
        Ok(move |books: &mut Books, now: Timestamp| cancelled(books, &id, now))
    })
    .await
}

async fn read(State(gateway): State<Arc<Gateway>>, _: SecretKey, Path(id): Path<String>) -> Result<Response, ApiError> {
    gateway.behaviour.admit()?;
    let found = gateway.books().ledger.intents.get(&id).cloned();
    Ok(Json(found.ok_or_else(|| ApiError::missing("payment_intent", &id, "intent"))?).into_response())
}

async fn list(State(gateway): State<Arc<Gateway>>, _: SecretKey, fields: Fields) -> Result<Response, ApiError> {
    gateway.behaviour.admit()?;
    let selection = selection(fields, Some("customer"))?;
    page("/v1/payment_intents", gateway.books().ledger.intents.newest_first(&selection))
}

fn parse(fields: &mut Fields) -> Result<Charge, ApiError> {
    let amount = parse_amount(fields)?;
    let currency = fields.required("currency")?;
    if currency.len() != 3 || !currency.bytes().all(|c| c.is_ascii_lowercase()) {
        let message = format!("Invalid currency: {currency}.");
        return Err(ApiError::parameter("parameter_invalid", "currency", message));
    }
    let charge = Charge {
        amount,
        currency,
        customer: fields.required("customer")?,
        method: fields.required("payment_method")?,
        description: fields
            .optional("description")
            .map(|text| within(text, "description", MAX_DESCRIPTION_CHARS))
            .transpose()?,
        metadata: fields.metadata()?,
    };
    fields.exactly("confirm", "true")?;
    fields.exactly("off_session", "true")?;
    fields.exactly("payment_method_types[]", "card")?;
    Ok(charge)
}

/// Takes an amount of money.
pub(crate) fn parse_amount(fields: &mut Fields) -> Result<i64, ApiError> {
    match fields.integer("amount")? {
        Some(amount) if (1..=MAX_AMOUNT_MINOR).contains(&amount) => Ok(amount),
        Some(amount) if amount > MAX_AMOUNT_MINOR => {
            let message = format!("Amount must be no more than {MAX_AMOUNT_MINOR}.");
            Err(ApiError::parameter("amount_too_large", "amount", message))
        }
        Some(_) => {
            let message = "This value must be greater than or equal to 1.";
            Err(ApiError::parameter("parameter_invalid_integer", "amount", message))
        }
        None => {
            let message = "Missing required param: amount.";
            Err(ApiError::parameter("parameter_missing", "amount", message))
        }
    }
}
