//! What all endpoints have in common: a request that changes something runs once under its key, a list is paged.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::{Json, response::IntoResponse};
use jiff::Timestamp;
use serde::Serialize;

use crate::auth::SecretKey;
use crate::errors::ApiError;
use crate::execution::{Executed, Execution};
use crate::form::Fields;
use crate::gateway::{Books, Gateway};
use crate::table::{Page, Selection};

/// Stripe takes keys of up to 255 characters.
const MAX_KEY_CHARS: usize = 255;
/// Stripe's page sizes.
const DEFAULT_LIMIT: i64 = 10;
const MAX_LIMIT: i64 = 100;

/// A list as Stripe shows it.
#[derive(Serialize)]
pub(crate) struct List<R> {
    object: &'static str,
    url: &'static str,
    has_more: bool,
    data: Vec<R>,
}

impl<R> List<R> {
    pub(crate) fn new(url: &'static str, page: Page<R>) -> Self {
        Self { object: "list", url, has_more: page.has_more, data: page.data }
    }
}

/// A request that changes something: who asks, under which key, with which fields.
pub(crate) struct Post {
    gateway: Arc<Gateway>,
    execution: Execution,
    fields: Fields,
}

impl FromRequest<Arc<Gateway>> for Post {
    type Rejection = ApiError;

    async fn from_request(request: Request, gateway: &Arc<Gateway>) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        <SecretKey as axum::extract::FromRequestParts<_>>::from_request_parts(&mut parts, gateway).await?;
        let key = idempotency_key(&parts.headers)?;
        // A key is held to the whole request, its path included.
        let path = parts.uri.path().to_owned();
        let fields = Fields::from_request(Request::from_parts(parts, body), gateway).await?;
        gateway.behaviour.admit()?;
        let execution = Execution { key, fingerprint: format!("{path}?{}", fields.fingerprint()) };
        Ok(Self { gateway: Arc::clone(gateway), execution, fields })
    }
}

impl Post {
    /// Reads the fields and executes once. What cannot be read executes nothing and uses no key up.
    pub(crate) async fn run<P, E>(self, parse: P) -> Result<Response, ApiError>
    where
        P: FnOnce(&mut Fields, Option<String>) -> Result<E, ApiError>,
        E: FnOnce(&mut Books, Timestamp) -> Result<Executed, ApiError> + Send + 'static,
    {
        let Self { gateway, execution, mut fields } = self;
        let execute = parse(&mut fields, execution.key.clone())?;
        fields.finish()?;
        Ok(gateway.once(execution, execute).await)
    }
}

/// Takes the page size.
pub(crate) fn limit(fields: &mut Fields, default: i64, max: i64) -> Result<usize, ApiError> {
    let limit = fields.integer("limit")?.unwrap_or(default);
    match usize::try_from(limit) {
        Ok(size) if (1..=max).contains(&limit) => Ok(size),
        _ => {
            let message = format!("The limit must be between 1 and {max}.");
            Err(ApiError::parameter("parameter_invalid_integer", "limit", message))
        }
    }
}

/// Which part of a list is wanted; `parent` is the field that narrows it.
pub(crate) fn selection(mut fields: Fields, parent: Option<&str>) -> Result<Selection, ApiError> {
    let selection = Selection {
        parent: parent.and_then(|parent| fields.optional(parent)),
        created_gte: fields.integer("created[gte]")?,
        created_lte: fields.integer("created[lte]")?,
        starting_after: fields.optional("starting_after"),
        limit: limit(&mut fields, DEFAULT_LIMIT, MAX_LIMIT)?,
    };
    fields.finish()?;
    Ok(selection)
}

/// A page as an answer; a cursor that does not exist is a parameter that is wrong.
pub(crate) fn page<R: Serialize>(url: &'static str, found: Result<Page<R>, String>) -> Result<Response, ApiError> {
    let page = found.map_err(|id| ApiError::missing("object", &id, "starting_after"))?;
    Ok(Json(List::new(url, page)).into_response())
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= MAX_KEY_CHARS => Ok(Some(key.to_owned())),
        _ => Err(ApiError::malformed(format!("An idempotency key has 1 to {MAX_KEY_CHARS} visible characters."))),
    }
}

/// A text that is not too long.
pub(crate) fn within(text: String, name: &str, max: usize) -> Result<String, ApiError> {
    if text.chars().count() <= max {
        return Ok(text);
    }
    let message = format!("Invalid string: it must have at most {max} characters.");
    Err(ApiError::parameter("parameter_invalid_string", name, message))
}
