//! `GET /.well-known/jwks.json`: the public keys.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, header},
    response::IntoResponse,
};

use super::AuthState;
use crate::http::openapi::PublicProblems;

/// How long a verifier may keep the set without asking: a key that is withdrawn goes as soon.
const CACHE_CONTROL: (HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=300");

/// Gives the keys that access tokens are checked with.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "auth", security(()),
    responses((status = 200, body = Object, description = "A JSON Web Key Set (RFC 7517)"), PublicProblems))]
pub(super) async fn get_jwks(State(service): State<AuthState>) -> impl IntoResponse {
    ([CACHE_CONTROL], Json(service.jwks.clone()))
}
