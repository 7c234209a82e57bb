//! `/v1/customers`: who pays. An id of the client's own is taken, as Stripe takes one.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;

use crate::auth::SecretKey;
use crate::errors::ApiError;
use crate::execution::{Executed, event};
use crate::form::Fields;
use crate::gateway::{Books, Gateway};
use crate::objects::{Customer, Object, new_id};
use crate::requests::{Post, page, selection, within};

/// Stripe's limit on names and addresses.
const MAX_TEXT_CHARS: usize = 512;
/// Ids of the client's own; longer ones are a mistake.
const MAX_ID_CHARS: usize = 255;

pub(crate) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route("/v1/customers", post(create).get(list)).route("/v1/customers/{id}", get(read))
}

async fn create(post: Post) -> Result<Response, ApiError> {
    post.run(|fields, _| {
        let text = |fields: &mut Fields, name: &str| {
            fields.optional(name).map(|text| within(text, name, MAX_TEXT_CHARS)).transpose()
        };
        let id = fields.optional("id").map(|id| within(id, "id", MAX_ID_CHARS)).transpose()?;
        let mut customer = Customer {
            id: id.unwrap_or_else(|| new_id("cus_")),
            object: "customer".to_owned(),
            name: text(fields, "name")?,
            email: text(fields, "email")?,
            metadata: fields.metadata()?,
            created: 0,
            livemode: false,
        };
        Ok(move |books: &mut Books, now: Timestamp| {
            if books.ledger.customers.get(&customer.id).is_some() {
                return Err(ApiError::state("resource_already_exists", "Customer already exists."));
            }
            customer.created = now.as_second();
            let event = event("customer.created", &customer, now)?;
            Ok(Executed::answered(&customer)?.change(Object::Customer(customer)).event(event))
        })
    })
    .await
}

async fn read(State(gateway): State<Arc<Gateway>>, _: SecretKey, Path(id): Path<String>) -> Result<Response, ApiError> {
    gateway.behaviour.admit()?;
    let found = gateway.books().ledger.customers.get(&id).cloned();
    Ok(Json(found.ok_or_else(|| ApiError::missing("customer", &id, "id"))?).into_response())
}

async fn list(State(gateway): State<Arc<Gateway>>, _: SecretKey, fields: Fields) -> Result<Response, ApiError> {
    gateway.behaviour.admit()?;
    let selection = selection(fields, None)?;
    page("/v1/customers", gateway.books().ledger.customers.newest_first(&selection))
}
