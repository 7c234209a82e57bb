//! Request ids: one name for a request in its response, the logs, the audit entry and the jobs
//! that it caused.
//!
//! Owns the `Request-Id` header, the request's tracing span and its metrics, and finishes problems
//! with the id. **Invariant:** every response has a `Request-Id`, problems and panics included.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request},
    http::{HeaderName, HeaderValue, Method, request::Parts},
    middleware::Next,
    response::Response,
};
use tracing::{Instrument, field::Empty};
use uuid::Uuid;

use super::problem::{self, Problem};

/// Header of the request id, in requests and responses.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Longest id of a client's that is kept: room for a UUID with a prefix or a trace id, no more,
/// because it goes into every log line.
const MAX_CLIENT_ID_CHARS: usize = 64;

/// Metrics label of requests that no route took; the raw path would be an unbounded label.
const NO_ROUTE: &str = "none";

/// The id of the request at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// `req_` and a UUID v7, so that ids sort by time. Names no business object, so its time and
    /// randomness need not be arguments.
    fn generate() -> Self {
        Self(format!("req_{}", Uuid::now_v7().simple()).into())
    }

    /// The client's id, if it is short and plain enough to stand in a log line.
    fn of_client(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let sane = (1..=MAX_CLIENT_ID_CHARS).contains(&text.len()) && text.bytes().all(plain);
        sane.then(|| Self(text.into()))
    }

    /// The id as it is on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn header(&self) -> HeaderValue {
        // Ids are plain ASCII by construction, so this cannot fail.
        HeaderValue::from_str(&self.0).unwrap_or_else(|_| HeaderValue::from_static("req_none"))
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Problem;

    /// Fails only on a router that was not put together by [`super::server::assemble`].
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::internal)
    }
}

/// Middleware: names the request, runs it in a span of that name, and finishes the response.
pub(super) async fn identify(mut request: Request, next: Next) -> Response {
    let client = request.headers().get(&REQUEST_ID).and_then(RequestId::of_client);
    let id = client.unwrap_or_else(RequestId::generate);
    // In the headers too, so that a request that is forwarded keeps its id.
    request.headers_mut().insert(REQUEST_ID, id.header());
    request.extensions_mut().insert(id.clone());

    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
    let span = tracing::info_span!(
        "request", request_id = %id, %method, route, tenant = Empty, user = Empty
    );

    async {
        let started = Instant::now();
        let response = problem::complete(next.run(request).await, id.as_str(), &path);
        observe(&response, started, [known(&method), &route]);
        with_id(response, &id)
    }
    .instrument(span)
    .await
}

fn with_id(mut response: Response, id: &RequestId) -> Response {
    response.headers_mut().insert(REQUEST_ID, id.header());
    response
}

fn observe(response: &Response, started: Instant, [method, route]: [&str; 2]) {
    let status = response.status();
    let took = started.elapsed();
    if status.is_server_error() {
        tracing::warn!(status = status.as_u16(), ?took, "request failed");
    } else {
        tracing::info!(status = status.as_u16(), ?took, "request served");
    }
    let labels = [("method", method), ("route", route), ("status", status.as_str())];
    let labels = labels.map(|(name, value)| (name, value.to_owned()));
    metrics::histogram!("http_request_duration_seconds", &labels).record(took);
}

/// The method as a metrics label; a client may invent methods, and labels must stay few.
fn known(method: &Method) -> &str {
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    if known.contains(method) { method.as_str() } else { "other" }
}
