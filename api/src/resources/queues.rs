//! `/v1/queues`: how much work waits. Counts alone, of all tenants together; no job is shown.

use axum::{Json, extract::State};
use billing::{BillingError, jobs::queues};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    http::{openapi::ReadProblems, page::List, problem::Problem},
    read::Reader,
    state::GatewayState,
};

const URL: &str = "/v1/queues";

/// A queue and how many jobs it holds.
#[derive(Debug, Serialize, ToSchema)]
struct Queue {
    #[schema(example = "invoices")]
    name: &'static str,
    /// Always `queue`.
    #[schema(value_type = String, example = "queue")]
    object: &'static str,
    /// Due and waiting for a worker.
    ready: u64,
    /// Waiting for their time: delayed, or between attempts.
    scheduled: u64,
    /// Held by a worker.
    running: u64,
    /// Dead letters.
    dead: u64,
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(list_queues))
}

/// Lists the queues, in the order in which work flows through them.
#[utoipa::path(get, path = "/v1/queues", tag = "operations",
    responses((status = 200, body = List<Queue>), ReadProblems))]
async fn list_queues(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader,
) -> Result<Json<List<Queue>>, Problem> {
    caller.require("operations:read")?;
    let mut rows = Vec::with_capacity(queues::ALL.len());
    for name in queues::ALL {
        let depth = gateway.app.billing.queue.depth(name).await.map_err(BillingError::from)?;
        let queue::Depth { ready, scheduled, running, dead, .. } = depth;
        rows.push(Queue { name, object: "queue", ready, scheduled, running, dead });
    }
    let has_more = false;
    Ok(Json(List::new(URL, has_more, rows)))
}
