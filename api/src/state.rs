//! What the gateway's handlers work with.

use std::{sync::Arc, time::Duration};

use app::App;
use cache::Cache;
use rate_limit::RateLimiter;
use reqwest::redirect::Policy;

use crate::{
    ApiConfig,
    auth::{
        caller::{AccessTokens, Authenticates, Caller},
        jwks_client::{JwksClient, Pace},
        tokens::Realm,
    },
    cached::LIVES,
    door::Door,
    http::problem::Problem,
    limits::Limits,
    turns::Turns,
};

/// The auth service is next door: longer than this it is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest time for a forwarded request; below the limit of the client's own request, above a log-in that waits for its
/// turn to hash.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(15);

/// State of every handler of the gateway.
pub(crate) type GatewayState = Arc<Gateway>;

/// The gateway's parts.
pub(crate) struct Gateway {
    /// Use cases, clock and ids.
    pub app: App,
    /// The auth service's keys.
    pub keys: JwksClient,
    /// Where the auth service is, without a slash at the end.
    pub auth_url: String,
    /// Speaks to the auth service.
    pub http: reqwest::Client,
    /// Keeps writers of one tenant apart once they collided.
    pub turns: Turns,
    /// Counts requests.
    pub limits: Limits,
    /// Objects that many requests read.
    pub cache: Cache,
    /// Who calls.
    pub door: Door,
}

impl Gateway {
    /// A gateway in front of the auth service that the configuration names.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub(crate) fn new(app: App, config: &ApiConfig) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(FORWARD_TIMEOUT)
            // What the auth service answers is the client's to follow.
            .redirect(Policy::none())
            .build()?;
        let auth_url = config.auth_url.trim_end_matches('/').to_owned();
        let keys = JwksClient::new(http.clone(), &auth_url, realm(), Pace::STEADY);
        let door = Door::new(
            AccessTokens::Remote(keys.clone()),
            (app.billing.store.clone(), app.clock),
            config.standing_life(),
        );
        let cache = Cache::beside(&app.billing.queue, LIVES);
        let limits = Limits::new(config.limits.clone(), RateLimiter::beside(&app.billing.queue));
        Ok(Self { app, keys, auth_url, http, turns: Turns::new(), limits, cache, door })
    }
}

impl Authenticates for Gateway {
    async fn authenticate(&self, token: &str) -> Result<Caller, Problem> {
        self.door.caller(token).await
    }
}

/// Who issues the tokens of this deployment, and for whom.
pub(crate) fn realm() -> Realm {
    Realm { issuer: "ratchet-auth".to_owned(), audience: "ratchet-api".to_owned() }
}
