//! One-time tokens: `POST /v1/auth/verify_email`, `/resend_verification`, `/password/forgot` and `/password/reset`.
//!
//! **Invariant:** who asks for a mail learns nothing about the address: the answer and its time are the same.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use billing::{
    BillingError, Change, request_password_reset, resend_verification as decide_resend, reset_password as decide_reset,
    verify_email as decide_verification,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{AuthService, AuthState};
use crate::{
    auth::{opaque::hash, passwords::NewPassword},
    http::{json::StrictJson, openapi::PublicWriteProblems, problem::Problem, request_id::RequestId},
    resources::fields,
    shown::User,
};

/// When a request for a mail is answered: well above what writing and enqueueing one takes.
const ANSWER_AFTER: Duration = Duration::from_millis(300);

/// A token from a mail.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct TokenRequest {
    #[schema(value_type = String, format = Password)]
    token: SecretString,
}

/// Who wants a mail.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct AddressRequest {
    #[schema(example = "ada@acme.example")]
    email: String,
}

/// A token from a mail, and the password to set.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ResetRequest {
    #[schema(value_type = String, format = Password)]
    token: SecretString,
    /// 8 to 128 characters, and none of the common ones.
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// Proves an e-mail address with the token that was mailed to it; then its user can sign in.
#[utoipa::path(post, path = "/v1/auth/verify_email", tag = "auth", security(()), request_body = TokenRequest,
    responses((status = 200, body = User), PublicWriteProblems))]
pub(super) async fn verify_email(
    State(service): State<AuthState>,
    request_id: RequestId,
    body: StrictJson<TokenRequest>,
) -> Result<Json<User>, Problem> {
    let hash = hash(body.value.token.expose_secret().as_bytes());
    let (store, request) = (&service.app.billing.store, &service.request(&request_id));
    let user = service.commit(|| decide_verification(store, &hash, request)).await?;
    Ok(Json(service.shown(user).await?))
}

/// Mails another verification link, if somebody with this address waits for one.
#[utoipa::path(post, path = "/v1/auth/resend_verification", tag = "auth", security(()), request_body = AddressRequest,
    responses((status = 202, description = "A mail is sent if the address waits for one"), PublicWriteProblems))]
pub(super) async fn resend_verification(
    State(service): State<AuthState>,
    request_id: RequestId,
    body: StrictJson<AddressRequest>,
) -> Result<StatusCode, Problem> {
    let email = fields::email("/email", body.value.email)?.to_lowercase();
    let token = service.mailed_token("verify_email")?;
    let (store, request) = (&service.app.billing.store, &service.request(&request_id));
    service.answer_later(|| decide_resend(store, &email, &token, request)).await
}

/// Mails a link to choose another password, if somebody signs in with this address.
#[utoipa::path(post, path = "/v1/auth/password/forgot", tag = "auth", security(()), request_body = AddressRequest,
    responses((status = 202, description = "A mail is sent if the address signs in"), PublicWriteProblems))]
pub(super) async fn forgot_password(
    State(service): State<AuthState>,
    request_id: RequestId,
    body: StrictJson<AddressRequest>,
) -> Result<StatusCode, Problem> {
    let email = fields::email("/email", body.value.email)?.to_lowercase();
    let token = service.mailed_token("reset_password")?;
    let (store, request) = (&service.app.billing.store, &service.request(&request_id));
    service.answer_later(|| request_password_reset(store, &email, &token, request)).await
}

/// Sets a password with the token that was mailed: another one, or an invited user's first. All sessions of the user end.
#[utoipa::path(post, path = "/v1/auth/password/reset", tag = "auth", security(()), request_body = ResetRequest,
    responses((status = 200, body = User), PublicWriteProblems))]
pub(super) async fn reset_password(
    State(service): State<AuthState>,
    request_id: RequestId,
    body: StrictJson<ResetRequest>,
) -> Result<Json<User>, Problem> {
    let ResetRequest { token, password } = body.value;
    let password = NewPassword::parse(password).map_err(|rule| rule.problem("/password"))?;
    let token_hash = hash(token.expose_secret().as_bytes());
    let password_hash = service.passwords.hash(password).await?;
    let (store, request) = (&service.app.billing.store, &service.request(&request_id));
    let user = service.commit(|| decide_reset(store, (&token_hash, &password_hash), request)).await?;
    Ok(Json(service.shown(user).await?))
}

impl AuthService {
    /// Commits what somebody asked for by address, and answers at the time when everybody is answered.
    async fn answer_later<F>(&self, decide: impl FnMut() -> F) -> Result<StatusCode, Problem>
    where
        F: Future<Output = Result<Change<()>, BillingError>>,
    {
        let (committed, ()) = tokio::join!(self.commit(decide), tokio::time::sleep(ANSWER_AFTER));
        committed?;
        Ok(StatusCode::ACCEPTED)
    }
}
