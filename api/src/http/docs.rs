//! `/docs`: the document, rendered for people by a script of our own serving.
//!
//! **Invariant:** nothing is loaded from elsewhere, which the page's content security policy enforces.

use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    response::IntoResponse,
    routing::get,
};

/// The page: the script finds the element and draws the document in it.
const PAGE: &str = include_str!("docs.html");

/// Redoc; see the notes beside it.
const SCRIPT: &[u8] = include_bytes!("../../vendor/redoc/redoc.standalone.js");

/// Styles are made by the script as it draws, and its search runs in a worker that it makes from a blob; it reads the document
/// from here and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// How long a browser keeps the script: a day, as a new version of it comes with a new version of the product.
const SCRIPT_CACHED: &str = "public, max-age=86400";

/// The routes of the page.
pub(crate) fn routes() -> Router {
    Router::new().route("/docs", get(page)).route("/docs/redoc.js", get(script))
}

async fn page() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers.map(of_static), PAGE)
}

async fn script() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, SCRIPT_CACHED),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers.map(of_static), SCRIPT)
}

fn of_static((name, value): (HeaderName, &'static str)) -> (HeaderName, HeaderValue) {
    (name, HeaderValue::from_static(value))
}
