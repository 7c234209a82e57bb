//! `/v1/payment_methods`: attaching a token to a customer makes a payment method of it, each time another one, as Stripe's
//! test tokens do.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;

use crate::auth::SecretKey;
use crate::errors::ApiError;
use crate::execution::{Executed, event};
use crate::form::Fields;
use crate::gateway::{Books, Gateway};
use crate::objects::{Metadata, Object, PaymentMethod, new_id};
use crate::requests::{Post, page, selection};
use crate::tokens::behaviour_of;

pub(crate) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/v1/payment_methods", get(list))
        .route("/v1/payment_methods/{id}", get(read))
        .route("/v1/payment_methods/{id}/attach", post(attach))
}

async fn attach(Path(token): Path<String>, post: Post) -> Result<Response, ApiError> {
    post.run(|fields, _| {
        let customer = fields.required("customer")?;
        Ok(move |books: &mut Books, now: Timestamp| {
            if books.ledger.customers.get(&customer).is_none() {
                return Err(ApiError::missing("customer", &customer, "customer"));
            }
            if let Some(attached) = books.ledger.methods.get(&token) {
                return again(attached, &customer);
            }
            if behaviour_of(&token).is_none() {
                return Err(ApiError::missing("PaymentMethod", &token, "payment_method"));
            }
            let method = PaymentMethod {
                id: new_id("pm_"),
                object: "payment_method".to_owned(),
                kind: "card".to_owned(),
                customer,
                sandbox_token: token,
                metadata: Metadata::new(),
                created: now.as_second(),
                livemode: false,
            };
            let event = event("payment_method.attached", &method, now)?;
            Ok(Executed::answered(&method)?.change(Object::PaymentMethod(method)).event(event))
        })
    })
    .await
}

/// Attaching a method once more changes nothing; it cannot go to somebody else.
fn again(method: &PaymentMethod, customer: &str) -> Result<Executed, ApiError> {
    if method.customer == customer {
        return Executed::answered(method);
    }
    let message = "The payment method you provided has already been attached to a customer.";
    Err(ApiError::state("payment_method_unexpected_state", message))
}

async fn read(State(gateway): State<Arc<Gateway>>, _: SecretKey, Path(id): Path<String>) -> Result<Response, ApiError> {
    gateway.behaviour.admit()?;
    let found = gateway.books().ledger.methods.get(&id).cloned();
    let method = found.ok_or_else(|| ApiError::missing("PaymentMethod", &id, "payment_method"))?;
    Ok(axum::Json(method).into_response())
}

async fn list(State(gateway): State<Arc<Gateway>>, _: SecretKey, fields: Fields) -> Result<Response, ApiError> {
    gateway.behaviour.admit()?;
    let selection = selection(fields, Some("customer"))?;
    page("/v1/payment_methods", gateway.books().ledger.methods.newest_first(&selection))
}
