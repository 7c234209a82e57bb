//! `/v1/plans`: what is charged.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{BillingError, Change, create_plan as decide_creation};
use domain::{Plan as ValidPlan, PlanSpec};
use jiff::Timestamp;
use serde::Serialize;
use store::{ListFilter, PlanVersion};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::plan_body::PlanBody;
use crate::{
    access::{Allowed, CreatePlan, GetPlan, ListPlans},
    http::{
        headers::ETag,
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::{ListQuery, NoFilter},
    },
    problems::rule_of_spec,
    read::{self, Reader},
    state::GatewayState,
    write::{Ground, Write, Writer},
};

const URL: &str = "/v1/plans";

/// A plan, in its newest version.
#[derive(Debug, Serialize, ToSchema)]
struct Plan {
    #[schema(example = "pln_0198f3")]
    id: String,
    /// Always `plan`.
    #[schema(value_type = String, example = "plan")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    /// 1 for the first; a version never changes.
    #[schema(example = 1)]
    version: i32,
    #[serde(flatten)]
    #[schema(value_type = PlanBody)]
    spec: PlanSpec,
}

impl Plan {
    fn of(record: PlanVersion, livemode: bool) -> Self {
        let PlanVersion { id, created, version, plan, .. } = record;
        Self { id, object: "plan", created, livemode, version, spec: plan.into() }
    }
}

struct Creation {
    id: String,
    plan: ValidPlan,
}

impl Write for Creation {
    type Made = PlanVersion;
    type Shown = Plan;
    const STATUS: StatusCode = StatusCode::CREATED;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_creation(&ground.store, &ground.actor, &ground.time, (self.id.clone(), self.plan.clone())).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> Plan {
        Plan::of(made, livemode)
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(create_plan, list_plans)).routes(routes!(get_plan))
}

/// Creates a plan, version 1; its key is unique in the tenant.
#[utoipa::path(post, path = "/v1/plans", tag = "catalogue", request_body = PlanBody,
    responses((status = 201, body = Plan), WriteProblems))]
async fn create_plan(
    State(gateway): State<GatewayState>,
    writer: Writer<CreatePlan>,
    body: StrictJson<PlanSpec>,
) -> Result<Response, Problem> {
    let plan = ValidPlan::try_from(body.value).map_err(|error| rule_of_spec("", &error))?;
    let creation = Creation { id: gateway.app.ids.new_id("pln"), plan };
    writer.run(&gateway, (body.body_hash, creation)).await
}

/// Lists plans, newest first.
#[utoipa::path(get, path = "/v1/plans", tag = "catalogue", params(PageParams),
    responses((status = 200, body = List<Plan>), ReadProblems))]
async fn list_plans(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListPlans>,
    query: ListQuery<NoFilter>,
) -> Result<Json<List<Plan>>, Problem> {
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let page = read::page(&gateway, &caller, &query.page, ListFilter::default()).await?;
    let rows = page.data.into_iter().map(|plan| Plan::of(plan, livemode)).collect();
    Ok(Json(List::new(URL, page.has_more, rows)))
}

/// Gets a plan.
#[utoipa::path(get, path = "/v1/plans/{id}", tag = "catalogue", params(("id" = String, Path)),
    responses((status = 200, body = Plan), ReadProblems))]
async fn get_plan(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetPlan>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<Plan>), Problem> {
    let plan: PlanVersion = read::find(&gateway, &caller, ("plan", &id)).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    Ok((ETag::of_revision(plan.revision), Json(Plan::of(plan, livemode))))
}
