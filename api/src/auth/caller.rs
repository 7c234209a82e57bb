//! The verified caller of a request: the only source of the tenant anywhere.
//!
//! Owns the way from the Authorization header to a bearer token, and the problems on it. What a caller may do is
//! [`crate::access`]'s, which objects it reaches [`crate::reach`]'s.

use std::sync::Arc;

use axum::http::{Extensions, HeaderMap, header};
use jiff::Timestamp;

use super::{
    jwks_client::{JwksClient, VerifyError},
    role::{Role, Scopes},
    tokens::{Claims, TokenError, Verifier},
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
    /// Checks a token at the instant `now`.
    ///
    /// # Errors
    /// 401; 503 when the keys are away.
    pub(crate) async fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, Problem> {
        let claims = match self {
            Self::Local(verifier) => verifier.verify(token, now).map_err(VerifyError::from),
            Self::Remote(client) => client.verify(token, now).await,
        };
        claims.map_err(refused)
    }
}

/// A router's state that can tell who is calling. Implemented by the gateway and the auth service.
pub trait Authenticates: Send + Sync {
    /// Who brings this bearer token. Errors: 401; 503 when it cannot be told.
    fn authenticate(&self, token: &str) -> impl Future<Output = Result<Caller, Problem>> + Send;
}

impl<T: Authenticates> Authenticates for Arc<T> {
    fn authenticate(&self, token: &str) -> impl Future<Output = Result<Caller, Problem>> + Send {
        T::authenticate(self, token)
    }
}

/// Which of its tenant's objects a caller reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of them.
    Tenant,
    /// Those of the customer that it is.
    Customer(String),
}

/// Who is calling, verified. What it may do is asked by [`crate::access`], which alone hands callers out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// `ten_...`
    pub tenant: String,
    /// `usr_...`, or `key_...` of an API key.
    pub id: String,
    /// The user's role in the tenant; an API key has none.
    pub role: Option<Role>,
    /// The session of the user's token; an API key has none.
    pub session: Option<String>,
    /// What the token or key may be used for.
    pub scopes: Scopes,
    /// Which objects it reaches.
    pub reach: Reach,
}

impl Caller {
    /// The caller of a request with these headers.
    ///
    /// # Errors
    /// 401; 503 when it cannot be told.
    pub(crate) async fn of_request(
        extensions: &Extensions,
        headers: &HeaderMap,
        state: &impl Authenticates,
    ) -> Result<Self, Problem> {
        if let Some(Identified(identified)) = extensions.get() {
            return identified.clone();
        }
        let caller = state.authenticate(bearer_token(headers)?).await?;
        // Every log line of the request names the tenant from here on.
        let span = tracing::Span::current();
        span.record("tenant", &caller.tenant).record("user", &caller.id);
        Ok(caller)
    }
}

/// What came of finding out who calls, for whoever asks again in the course of the same request.
#[derive(Clone, Debug)]
pub(crate) struct Identified(pub Result<Caller, Problem>);

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
