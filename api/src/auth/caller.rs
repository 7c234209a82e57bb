//! The verified caller of a request: the only source of the tenant anywhere.
//!
//! Owns the way from the Authorization header to a caller, and the problems on it. What a caller
//! may do with which object is decided by the use cases.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use jiff::Timestamp;

use super::{
    jwks_client::{JwksClient, VerifyError},
    role::{Role, Scopes},
    tokens::{Claims, Grant, TokenError, Verifier},
};
use crate::http::problem::Problem;

/// How a service checks access tokens.
#[derive(Clone, Debug)]
pub enum AccessTokens {
    /// With keys at hand: the auth service's own.
    Local(Arc<Verifier>),
    /// With the keys of the auth service: the gateway's way.
    Remote(JwksClient),
}

impl AccessTokens {
    async fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, VerifyError> {
        match self {
            Self::Local(verifier) => Ok(verifier.verify(token, now)?),
            Self::Remote(client) => client.verify(token, now).await,
        }
    }
}

/// A router's state that can tell who is calling. Implemented by the gateway and the auth service.
pub trait Authenticates: Send + Sync {
    /// How tokens are checked.
    fn access_tokens(&self) -> &AccessTokens;

    /// The wall clock; the one of the test clocks never decides about tokens.
    fn now(&self) -> Timestamp;
}

impl<T: Authenticates> Authenticates for Arc<T> {
    fn access_tokens(&self) -> &AccessTokens {
        T::access_tokens(self)
    }

    fn now(&self) -> Timestamp {
        T::now(self)
    }
}

/// Who is calling, verified. Rejections: 401, and 503 when it cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// `ten_...`
    pub tenant: String,
    /// `usr_...`
    pub user: String,
    /// The user's role in the tenant.
    pub role: Role,
    /// What the token may be used for.
    pub scopes: Scopes,
}

impl Caller {
    /// Passes if the token may be used for this scope.
    ///
    /// # Errors
    /// 403 `missing_scope`.
    pub fn require(&self, scope: &str) -> Result<(), Problem> {
        if self.scopes.contains(scope) {
            return Ok(());
        }
        Err(Problem::forbidden("missing_scope", format!("the scope {scope} is required")))
    }
}

impl From<Grant> for Caller {
    fn from(grant: Grant) -> Self {
        let Grant { user, tenant, role, scopes } = grant;
        Self { tenant, user, role, scopes }
    }
}

impl<S: Authenticates> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = bearer_token(&parts.headers)?;
        let claims = state.access_tokens().verify(token, state.now()).await.map_err(refused)?;
        let caller = Self::from(claims.grant());
        // Every log line of the request names the tenant from here on.
        let span = tracing::Span::current();
        span.record("tenant", &caller.tenant).record("user", &caller.user);
        Ok(caller)
    }
}

/// The token of the one Authorization header (RFC 6750, 2.1).
fn bearer_token(headers: &HeaderMap) -> Result<&str, Problem> {
    let malformed = || {
        let detail = "the Authorization header is not of the form `Bearer <token>`";
        Problem::refused_credentials("invalid_token", detail)
    };
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or_else(Problem::unauthenticated)?;
    if values.next().is_some() {
        return Err(malformed());
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    let token = token.trim();
    let fits = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
    if fits { Ok(token) } else { Err(malformed()) }
}

fn refused(error: VerifyError) -> Problem {
    match error {
        VerifyError::Unavailable => Problem::unavailable("authentication_unavailable", "tokens cannot be checked now"),
        VerifyError::Refused(TokenError::Expired) => {
            Problem::refused_credentials("token_expired", "the token has expired")
        }
        VerifyError::Refused(error) => {
            // Which check failed helps an attacker more than a client.
            tracing::info!(%error, "an access token was refused");
            Problem::refused_credentials("invalid_token", "the token is not accepted")
        }
    }
}
