//! `/v1/plans`: what is charged.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{
    BillingError, Change, NewPlan, PlanPatch, PlanSpecPatch, Target, create_plan as decide_creation,
    deprecate_plan as decide_deprecation, update_plan as decide_update,
};
use domain::{Plan as ValidPlan, PlanSpec};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{ListFilter, PlanRecord, PlanVersion, plan_version_id};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    described::{Described, Fields},
    fields::{Metadata, NoFields},
    plan_body::{PlanBody, PlanRequest, PlanUpdate},
    tax_rates::resolve_in_prices,
};
use crate::{
    access::{Allowed, CreatePlan, DeprecatePlan, GetPlan, ListPlans, UpdatePlan},
    http::{
        headers::ETag,
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::{ListQuery, NoFilter, StrictQuery},
    },
    problems::rule_of_spec,
    read::{self, Resource},
    state::GatewayState,
    write::{Aim, Ground, Write, Writer},
};

/// A plan, in one of its versions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Plan {
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
    /// Since when nobody may subscribe to it any more; null while they may.
    deprecated_at: Option<Timestamp>,
    metadata: Metadata,
}

/// Which version of a plan is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PlanQuery {
    /// The newest if left out.
    #[param(minimum = 1)]
    version: Option<i32>,
}

impl Plan {
    fn of(record: PlanRecord, livemode: bool) -> Self {
        let PlanRecord { id, created, version, plan, metadata, deprecated_at, .. } = record;
        Self { id, object: "plan", created, livemode, version, spec: plan.into(), deprecated_at, metadata }
    }
}

struct Creation {
    new: NewPlan,
}

impl Write for Creation {
    type Made = PlanRecord;
    type Shown = Plan;
    const STATUS: StatusCode = StatusCode::CREATED;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_creation(&ground.store, &ground.actor, &ground.time, self.new.clone()).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> Plan {
        Plan::of(made, livemode)
    }
}

/// What is done with a plan that there is.
enum Act {
    Update(Target, PlanPatch),
    Deprecate(String),
}

impl Write for Act {
    type Made = PlanRecord;
    type Shown = Plan;
    const STATUS: StatusCode = StatusCode::OK;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        let Ground { store, actor, time } = ground;
        match self {
            Self::Update(target, patch) => decide_update(store, actor, time, (target, patch.clone())).await,
            Self::Deprecate(id) => decide_deprecation(store, actor, time, id).await,
        }
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> Plan {
        Plan::of(made, livemode)
    }
}

impl Resource for PlanRecord {
    type Shown = Plan;
    const OBJECT: &'static str = "plan";
    const URL: &'static str = "/v1/plans";

    fn show(self, livemode: bool) -> Result<Plan, Problem> {
        Ok(Plan::of(self, livemode))
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(create_plan, list_plans))
        .routes(routes!(get_plan, update_plan))
        .routes(routes!(deprecate_plan))
}

/// Creates a plan, version 1; its key is unique in the tenant.
#[utoipa::path(post, path = "/v1/plans", tag = "catalogue", request_body = PlanRequest,
    responses((status = 201, body = Plan), WriteProblems))]
async fn create_plan(
    State(gateway): State<GatewayState>,
    writer: Writer<CreatePlan>,
    mut body: StrictJson<Fields>,
) -> Result<Response, Problem> {
    resolve_in_prices(&gateway, writer.tenant(), &mut body.value).await?;
    let Described { spec, metadata } = Described::<PlanSpec>::parse(body.value)?;
    let plan = ValidPlan::try_from(spec).map_err(|error| rule_of_spec("", &error))?;
    let new = NewPlan { id: gateway.app.ids.new_id("pln"), plan, metadata };
    writer.run(&gateway, (body.body_hash, Creation { new })).await
}

/// Lists plans in their newest versions, newest first.
#[utoipa::path(get, path = "/v1/plans", tag = "catalogue", params(PageParams),
    responses((status = 200, body = List<Plan>), ReadProblems))]
async fn list_plans(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListPlans>,
    query: ListQuery<NoFilter>,
) -> Result<Json<List<Plan>>, Problem> {
    read::list::<PlanRecord>(&gateway, &caller, (&query.page, ListFilter::default())).await
}

/// Gets a plan, in its newest version or another.
#[utoipa::path(get, path = "/v1/plans/{id}", tag = "catalogue", params(("id" = String, Path), PlanQuery),
    responses((status = 200, body = Plan), ReadProblems))]
async fn get_plan(
    State(gateway): State<GatewayState>,
    caller: Allowed<GetPlan>,
    Path(id): Path<String>,
    StrictQuery(query): StrictQuery<PlanQuery>,
) -> Result<(ETag, Json<Plan>), Problem> {
    let mut record: PlanRecord = read::find_cached(&gateway, &caller, ("plan", &id)).await?;
    if let Some(version) = query.version.filter(|version| *version != record.version) {
        let id = plan_version_id(&record.id, version);
        let PlanVersion { plan, .. } = read::find_cached(&gateway, &caller, ("version of the plan", &id)).await?;
        record = PlanRecord { version, plan, ..record };
    }
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    Ok((ETag::of_revision(record.revision), Json(Plan::of(record, livemode))))
}

/// Makes a new version of a plan. Subscriptions stay on the version they have until they are changed themselves.
#[utoipa::path(patch, path = "/v1/plans/{id}", tag = "catalogue", params(("id" = String, Path)),
    request_body = PlanUpdate, responses((status = 200, body = Plan), WriteProblems))]
async fn update_plan(
    State(gateway): State<GatewayState>,
    writer: Writer<UpdatePlan>,
    Aim(target): Aim,
    mut body: StrictJson<Fields>,
) -> Result<Response, Problem> {
    resolve_in_prices(&gateway, writer.tenant(), &mut body.value).await?;
    let Described { spec, metadata } = Described::<PlanSpecPatch, _>::parse_patch(body.value)?;
    writer.run(&gateway, (body.body_hash, Act::Update(target, PlanPatch { spec, metadata }))).await
}

/// Takes a plan off sale: nobody subscribes to it any more, and those who have it go on.
#[utoipa::path(post, path = "/v1/plans/{id}/deprecate", tag = "catalogue", params(("id" = String, Path)),
    request_body = NoFields, responses((status = 200, body = Plan), WriteProblems))]
async fn deprecate_plan(
    State(gateway): State<GatewayState>,
    writer: Writer<DeprecatePlan>,
    Path(id): Path<String>,
    body: StrictJson<NoFields>,
) -> Result<Response, Problem> {
    writer.run(&gateway, (body.body_hash, Act::Deprecate(id))).await
}
