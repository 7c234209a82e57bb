//! `/v1/billing_runs`: billing everything that is due up to a moment, as one object that can be watched.

mod items;
mod steering;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{BillingError, Change, NewBillingRun, create_billing_run as decide_creation};
use jiff::Timestamp;
use serde::Deserialize;
use store::ListFilter;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::{Allowed, CreateBillingRun, GetBillingRun, ListBillingRuns},
    http::{
        headers::ETag,
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::{ListQuery, NoFilter},
    },
    read::{self, Reader},
    resources::fields::Instant,
    shown::{BillingRun, Watched},
    state::{Gateway, GatewayState},
    write::{Ground, Write, Writer},
};

const URL: &str = "/v1/billing_runs";

/// A run to start.
#[derive(Debug, Deserialize, ToSchema)]
struct BillingRunRequest {
    /// Everything due up to and including this moment is billed; now (on the tenant's clock) if left out.
    #[serde(default)]
    #[schema(value_type = Option<Timestamp>)]
    as_of: Option<Instant>,
}

struct Creation {
    id: String,
    as_of: Option<Timestamp>,
}

impl Write for Creation {
    type Made = store::BillingRun;
    type Shown = BillingRun;
    const STATUS: StatusCode = StatusCode::ACCEPTED;
    const ON_CLOCK: bool = true;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_creation(&ground.actor, &ground.time, NewBillingRun { id: self.id.clone(), as_of: self.as_of })
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> BillingRun {
        let wall = made.created;
        Watched { run: &made, chunks: &[], wall }.show(livemode)
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(create_billing_run, list_billing_runs))
        .routes(routes!(get_billing_run))
        .merge(steering::routes())
        .merge(items::routes())
}

/// Starts a billing run; the workers carry it out.
#[utoipa::path(post, path = "/v1/billing_runs", tag = "billing_runs", request_body = BillingRunRequest,
    responses((status = 202, body = BillingRun), WriteProblems))]
async fn create_billing_run(
    State(gateway): State<GatewayState>,
    writer: Writer<CreateBillingRun>,
    body: StrictJson<BillingRunRequest>,
) -> Result<Response, Problem> {
    let as_of = body.value.as_of.map(|at| at.0);
    let creation = Creation { id: gateway.app.ids.new_id("run"), as_of };
    writer.run(&gateway, (body.body_hash, creation)).await
}

/// Lists billing runs, newest first.
#[utoipa::path(get, path = "/v1/billing_runs", tag = "billing_runs", params(PageParams),
    responses((status = 200, body = List<BillingRun>), ReadProblems))]
async fn list_billing_runs(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListBillingRuns>,
    query: ListQuery<NoFilter>,
) -> Result<Json<List<BillingRun>>, Problem> {
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let page = read::page(&gateway, &caller, &query.page, ListFilter::default()).await?;
    let mut rows = Vec::with_capacity(page.data.len());
    for run in page.data {
        rows.push(watch(&gateway, run, livemode).await?);
    }
    Ok(Json(List::new(URL, page.has_more, rows)))
}

/// Gets a billing run, with its progress.
#[utoipa::path(get, path = "/v1/billing_runs/{id}", tag = "billing_runs", params(("id" = String, Path)),
    responses((status = 200, body = BillingRun), ReadProblems))]
async fn get_billing_run(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetBillingRun>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<BillingRun>), Problem> {
    let run: store::BillingRun = read::find(&gateway, &caller, ("billing_run", &id)).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let etag = ETag::of_revision(run.revision);
    Ok((etag, Json(watch(&gateway, run, livemode).await?)))
}

async fn watch(gateway: &Gateway, run: store::BillingRun, livemode: bool) -> Result<BillingRun, Problem> {
    let chunks = gateway.app.billing.store.chunks_of_run(&run.tenant, &run.id).await?;
    Ok(Watched { run: &run, chunks: &chunks, wall: gateway.app.clock.now() }.show(livemode))
}
