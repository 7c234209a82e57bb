//! The auth service: registers organisations, signs users in, and publishes the keys that its tokens are checked with.
//!
//! **Invariant:** it alone holds the signing key. **Invariant:** its answers tell in neither text nor time whether a user
//! exists, but for a registration under an address that is taken.

mod jwks;
mod login;
mod me;
mod register;

use std::sync::Arc;

use anyhow::Context as _;
use app::{App, Shutdown};
use axum::extract::FromRef;
use tokio::net::TcpListener;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    AuthConfig,
    auth::{
        caller::{AccessTokens, Authenticates, Caller},
        jwks::Jwks,
        passwords::{HashCost, Passwords},
        tokens::{Signer, Verifier},
    },
    door::Door,
    health::{self, Health},
    http::{
        problem::Problem,
        serve::serve,
        server::{assemble, complete},
    },
    state::realm,
};

/// State of every handler of the auth service.
type AuthState = Arc<AuthService>;

/// The auth service's parts.
pub(crate) struct AuthService {
    app: App,
    signer: Signer,
    /// The document of the keys.
    jwks: Jwks,
    passwords: Passwords,
    door: Door,
}

impl AuthService {
    fn new(app: App, config: &AuthConfig) -> anyhow::Result<Self> {
        let pem = config.signing_key(app.config.environment)?;
        let signer = Signer::from_pem(&pem, realm()).context("AUTH_SIGNING_KEY")?;
        let keys = [signer.public_key()];
        let access_tokens = AccessTokens::Local(Arc::new(Verifier::new(&keys, &realm())));
        Ok(Self {
            door: Door::new(access_tokens, app.billing.store.clone(), app.clock),
            app,
            signer,
            jwks: Jwks::of(&keys),
            passwords: Passwords::new(HashCost::STANDARD)?,
        })
    }
}

impl Authenticates for AuthService {
    async fn authenticate(&self, token: &str) -> Result<Caller, Problem> {
        self.door.caller(token).await
    }
}

impl FromRef<AuthState> for Health {
    fn from_ref(service: &AuthState) -> Self {
        Self { app: service.app.clone(), keys: None }
    }
}

/// Serves the auth service until shutdown.
///
/// # Errors
/// When the signing key is missing or no key.
pub async fn run(listener: TcpListener, app: App, config: AuthConfig, shutdown: Shutdown) -> anyhow::Result<()> {
    let service = Arc::new(AuthService::new(app, &config)?);
    tracing::info!(address = config.auth_listen, "the auth service is served");
    let (router, _) = health::routes().merge(routes()).with_state(service).split_for_parts();
    serve(listener, assemble(complete(router)), shutdown).await;
    Ok(())
}

/// The routes that the gateway forwards.
pub(crate) fn routes() -> OpenApiRouter<AuthState> {
    OpenApiRouter::new()
        .routes(routes!(register::register))
        .routes(routes!(login::login))
        .routes(routes!(me::get_me))
        .routes(routes!(jwks::get_jwks))
}
