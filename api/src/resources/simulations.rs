//! `/v1/simulations`: a story in JSON, told by the billing core on a simulated clock. Reads and writes nothing.

use axum::Json;
use domain::SpecError;
use serde::Serialize;
use serde_json::Value;
use simulation::{Output, Scenario, simulate};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::CreateSimulation,
    http::{json::StrictJson, openapi::WriteProblems, problem::Problem},
    problems::{pointer, rule_of_spec},
    read::Reader,
    state::GatewayState,
};

/// What a scenario results in: `invoices`, `credit_notes`, `subscriptions` and the `customer`'s credit.
#[derive(Debug, Serialize, ToSchema)]
struct Simulation {
    /// Always `simulation`.
    #[schema(value_type = String, example = "simulation")]
    object: &'static str,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    output: Output,
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(create_simulation))
}

/// Simulates a scenario: `customer`, `meters`, `coupons`, `plans`, `timeline` and `until`, as `ratchet simulate` reads it.
/// Nothing is stored.
#[utoipa::path(post, path = "/v1/simulations", tag = "catalogue", request_body = Object,
    responses((status = 200, body = Simulation), WriteProblems))]
async fn create_simulation(_: Reader<CreateSimulation>, body: StrictJson<Value>) -> Result<Json<Simulation>, Problem> {
    let text = body.value.to_string();
    // A long story takes a while; other requests go on meanwhile.
    let told = tokio::task::spawn_blocking(move || tell(&text)).await;
    let output = told.map_err(|_| Problem::internal())??;
    Ok(Json(Simulation { object: "simulation", output }))
}

/// Tells a scenario's story: 400 for what is no scenario, 422 for what cannot happen in it.
fn tell(text: &str) -> Result<Output, Problem> {
    let scenario = Scenario::parse(text.as_bytes()).map_err(|error| {
        let (detail, pointer) = (error.to_string(), pointer(&error.path));
        Problem::malformed("invalid_body", detail).at(pointer, "invalid_value", error.rule)
    })?;
    simulate(&scenario).map_err(|error| rule_of_spec("", &SpecError::new(error.path, error.rule)))
}
