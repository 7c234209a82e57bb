//! `/v1/schedules`: what ticks by itself, for all tenants together.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{BillingError, Change, ScheduleAct, steer_schedule};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::NoFields;
use crate::{
    access::{Action, ListSchedules, PauseSchedule, ResumeSchedule, RunSchedule},
    http::{
        headers::ETag,
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::List,
        problem::Problem,
    },
    read::Reader,
    shown::Schedule,
    state::GatewayState,
    write::{Ground, Write, Writer},
};

const URL: &str = "/v1/schedules";

struct Steering {
    name: String,
    act: ScheduleAct,
}

impl Write for Steering {
    type Made = store::Schedule;
    type Shown = Schedule;
    const STATUS: StatusCode = StatusCode::OK;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        steer_schedule(&ground.store, &ground.actor, &ground.time, (&self.name, self.act)).await
    }

    fn etag(_: &Self::Made) -> Option<ETag> {
        None
    }

    fn show(made: Self::Made, _livemode: bool) -> Schedule {
        made.into()
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(list_schedules))
        .routes(routes!(run_schedule))
        .routes(routes!(pause_schedule))
        .routes(routes!(resume_schedule))
}

/// Lists the schedules by name, with their last, next and missed ticks.
#[utoipa::path(get, path = "/v1/schedules", tag = "operations",
    responses((status = 200, body = List<Schedule>), ReadProblems))]
async fn list_schedules(
    State(gateway): State<GatewayState>,
    _: Reader<ListSchedules>,
) -> Result<Json<List<Schedule>>, Problem> {
    let schedules = gateway.app.billing.store.schedules().await?;
    Ok(Json(List::new(URL, false, schedules.into_iter().map(Schedule::from).collect())))
}

async fn steer<A: Action>(
    gateway: &GatewayState,
    writer: Writer<A>,
    (name, body): (String, StrictJson<NoFields>),
    act: ScheduleAct,
) -> Result<Response, Problem> {
    writer.run(gateway, (body.body_hash, Steering { name, act })).await
}

/// Has a schedule tick now, beside its own ticks, also while it is paused.
#[utoipa::path(post, path = "/v1/schedules/{name}/run", tag = "operations", params(("name" = String, Path)),
    request_body = NoFields, responses((status = 200, body = Schedule), WriteProblems))]
async fn run_schedule(
    State(gateway): State<GatewayState>,
    writer: Writer<RunSchedule>,
    Path(name): Path<String>,
    body: StrictJson<NoFields>,
) -> Result<Response, Problem> {
    steer(&gateway, writer, (name, body), ScheduleAct::Run).await
}

/// Pauses a schedule: no tick is made, and those that fall into the pause are never made up for.
#[utoipa::path(post, path = "/v1/schedules/{name}/pause", tag = "operations", params(("name" = String, Path)),
    request_body = NoFields, responses((status = 200, body = Schedule), WriteProblems))]
async fn pause_schedule(
    State(gateway): State<GatewayState>,
    writer: Writer<PauseSchedule>,
    Path(name): Path<String>,
    body: StrictJson<NoFields>,
) -> Result<Response, Problem> {
    steer(&gateway, writer, (name, body), ScheduleAct::Pause).await
}

/// Resumes a paused schedule with its next tick.
#[utoipa::path(post, path = "/v1/schedules/{name}/resume", tag = "operations", params(("name" = String, Path)),
    request_body = NoFields, responses((status = 200, body = Schedule), WriteProblems))]
async fn resume_schedule(
    State(gateway): State<GatewayState>,
    writer: Writer<ResumeSchedule>,
    Path(name): Path<String>,
    body: StrictJson<NoFields>,
) -> Result<Response, Problem> {
    steer(&gateway, writer, (name, body), ScheduleAct::Resume).await
}
