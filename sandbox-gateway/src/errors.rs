//! Stripe's error envelope: `{ "error": { type, code, message, param, decline_code, ... } }`.
//! Owns how every refusal of the gateway looks; what is refused is decided elsewhere.

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::objects::PaymentIntent;
use crate::tokens::Decline;

/// What a refused client is told to wait; a whole second is the header's smallest unit.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");
/// The type of every refusal of a card.
pub(crate) const CARD_ERROR: &str = "card_error";
const BASIC_REALM: HeaderValue = HeaderValue::from_static(r#"Basic realm="Sandbox""#);

/// An answer that is not a success. Boxed inside: it travels in every `Result` of the crate.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) body: Box<ErrorBody>,
}

/// The envelope's content. Absent members are left out, as Stripe does.
#[derive(Debug, Default, Serialize)]
pub(crate) struct ErrorBody {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decline_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) advice_code: Option<&'static str>,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) param: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payment_intent: Option<PaymentIntent>,
}

/// The outermost object of every error answer.
#[derive(Serialize)]
pub(crate) struct Envelope<'a> {
    pub(crate) error: &'a ErrorBody,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        let body = ErrorBody { kind, message: message.into(), ..ErrorBody::default() };
        Self { status, body: Box::new(body) }
    }

    fn code(mut self, code: &'static str) -> Self {
        self.body.code = Some(code);
        self
    }

    fn param(mut self, param: &str) -> Self {
        self.body.param = Some(param.to_owned());
        self
    }

    /// 400: a parameter is missing, unknown or not acceptable.
    pub(crate) fn parameter(code: &'static str, param: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message).code(code).param(param)
    }

    /// 400: the request as a whole cannot be read.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// 401: no secret key.
    pub(crate) fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "invalid_request_error",
            "You did not provide an API key. Send it as a bearer token or as the user of basic \
             authentication.",
        )
    }

    /// 404: no object of this kind and id; `param` names what it was given as.
    pub(crate) fn missing(object: &str, id: &str, param: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", format!("No such {object}: '{id}'"))
            .code("resource_missing")
            .param(param)
    }

    /// 400: the object's state does not allow it.
    pub(crate) fn state(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message).code(code)
    }

    /// 402: the bank refused the card.
    pub(crate) fn card(decline: &Decline, intent: PaymentIntent) -> Self {
        let body = ErrorBody {
            kind: CARD_ERROR,
            code: Some(decline.code),
            decline_code: Some(decline.decline_code),
            advice_code: decline.advice_code,
            message: decline.message.to_owned(),
            param: None,
            payment_intent: Some(intent),
        };
        Self { status: StatusCode::PAYMENT_REQUIRED, body: Box::new(body) }
    }

    /// 400: the idempotency key was used with other parameters.
    pub(crate) fn other_parameters(key: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "idempotency_error",
            format!(
                "Keys for idempotent requests can only be used with the same parameters they were \
                 first used with. Try using a key other than '{key}' if you meant to execute a \
                 different request."
            ),
        )
    }

    /// 409: a request with this key is being executed right now.
    pub(crate) fn key_in_use(key: &str) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "idempotency_error",
            format!("There is currently another in-progress request using the key '{key}'."),
        )
        .code("idempotency_key_in_use")
    }

    /// 429: too many requests; nothing was executed.
    pub(crate) fn rate_limited() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "invalid_request_error",
            "Too many requests in this period. Please retry later.",
        )
        .code("rate_limit")
    }

    /// 5xx: something broke here.
    pub(crate) fn internal(status: StatusCode) -> Self {
        Self::new(status, "api_error", "An unknown error occurred in the sandbox gateway.")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let envelope = Json(Envelope { error: &self.body });
        let mut response = (self.status, envelope).into_response();
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => {
                response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
            }
            StatusCode::UNAUTHORIZED => {
                response.headers_mut().insert(WWW_AUTHENTICATE, BASIC_REALM);
            }
            _ => {}
        }
        response
    }
}

/// Stripe answers 404 to an unknown path and to an unknown method alike.
pub(crate) async fn unrecognised_url(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "invalid_request_error",
        format!("Unrecognized request URL ({method}: {}).", uri.path()),
    )
}
