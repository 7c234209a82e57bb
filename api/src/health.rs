//! `/livez` and `/readyz` of both services.

use app::App;
use axum::extract::{FromRef, State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::jwks_client::JwksClient,
    http::{openapi::PublicProblems, problem::Problem},
    state::GatewayState,
};

/// What a service needs in order to serve.
#[derive(Clone)]
pub(crate) struct Health {
    /// Database and queue.
    pub app: App,
    /// The keys that tokens are checked with, for a service that fetches them.
    pub keys: Option<JwksClient>,
}

impl FromRef<GatewayState> for Health {
    fn from_ref(gateway: &GatewayState) -> Self {
        Self { app: gateway.app.clone(), keys: Some(gateway.keys.clone()) }
    }
}

/// The two routes, for any service that knows its health.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> OpenApiRouter<S>
where
    Health: FromRef<S>,
{
    OpenApiRouter::new().routes(routes!(livez)).routes(routes!(readyz))
}

/// Says that the process runs.
#[utoipa::path(get, path = "/livez", tag = "operations", security(()),
    responses((status = 200, body = String, description = "It runs"), PublicProblems))]
async fn livez() -> &'static str {
    "ok"
}

/// Says whether requests can be served: database, queue and the keys of the auth service are there.
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()),
    responses((status = 200, body = String, description = "It is ready"), PublicProblems))]
async fn readyz(State(health): State<Health>) -> Result<&'static str, Problem> {
    let away = |part: &str| Problem::unavailable("not_ready", format!("the {part} does not answer"));
    health.app.check().await.map_err(away)?;
    match health.keys {
        Some(keys) if !keys.is_ready().await => Err(away("auth service")),
        _ => Ok("ok"),
    }
}
