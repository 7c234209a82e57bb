//! `/v1/jobs`: one job as it is now. Read only: jobs are made by what they serve.

use axum::{
    Json,
    extract::{Path, State},
};
use billing::{BillingError, jobs::queues};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::GetJob,
    http::{openapi::ReadProblems, problem::Problem},
    read::{self, Reader},
    shown::{JOB_PREFIX, Job},
    state::GatewayState,
};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(get_job))
}

/// Gets a job that is not finished: waiting, running or dead. A finished job leaves nothing behind.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "operations", params(("id" = String, Path)),
    responses((status = 200, body = Job), ReadProblems))]
async fn get_job(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetJob>,
    Path(id): Path<String>,
) -> Result<Json<Job>, Problem> {
    let missing = || Problem::absent("no such job; one that is finished leaves nothing behind");
    let id = id.strip_prefix(JOB_PREFIX).ok_or_else(missing)?;
    let queue = &gateway.app.billing.queue;
    for name in queues::partitions(queue, None) {
        let found = queue.job(&name, id).await.map_err(BillingError::from)?;
        let Some(record) = found else { continue };
        if record.tenant.as_ref() != Some(&caller.tenant) {
            break;
        }
        let livemode = read::livemode(&gateway, &caller.tenant).await?;
        return Ok(Json(Job::of_tenant(record, livemode)));
    }
    Err(missing())
}
