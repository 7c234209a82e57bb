//! Rate limits of the gateway: how many requests whom, counted before anything else is done for a request.
//!
//! A request with accepted credentials counts on its tenant and on its caller, any other on its address: also one whose
//! credentials are refused, and one to a route that there is not. **Invariant:** only the probes of the orchestrator
//! ([`PROBES`]) are not counted.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use clap::Args;
use rate_limit::{Limit, Quota, RateLimiter, Standing};

use crate::{
    auth::caller::{Caller, Identified},
    http::{
        client_address::{ClientAddress, FORWARDED_FOR, Network},
        headers::{RATE_LIMIT, RATE_LIMIT_POLICY},
        problem::Problem,
    },
    state::{Gateway, GatewayState},
};

/// Asked every few seconds by whoever runs the service, always from the same address.
const PROBES: [&str; 2] = ["/livez", "/readyz"];

/// Quotas, and whose word is taken for an address.
#[derive(Clone, Debug, Args)]
pub struct LimitConfig {
    /// Requests of a tenant, all its users and API keys together: REQUESTS/SECONDS.
    #[arg(long, env = "RATE_LIMIT_TENANT", default_value = "24000/60")]
    pub rate_limit_tenant: Quota,
    /// Requests of one user or API key.
    #[arg(long, env = "RATE_LIMIT_CALLER", default_value = "12000/60")]
    pub rate_limit_caller: Quota,
    /// Requests from one address without accepted credentials: signing in, signing up, guessing.
    #[arg(long, env = "RATE_LIMIT_ADDRESS", default_value = "1200/60")]
    pub rate_limit_address: Quota,
    /// Proxies whose X-Forwarded-For is believed: addresses or networks, such as 10.0.0.0/8.
    #[arg(long, env = "TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<Network>,
}

/// Counts the requests of a gateway.
pub(crate) struct Limits {
    config: LimitConfig,
    limiter: RateLimiter,
}

impl Limits {
    pub(crate) fn new(config: LimitConfig, limiter: RateLimiter) -> Self {
        Self { config, limiter }
    }

    async fn of_caller(&self, caller: &Caller) -> Standing {
        let limit = |who: &str, quota| Limit { who: who.to_owned(), quota };
        let limits = [limit("tenant", self.config.rate_limit_tenant), limit(&caller.id, self.config.rate_limit_caller)];
        self.limiter.take(&caller.tenant, &limits).await
    }

    async fn of_address(&self, address: ClientAddress) -> Standing {
        let limit = Limit { who: "address".to_owned(), quota: self.config.rate_limit_address };
        self.limiter.take(&address.to_string(), &[limit]).await
    }
}

/// Middleware: finds out who calls, counts the request, and refuses it beyond the quota. The caller and the client's address
/// go along with the request.
pub(crate) async fn limit(State(gateway): State<GatewayState>, mut request: Request, next: Next) -> Response {
    if PROBES.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let standing = match identify(&gateway, &mut request).await {
        Ok(standing) => standing,
        Err(problem) => return problem.into_response(),
    };
    let mut response = if standing.passed {
        next.run(request).await
    } else {
        Problem::too_many_requests(standing.resets_in).into_response()
    };
    announce(&standing, &mut response);
    response
}

async fn identify(gateway: &Gateway, request: &mut Request) -> Result<Standing, Problem> {
    let Limits { config, .. } = &gateway.limits;
    let address = ClientAddress::of(request.extensions(), request.headers(), &config.trusted_proxies);
    let address = address.ok_or_else(Problem::internal)?;
    // Whoever the request is forwarded to learns the address from us alone.
    request.headers_mut().remove(FORWARDED_FOR);
    if let Ok(value) = HeaderValue::from_str(&address.0.to_string()) {
        request.headers_mut().insert(FORWARDED_FOR, value);
    }
    if !request.headers().contains_key(header::AUTHORIZATION) {
        return Ok(gateway.limits.of_address(address).await);
    }
    let identified = Caller::of_request(request.extensions(), request.headers(), gateway).await;
    let standing = match &identified {
        Ok(caller) => gateway.limits.of_caller(caller).await,
        Err(_) => gateway.limits.of_address(address).await,
    };
    request.extensions_mut().insert(Identified(identified));
    Ok(standing)
}

fn announce(standing: &Standing, response: &mut Response) {
    let Standing { quota, remaining, resets_in, .. } = standing;
    let policy = format!("\"default\";q={};w={}", quota.requests, quota.window.as_secs());
    let left = format!("\"default\";r={remaining};t={}", whole_seconds(*resets_in));
    for (name, value) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, left)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
}

/// Rounded up: whoever comes back early is refused again.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
