//! `/v1/operations`: acts on all dead letters that match, or on many webhooks, as objects that can be watched; and the routes
//! that start them for dead letters.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{BillingError, Change, NewOperation, count_dead_letters, start_operation as decide_start};
use jiff::Timestamp;
use queue::QueueClient;
use serde::{Deserialize, Serialize};
use store::{DeliveryState, ListFilter, OperationFilter, OperationKind, OperationState, ReplayScope, UnitOfWork};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::Instant;
use crate::{
    access::{Action, Allowed, DiscardDeadLetters, GetOperation, ListOperations, RetryDeadLetters},
    http::{
        headers::ETag,
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::{ListQuery, NoFilter},
    },
    read::{self, Reader, Resource},
    state::GatewayState,
    write::{Ground, Write, Writer},
};

/// An operation to start, or to try out.
#[derive(Debug, Deserialize, ToSchema)]
struct OperationRequest {
    /// Which dead letters; `{}` for all.
    filter: Filter,
    /// Why: 1 to 500 characters.
    reason: String,
    /// Only counts what matches.
    #[serde(default)]
    dry_run: bool,
    /// Letters a second at most, 1 to 1,000; 100 if left out.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1000)]
    pace: Option<i32>,
}

/// Which dead letters: those that meet all conditions.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct Filter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    /// The job's type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    /// The error's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// Of one cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    /// When they died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<Range>,
}

/// A half-open range of time.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct Range {
    /// At this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Timestamp>)]
    gte: Option<Instant>,
    /// Before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Timestamp>)]
    lt: Option<Instant>,
}

/// An act on many dead letters, or many webhooks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Operation {
    /// Null for a dry run, of which nothing is kept.
    #[schema(example = "op_0198f3")]
    id: Option<String>,
    /// Always `operation`.
    #[schema(value_type = String, example = "operation")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    /// `retry_dead_letters`, `discard_dead_letters` or `replay_webhooks`.
    #[schema(value_type = String, example = "retry_dead_letters")]
    kind: OperationKind,
    dry_run: bool,
    /// Which dead letters; `{}` for webhooks.
    filter: Filter,
    /// Which webhooks; null for dead letters.
    replay: Option<Replay>,
    reason: String,
    /// Id of the user who asked for it.
    by: String,
    /// `running`, then `completed`.
    #[schema(value_type = String, example = "running")]
    state: OperationState,
    /// Letters or webhooks a second at most.
    pace: i32,
    /// How many matched when the work began; null before.
    expected: Option<i64>,
    /// Those looked at so far that match.
    matched: i64,
    /// Of these, requeued, discarded or sent again.
    done: i64,
    /// Of these, left where they are: other work holds their unique key, they are no job, or somebody else came first.
    skipped: i64,
    finished_at: Option<Timestamp>,
}

/// Which webhooks are sent again.
#[derive(Debug, Serialize, ToSchema)]
struct Replay {
    /// Id of the endpoint.
    #[schema(example = "whe_0198f3")]
    endpoint: String,
    /// When they were made.
    created: Range,
    /// Only those in this state; null for all that are not pending.
    #[schema(value_type = Option<String>, example = "dead")]
    state: Option<DeliveryState>,
}

impl From<ReplayScope> for Replay {
    fn from(scope: ReplayScope) -> Self {
        let created = Range { gte: Some(Instant(scope.from)), lt: Some(Instant(scope.until)) };
        Self { endpoint: scope.endpoint, created, state: scope.state }
    }
}

impl Filter {
    fn into_store(self) -> OperationFilter {
        let (from, until) = self.created.map_or((None, None), |range| (range.gte, range.lt));
        OperationFilter {
            queue: self.queue,
            job: self.job,
            code: self.code,
            fingerprint: self.fingerprint,
            died_from: from.map(|at| at.0),
            died_until: until.map(|at| at.0),
        }
    }
}

impl From<OperationFilter> for Filter {
    fn from(filter: OperationFilter) -> Self {
        let OperationFilter { queue, job, code, fingerprint, died_from, died_until } = filter;
        let created = Range { gte: died_from.map(Instant), lt: died_until.map(Instant) };
        let created = (created.gte.is_some() || created.lt.is_some()).then_some(created);
        Self { queue, job, code, fingerprint, created }
    }
}

impl Operation {
    pub(super) fn of(operation: store::Operation, livemode: bool) -> Self {
        let totals = operation.totals();
        Self {
            id: Some(operation.id),
            object: "operation",
            created: operation.created,
            livemode,
            kind: operation.kind,
            dry_run: false,
            filter: operation.filter.into(),
            replay: operation.replay.map(Replay::from),
            reason: operation.reason,
            by: operation.by,
            state: operation.state,
            pace: operation.pace,
            expected: operation.expected,
            matched: totals.matched,
            done: totals.done,
            skipped: totals.skipped,
            finished_at: operation.finished_at,
        }
    }
}

struct Starting {
    new: NewOperation,
    queue: QueueClient,
}

impl Write for Starting {
    type Made = store::Operation;
    type Shown = Operation;
    const STATUS: StatusCode = StatusCode::ACCEPTED;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_start(&self.queue, &ground.actor, &ground.time, self.new.clone())
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> Operation {
        Operation::of(made, livemode)
    }
}

/// An operation that is only tried out, and with what it counts.
struct Trying {
    new: NewOperation,
    queue: QueueClient,
}

impl Write for Trying {
    type Made = (store::Operation, u64);
    type Shown = Operation;
    const STATUS: StatusCode = StatusCode::OK;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        let Change { result: operation, .. } =
            decide_start(&self.queue, &ground.actor, &ground.time, self.new.clone())?;
        let count = count_dead_letters(&self.queue, &operation.tenant, &operation.filter).await?;
        Ok(Change { result: (operation, count), unit: UnitOfWork::default(), follow_up: Vec::new() })
    }

    fn etag(_: &Self::Made) -> Option<ETag> {
        None
    }

    fn show((operation, count): Self::Made, livemode: bool) -> Operation {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        Operation {
            id: None,
            dry_run: true,
            state: OperationState::Completed,
            expected: Some(count),
            matched: count,
            finished_at: Some(operation.created),
            ..Operation::of(operation, livemode)
        }
    }
}

impl Resource for store::Operation {
    type Shown = Operation;
    const OBJECT: &'static str = "operation";
    const URL: &'static str = "/v1/operations";

    fn show(self, livemode: bool) -> Result<Operation, Problem> {
        Ok(Operation::of(self, livemode))
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(list_operations))
        .routes(routes!(get_operation))
        .routes(routes!(retry_dead_letters))
        .routes(routes!(discard_dead_letters))
}

/// Puts all dead letters that match, and have died by now, back into their queues; the workers carry it out. 200 for a dry
/// run.
#[utoipa::path(post, path = "/v1/dead_letters/retry", tag = "operations", request_body = OperationRequest,
    responses((status = 202, body = Operation), (status = 200, body = Operation, description = "A dry run"),
    WriteProblems))]
async fn retry_dead_letters(
    State(gateway): State<GatewayState>,
    writer: Writer<RetryDeadLetters>,
    body: StrictJson<OperationRequest>,
) -> Result<Response, Problem> {
    start(&gateway, writer, OperationKind::RetryDeadLetters, body).await
}

/// Gives all dead letters that match, and have died by now, up for good; the workers carry it out. 200 for a dry run.
#[utoipa::path(post, path = "/v1/dead_letters/discard", tag = "operations", request_body = OperationRequest,
    responses((status = 202, body = Operation), (status = 200, body = Operation, description = "A dry run"),
    WriteProblems))]
async fn discard_dead_letters(
    State(gateway): State<GatewayState>,
    writer: Writer<DiscardDeadLetters>,
    body: StrictJson<OperationRequest>,
) -> Result<Response, Problem> {
    start(&gateway, writer, OperationKind::DiscardDeadLetters, body).await
}

async fn start<A: Action>(
    gateway: &GatewayState,
    writer: Writer<A>,
    kind: OperationKind,
    body: StrictJson<OperationRequest>,
) -> Result<Response, Problem> {
    let OperationRequest { filter, reason, dry_run, pace } = body.value;
    let id = gateway.app.ids.new_id("op");
    let new = NewOperation { id, kind, filter: filter.into_store(), reason, pace };
    let queue = gateway.app.billing.queue.clone();
    if dry_run {
        return writer.run(gateway, (body.body_hash, Trying { new, queue })).await;
    }
    writer.run(gateway, (body.body_hash, Starting { new, queue })).await
}

/// Lists operations, newest first.
#[utoipa::path(get, path = "/v1/operations", tag = "operations", params(PageParams),
    responses((status = 200, body = List<Operation>), ReadProblems))]
async fn list_operations(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListOperations>,
    query: ListQuery<NoFilter>,
) -> Result<Json<List<Operation>>, Problem> {
    read::list::<store::Operation>(&gateway, &caller, (&query.page, ListFilter::default())).await
}

/// Gets an operation, with its progress.
#[utoipa::path(get, path = "/v1/operations/{id}", tag = "operations", params(("id" = String, Path)),
    responses((status = 200, body = Operation), ReadProblems))]
async fn get_operation(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetOperation>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<Operation>), Problem> {
    read::get::<store::Operation>(&gateway, &caller, &id).await
}
