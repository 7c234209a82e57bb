//! Sessions: `POST /v1/auth/login`, `/refresh` and `/logout`.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use billing::{NewSession, Refreshed, Request, end_session, open_session, refresh_session};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use store::{UnitOfWork, User};
use utoipa::ToSchema;

use super::{AuthService, AuthState, client::ClientAddress, throttle::Counters};
use crate::{
    access::{Allowed, Logout, scopes_of},
    auth::{
        opaque::RefreshToken,
        passwords::{NewPassword, Verdict},
        role::Role,
        tokens::Grant,
    },
    http::{
        json::StrictJson,
        openapi::{PublicWriteProblems, WriteProblems},
        problem::Problem,
        request_id::RequestId,
    },
};

/// Tokens stay out of every cache (RFC 6749, 5.1).
type NoStore = [(HeaderName, &'static str); 1];

const NO_STORE: NoStore = [(header::CACHE_CONTROL, "no-store")];

/// Who signs in.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct LoginRequest {
    /// Letter case does not matter.
    #[schema(example = "ada@acme.example")]
    email: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// A refresh token to use.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct RefreshRequest {
    #[schema(value_type = String, format = Password)]
    refresh_token: SecretString,
}

/// An access token for the API, and what gets the next one.
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
    /// Gets the next access token, once; keep it secret.
    refresh_token: String,
    /// What the access token may be used for: scopes, separated by spaces.
    #[schema(example = "customers:read customers:write")]
    scope: String,
}

/// Signs a user in. 403 `email_not_verified` until the address is proved; 429 after too many failures.
#[utoipa::path(post, path = "/v1/auth/login", tag = "auth", security(()), request_body = LoginRequest,
    responses((status = 200, body = Session), PublicWriteProblems))]
pub(super) async fn login(
    State(service): State<AuthState>,
    ClientAddress(address): ClientAddress,
    body: StrictJson<LoginRequest>,
) -> Result<(NoStore, Json<Session>), Problem> {
    let LoginRequest { email, password } = body.value;
    let email = email.trim().to_lowercase();
    let (store, now) = (&service.app.billing.store, service.app.clock.now());
    let counters = Counters::new(store, &email, address.as_deref());
    counters.count(now).await?;
    let user = store.user_by_email(&email).await?;
    // An invited user has no password yet: the same as nobody.
    let stored = user.as_ref().map(|user| user.password_hash.clone()).filter(|hash| !hash.is_empty());
    let verdict = service.passwords.verify(password.clone(), stored).await?;
    let (Some(user), Verdict::Right | Verdict::RightToRehash) = (user, verdict) else {
        let detail = "the e-mail address or the password is wrong";
        return Err(Problem::refused_credentials("invalid_credentials", detail));
    };
    counters.succeeded(now).await?;
    may_sign_in(&user)?;
    if verdict == Verdict::RightToRehash {
        service.rehash(user.clone(), password).await;
    }
    let token = RefreshToken::new()?;
    let new = NewSession {
        id: service.app.ids.new_id("ses"),
        family_hash: token.family_hash(),
        token_hash: token.token_hash(),
    };
    let opened = service.app.billing.commit(open_session(&user, new, now)?).await?;
    Ok((NO_STORE, Json(service.session(&user, (&opened.id, &token))?)))
}

fn may_sign_in(user: &User) -> Result<(), Problem> {
    if user.disabled_at.is_some() {
        return Err(Problem::forbidden("user_disabled", "this user may not sign in"));
    }
    if user.email_verified_at.is_none() {
        return Err(Problem::forbidden(
            "email_not_verified",
            "follow the link in the mail to prove your address first",
        ));
    }
    Ok(())
}

/// Uses a refresh token for the next pair of tokens. A token is good once: brought again, it ends its session, since
/// somebody else has it.
#[utoipa::path(post, path = "/v1/auth/refresh", tag = "auth", security(()), request_body = RefreshRequest,
    responses((status = 200, body = Session), PublicWriteProblems))]
pub(super) async fn refresh(
    State(service): State<AuthState>,
    request_id: RequestId,
    body: StrictJson<RefreshRequest>,
) -> Result<(NoStore, Json<Session>), Problem> {
    let refused = || {
        let detail = "the refresh token is unknown, used, or of a session that is over";
        Problem::refused_credentials("invalid_refresh_token", detail)
    };
    let token = RefreshToken::parse(body.value.refresh_token.expose_secret()).ok_or_else(refused)?;
    let next = token.next()?;
    let hashes = (token.family_hash(), token.token_hash());
    let request = service.request(&request_id);
    let refreshed = service
        .commit(|| {
            let store = &service.app.billing.store;
            let (family, current) = (&*hashes.0, &*hashes.1);
            let next_hash = next.token_hash();
            let request = &request;
            async move { refresh_session(store, (family, current), &next_hash, request).await }
        })
        .await?;
    match refreshed {
        Refreshed::Renewed(renewed) => {
            let (session, user) = *renewed;
            Ok((NO_STORE, Json(service.session(&user, (&session.id, &next))?)))
        }
        Refreshed::Reused => {
            tracing::warn!("a refresh token was brought twice; its session is ended");
            Err(refused())
        }
        Refreshed::Refused => Err(refused()),
    }
}

/// Ends the caller's session: its refresh token at once, its access tokens within half a minute.
#[utoipa::path(post, path = "/v1/auth/logout", tag = "auth", responses((status = 204), WriteProblems))]
pub(super) async fn logout(
    State(service): State<AuthState>,
    caller: Allowed<Logout>,
    request_id: RequestId,
) -> Result<StatusCode, Problem> {
    if let Some(session) = &caller.session {
        let Request { wall, .. } = service.request(&request_id);
        let store = &service.app.billing.store;
        let tenant = &caller.tenant;
        service.commit(|| async move { end_session(store, (tenant, session), wall).await }).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

impl AuthService {
    fn session(&self, user: &User, (session, refresh): (&str, &RefreshToken)) -> Result<Session, Problem> {
        let broken = |error: &dyn std::error::Error| {
            tracing::error!(%error, user = user.id, "a user cannot be signed in");
            Problem::internal()
        };
        let role: Role = user.role.parse().map_err(|error| broken(&error))?;
        let scopes = scopes_of(role);
        let scope = scopes.to_string();
        let (tenant, session) = (user.tenant.clone(), session.to_owned());
        let grant = Grant { user: user.id.clone(), tenant, role, scopes, session };
        let issued = self.signer.issue(&grant, self.app.clock.now(), self.app.ids.new_id("jti"));
        let issued = issued.map_err(|error| broken(&error))?;
        Ok(Session {
            access_token: issued.token.expose_secret().to_owned(),
            token_type: "Bearer",
            expires_in: issued.expires_in.as_secs(),
            refresh_token: refresh.expose(),
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
