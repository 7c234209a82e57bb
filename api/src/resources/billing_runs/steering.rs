//! What can be done about a billing run under way: pause, resume, cancel, retry what failed.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{BillingError, Change, Steering, steer_billing_run};
use jiff::Timestamp;
use store::ChunkSummary;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::{Action, CancelBillingRun, PauseBillingRun, ResumeBillingRun, RetryFailedOfBillingRun},
    http::{
        headers::ETag,
        json::{BodyHash, StrictJson},
        openapi::WriteProblems,
        problem::Problem,
    },
    resources::fields::NoFields,
    shown::{BillingRun, Watched},
    state::GatewayState,
    write::{Ground, Write, Writer},
};

struct Steered {
    id: String,
    steering: Steering,
}

/// The run as it is then, with its parts.
struct Made {
    run: store::BillingRun,
    chunks: Vec<ChunkSummary>,
    wall: Timestamp,
}

impl Write for Steered {
    type Made = Made;
    type Shown = BillingRun;
    const STATUS: StatusCode = StatusCode::OK;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        let Ground { store, actor, time } = ground;
        let Change { result: run, unit, follow_up } =
            steer_billing_run(store, actor, time, (&self.id, self.steering)).await?;
        let chunks = store.chunks_of_run(&run.tenant, &run.id).await?;
        Ok(Change { result: Made { run, chunks, wall: time.wall }, unit, follow_up })
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.run.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> BillingRun {
        Watched { run: &made.run, chunks: &made.chunks, wall: made.wall }.show(livemode)
    }
}

/// The routes of the actions.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(pause_billing_run))
        .routes(routes!(resume_billing_run))
        .routes(routes!(cancel_billing_run))
        .routes(routes!(retry_failed_of_billing_run))
}

async fn steer<A: Action>(
    gateway: &GatewayState,
    writer: Writer<A>,
    (id, body_hash): (String, BodyHash),
    steering: Steering,
) -> Result<Response, Problem> {
    writer.run(gateway, (body_hash, Steered { id, steering })).await
}

/// Pauses a billing run: every stage holds still, at the latest after the part of some hundred customers under way.
#[utoipa::path(post, path = "/v1/billing_runs/{id}/pause", tag = "billing_runs", request_body = NoFields,
    params(("id" = String, Path)), responses((status = 200, body = BillingRun), WriteProblems))]
async fn pause_billing_run(
    State(gateway): State<GatewayState>,
    writer: Writer<PauseBillingRun>,
    Path(id): Path<String>,
    body: StrictJson<NoFields>,
) -> Result<Response, Problem> {
    steer(&gateway, writer, (id, body.body_hash), Steering::Pause).await
}

/// Resumes a paused billing run; it goes on from where it was.
#[utoipa::path(post, path = "/v1/billing_runs/{id}/resume", tag = "billing_runs", request_body = NoFields,
    params(("id" = String, Path)), responses((status = 200, body = BillingRun), WriteProblems))]
async fn resume_billing_run(
    State(gateway): State<GatewayState>,
    writer: Writer<ResumeBillingRun>,
    Path(id): Path<String>,
    body: StrictJson<NoFields>,
) -> Result<Response, Problem> {
    steer(&gateway, writer, (id, body.body_hash), Steering::Resume).await
}

/// Cancels a billing run for good: nothing more is invoiced; what was is valid, and is collected and mailed outside the run.
/// What it did not bill stays due for the next run.
#[utoipa::path(post, path = "/v1/billing_runs/{id}/cancel", tag = "billing_runs", request_body = NoFields,
    params(("id" = String, Path)), responses((status = 200, body = BillingRun), WriteProblems))]
async fn cancel_billing_run(
    State(gateway): State<GatewayState>,
    writer: Writer<CancelBillingRun>,
    Path(id): Path<String>,
    body: StrictJson<NoFields>,
) -> Result<Response, Problem> {
    steer(&gateway, writer, (id, body.body_hash), Steering::Cancel).await
}

/// Tries the subscriptions again that could not be billed, and nothing else. Declined payments are not among them.
#[utoipa::path(post, path = "/v1/billing_runs/{id}/retry_failed", tag = "billing_runs", request_body = NoFields,
    params(("id" = String, Path)), responses((status = 200, body = BillingRun), WriteProblems))]
async fn retry_failed_of_billing_run(
    State(gateway): State<GatewayState>,
    writer: Writer<RetryFailedOfBillingRun>,
    Path(id): Path<String>,
    body: StrictJson<NoFields>,
) -> Result<Response, Problem> {
    steer(&gateway, writer, (id, body.body_hash), Steering::RetryFailed).await
}
