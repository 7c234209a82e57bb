//! Problems: how every error looks to a client (RFC 9457, `application/problem+json`).
//!
//! Owns the shape, the status classes and their headers. Does not decide which error is which
//! problem: the layer that met the error does.
//!
//! **Invariant:** a 5xx problem never carries internals; its cause is logged where it is handled.
//!
//! **Invariant:** no response above 399 leaves the server with another body: [`complete`] replaces
//! what the framework wrote by the problem of its status.

use std::time::Duration;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::headers::{RATE_LIMIT, RATE_LIMIT_POLICY};

/// Media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Most entries in `errors`: enough to mend a form, too few to blow a small request up.
const MAX_ERRORS: usize = 20;

/// When a client may ask again after a 503: outages of our own parts mostly last seconds.
const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(2);

/// All that a client learns of a failure of ours.
const FAILED_HERE: &str = "the request failed on our side; the request id finds it in the logs";

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the body, or the bare name of a query parameter or header.
    #[schema(example = "/prices/0/amount_minor")]
    pub pointer: String,
    /// Stable name of the rule.
    #[schema(example = "unknown_field")]
    pub code: String,
    /// The rule for people.
    pub detail: String,
}

/// The document of a problem (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// `urn:ratchet:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:ratchet:problem:not_found")]
    problem_type: String,
    /// The status in words.
    #[schema(example = "Not Found")]
    title: String,
    /// HTTP status.
    #[schema(example = 404)]
    status: u16,
    /// What happened, for people.
    detail: String,
    /// Path of the request.
    instance: String,
    /// Stable name of the problem, for programs.
    #[schema(example = "not_found")]
    code: String,
    /// The response's `Request-Id`.
    request_id: String,
    /// What is wrong with which part of the request; empty where it is not about parts.
    errors: Vec<FieldError>,
    #[serde(skip)]
    #[schema(ignore)]
    headers: HeaderMap,
}

/// An error on its way to the client. Boxed, because it travels in every `Result` of a handler.
#[derive(Clone, Debug)]
pub struct Problem(Box<ProblemDocument>);

impl Problem {
    fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(ProblemDocument {
            problem_type: format!("urn:ratchet:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            instance: String::new(),
            code: code.to_owned(),
            request_id: String::new(),
            errors: Vec::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// 400: the request cannot be read.
    #[must_use]
    pub fn malformed(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: the request carries no credentials.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "a bearer token is required")
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"ratchet\""))
    }

    /// 401: the credentials are not accepted (RFC 6750, `invalid_token`).
    #[must_use]
    pub fn refused_credentials(code: &str, detail: impl Into<String>) -> Self {
        let challenge = HeaderValue::from_static("Bearer realm=\"ratchet\", error=\"invalid_token\"");
        Self::new(StatusCode::UNAUTHORIZED, code, detail).header(header::WWW_AUTHENTICATE, challenge)
    }

    /// 402: a payment failed.
    #[must_use]
    pub fn payment_failed(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYMENT_REQUIRED, code, detail)
    }

    /// 403: the caller is known and may not do this.
    #[must_use]
    pub fn forbidden(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404: the caller's tenant has no such object, whether or not another one has. `object` is
    /// the object's wire name (`customer`).
    #[must_use]
    pub fn not_found(object: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("no such {object}"))
    }

    /// 404, where there is more to say than that the caller's tenant has no such object.
    #[must_use]
    pub fn absent(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 404: no route has this path.
    #[must_use]
    pub fn no_such_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "route_not_found", "no such route")
    }

    /// 409: the state of an object, or a request in flight, forbids it.
    #[must_use]
    pub fn conflict(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 412: `If-Match` names another revision.
    #[must_use]
    pub fn precondition_failed() -> Self {
        let detail = "the object has changed since it was read; read it again";
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail)
    }

    /// 413: the body is larger than the route allows.
    #[must_use]
    pub fn too_large() -> Self {
        let detail = "the body is larger than this route accepts";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    }

    /// 415: the body is not plain JSON.
    #[must_use]
    pub fn not_json() -> Self {
        let detail = "send the body as application/json in UTF-8, not encoded further";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    /// 422: the request is well formed and breaks a rule.
    #[must_use]
    pub fn rule_violated(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 424: the payment gateway or another foreign service failed.
    #[must_use]
    pub fn gateway_failed(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FAILED_DEPENDENCY, code, detail)
    }

    /// 429: too many requests; the client may come back after `retry_after`.
    #[must_use]
    pub fn too_many_requests(retry_after: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests").retry_after(retry_after)
    }

    /// 500: a bug or a broken part. The caller has logged the cause.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", FAILED_HERE)
    }

    /// 503: a part that the request needs is away; the client may ask again.
    #[must_use]
    pub fn unavailable(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(UNAVAILABLE_RETRY_AFTER)
    }

    /// The problem of a status that the framework answered by itself.
    fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::no_such_route(),
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::not_json(),
            StatusCode::METHOD_NOT_ALLOWED => {
                let detail = "the route exists, the method does not; see Allow";
                Self::new(status, "method_not_allowed", detail)
            }
            _ if status.is_server_error() => Self::new(status, "internal_error", FAILED_HERE),
            _ => Self::new(status, "bad_request", "the request cannot be served"),
        }
    }

    /// Adds what is wrong with one part of the request; see [`FieldError`] for the arguments.
    #[must_use]
    pub fn at(self, pointer: impl Into<String>, code: &str, detail: impl Into<String>) -> Self {
        let (pointer, code, detail) = (pointer.into(), code.to_owned(), detail.into());
        self.with_error(FieldError { pointer, code, detail })
    }

    /// Adds what is wrong with one part of the request.
    #[must_use]
    pub fn with_error(mut self, error: FieldError) -> Self {
        if self.0.errors.len() < MAX_ERRORS {
            self.0.errors.push(error);
        }
        self
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    fn retry_after(self, after: Duration) -> Self {
        // Whole seconds, rounded up: a client that comes back early is refused again.
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        // Every constructor takes a StatusCode, so the number is one.
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Stable name of the problem.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// What is wrong with which part of the request.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    fn render(&self) -> Response {
        // Strings and numbers alone: this cannot fail, and an empty body would still be a 5xx.
        let body = serde_json::to_vec(&*self.0).unwrap_or_default();
        let mut response = (self.status(), body).into_response();
        response.headers_mut().extend(self.0.headers.clone());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response
    }
}

impl IntoResponse for Problem {
    /// The response carries the problem along, so that [`complete`] can name the request in it.
    fn into_response(self) -> Response {
        let mut response = self.render();
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives a failed response its final body: the request is named in a problem of ours, and a body
/// that the framework wrote becomes a problem. A problem forwarded from another service stays.
pub(super) fn complete(mut response: Response, request_id: &str, path: &str) -> Response {
    if !response.status().is_client_error() && !response.status().is_server_error() {
        return response;
    }
    let own = response.extensions_mut().remove::<Problem>();
    let content_type = response.headers().get(header::CONTENT_TYPE);
    if own.is_none() && content_type.is_some_and(|value| value == PROBLEM_JSON) {
        return response;
    }
    let mut problem = own.unwrap_or_else(|| Problem::of_status(response.status()));
    for name in [header::ALLOW, header::RETRY_AFTER, header::WWW_AUTHENTICATE, RATE_LIMIT_POLICY, RATE_LIMIT] {
        if let Some(value) = response.headers_mut().remove(&name) {
            problem = problem.header(name, value);
        }
    }
    request_id.clone_into(&mut problem.0.request_id);
    path.clone_into(&mut problem.0.instance);
    problem.render()
}
