//! The auth service: registers organisations and their customers, signs users in, and publishes the keys that its tokens are
//! checked with.
//!
//! **Invariant:** it alone holds the signing key. **Invariant:** its answers tell in neither text nor time whether a user
//! exists; its mails do, to whoever reads them.

mod client;
mod jwks;
mod me;
mod register;
mod session;
mod throttle;
mod verification;

use std::{sync::Arc, time::Duration};

use app::{App, Shutdown};
use axum::extract::FromRef;
use billing::{BillingError, Change, MailedToken, Request};
use jiff::SignedDuration;
use store::StoreError;
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
        request_id::RequestId,
        serve::serve,
        server::{assemble, complete},
    },
    mailed_token::mailed_token,
    state::realm,
};

/// How often a write is decided again after a concurrent change came first.
const TRIES: u32 = 8;

/// Pause before the second try; the others wait longer, in proportion.
const PAUSE: Duration = Duration::from_millis(10);

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
        let (signer, others) = config.keys(app.config.environment, &realm())?;
        let keys: Vec<_> = std::iter::once(signer.public_key()).chain(others).collect();
        let access_tokens = AccessTokens::Local(Arc::new(Verifier::new(&keys, &realm())));
        // What is asked for here is rare and about the session itself: nothing is believed from before.
        let door = Door::new(access_tokens, (app.billing.store.clone(), app.clock), SignedDuration::ZERO);
        let passwords = Passwords::new(HashCost::STANDARD)?;
        Ok(Self { app, signer, jwks: Jwks::of(&keys), passwords, door })
    }

    /// This request, as the use cases take it.
    fn request(&self, id: &RequestId) -> Request {
        Request { wall: self.app.clock.now(), request_id: Some(id.to_string()) }
    }

    fn mailed_token(&self, page: &str) -> Result<MailedToken, Problem> {
        mailed_token(&self.app, page)
    }

    /// Decides and commits, again while a concurrent change comes first.
    async fn commit<T, F>(&self, mut decide: impl FnMut() -> F) -> Result<T, BillingError>
    where
        F: Future<Output = Result<Change<T>, BillingError>>,
    {
        let mut tries = 1;
        loop {
            match self.app.billing.commit(decide().await?).await {
                // A name that was taken meanwhile is the use case's to see.
                Err(BillingError::Store(StoreError::Conflict(_) | StoreError::Duplicate(_))) if tries < TRIES => {
                    tokio::time::sleep(PAUSE * tries).await;
                    tries += 1;
                }
                outcome => return outcome,
            }
        }
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
        .routes(routes!(register::register_customer))
        .routes(routes!(verification::verify_email))
        .routes(routes!(verification::resend_verification))
        .routes(routes!(verification::forgot_password))
        .routes(routes!(verification::reset_password))
        .routes(routes!(session::login))
        .routes(routes!(session::refresh))
        .routes(routes!(session::logout))
        .routes(routes!(me::get_me))
        .routes(routes!(jwks::get_jwks))
}
