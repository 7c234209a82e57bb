//! `POST /v1/auth/login`: e-mail address and password for an access token.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, header},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use store::{UnitOfWork, User};
use utoipa::ToSchema;

use super::{AuthService, AuthState};
use crate::{
    access::scopes_of,
    auth::{
        passwords::{NewPassword, Verdict},
        role::Role,
        tokens::Grant,
    },
    http::{json::StrictJson, openapi::PublicWriteProblems, problem::Problem},
};

/// Tokens stay out of every cache (RFC 6749, 5.1).
const NO_STORE: (HeaderName, &str) = (header::CACHE_CONTROL, "no-store");

/// Who signs in.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct LoginRequest {
    /// Letter case does not matter.
    #[schema(example = "ada@acme.example")]
    email: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// An access token for the API.
#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    /// Goes into the Authorization header of every request.
    access_token: String,
    /// Always `Bearer`.
    #[schema(value_type = String, example = "Bearer")]
    token_type: &'static str,
    /// Seconds from now.
    #[schema(example = 600)]
    expires_in: i64,
    /// What the token may be used for: scopes, separated by spaces.
    #[schema(example = "customers:read customers:write")]
    scope: String,
}

/// Signs a user in.
#[utoipa::path(post, path = "/v1/auth/login", tag = "auth", security(()), request_body = LoginRequest,
    responses((status = 200, body = Session), PublicWriteProblems))]
pub(super) async fn login(
    State(service): State<AuthState>,
    body: StrictJson<LoginRequest>,
) -> Result<([(HeaderName, &'static str); 1], Json<Session>), Problem> {
    let LoginRequest { email, password } = body.value;
    let user = service.app.billing.store.user_by_email(&email.trim().to_lowercase()).await?;
    let stored = user.as_ref().map(|user| user.password_hash.clone());
    let verdict = service.passwords.verify(password.clone(), stored).await?;
    let (Some(user), Verdict::Right | Verdict::RightToRehash) = (user, verdict) else {
        let detail = "the e-mail address or the password is wrong";
        return Err(Problem::refused_credentials("invalid_credentials", detail));
    };
    let session = service.session(&user)?;
    if verdict == Verdict::RightToRehash {
        service.rehash(user, password).await;
    }
    Ok(([NO_STORE], Json(session)))
}

impl AuthService {
    fn session(&self, user: &User) -> Result<Session, Problem> {
        let broken = |error: &dyn std::error::Error| {
            tracing::error!(%error, user = user.id, "a user cannot be signed in");
            Problem::internal()
        };
        let role: Role = user.role.parse().map_err(|error| broken(&error))?;
        let scopes = scopes_of(role);
        let scope = scopes.to_string();
        let grant = Grant { user: user.id.clone(), tenant: user.tenant.clone(), role, scopes };
        let issued = self.signer.issue(&grant, self.app.clock.now(), self.app.ids.new_id("jti"));
        let issued = issued.map_err(|error| broken(&error))?;
        Ok(Session {
            access_token: issued.token.expose_secret().to_owned(),
            token_type: "Bearer",
            expires_in: issued.expires_in.as_secs(),
            scope,
        })
    }

    /// Stores the password at today's cost. The log-in has succeeded whether or not this does.
    async fn rehash(&self, mut user: User, password: SecretString) {
        // A password from before a rule was made is not stored anew.
        let Ok(password) = NewPassword::parse(password) else { return };
        let Ok(hash) = self.passwords.hash(password).await else { return };
        user.password_hash = hash;
        let mut unit = UnitOfWork::default();
        let stored = match unit.replace(&mut user) {
            Ok(()) => self.app.billing.store.commit(unit).await,
            Err(error) => Err(error),
        };
        if let Err(error) = stored {
            tracing::warn!(%error, user = user.id, "a password could not be stored at its new cost");
        }
    }
}
