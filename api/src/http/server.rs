//! The layers around every route, in one place: what holds for all requests.
//!
//! From the outside in: request id, span and final problem; secrets marked as such; panics become
//! a 500; the time limit; the body limit. The listening side is [`super::serve`].

use std::{any::Any, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderName, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower::ServiceBuilder;
use tower_http::{catch_panic::CatchPanicLayer, sensitive_headers::SetSensitiveRequestHeadersLayer};

use super::{problem::Problem, request_id::identify};

/// Largest body of an ordinary request: the largest plan is a few hundred kilobytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Largest body of a batch of usage events: 1,000 events of 5 kB each.
pub const MAX_USAGE_BATCH_BYTES: usize = 5 * 1024 * 1024;

/// Longest time that a request may take, its body included. The slowest route (a full usage batch)
/// takes under two seconds; a client gives up after about thirty.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// Request headers that hold secrets: never printed, also not by a layer that prints headers.
const SECRET_HEADERS: [HeaderName; 4] =
    [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION, HeaderName::from_static("stripe-signature")];

/// The layer for the routes that take a batch of usage events.
pub fn usage_batch_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(MAX_USAGE_BATCH_BYTES)
}

/// Completes a router: every other path is answered as well.
pub fn complete(routes: Router) -> Router {
    routes.fallback(|| async { Problem::no_such_route() })
}

/// Puts the layers around a router that is complete.
pub fn assemble(routes: Router) -> Router {
    assemble_within(routes, TIME_LIMIT)
}

/// [`assemble`] with a time limit of its own.
pub(super) fn assemble_within(routes: Router, time_limit: Duration) -> Router {
    let limit = middleware::from_fn(move |request, next| limit_time(time_limit, request, next));
    let layers = ServiceBuilder::new()
        .layer(SetSensitiveRequestHeadersLayer::new(SECRET_HEADERS))
        .layer(middleware::from_fn(identify))
        .layer(CatchPanicLayer::custom(caught))
        .layer(limit)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    routes.layer(layers)
}

async fn limit_time(limit: Duration, request: Request, next: Next) -> Response {
    let detail = "the request took too long; it may have taken effect";
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable("time_limit", detail).into_response(),
    }
}

/// The last line of defence; the message stays in the logs.
fn caught(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(message, "a handler panicked");
    Problem::internal().into_response()
}
