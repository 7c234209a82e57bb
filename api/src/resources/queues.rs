//! `/v1/queues`: how the queues fare, and what holds them back. Figures are of all tenants together; no job is shown.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use billing::{BillingError, jobs::queues};
use queue::{PauseTarget, QueueClient, Rate};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::refused;
use crate::{
    access::{GetQueue, LimitQueue, ListQueues, PauseQueue, ResumeQueue},
    acts::{self, About, Act, Acting, refusal_at},
    http::{
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::List,
        problem::Problem,
    },
    read::Reader,
    shown::{Queue, QueueDetail},
    state::GatewayState,
    write::Writer,
};

const URL: &str = "/v1/queues";

/// The longest time that a rate can be for: a day, as the queue's own rule says.
const MAX_PER_SECONDS: u32 = 24 * 60 * 60;

/// A pause to begin.
#[derive(Debug, Deserialize, ToSchema)]
struct PauseRequest {
    /// Why, for those who find work waiting: 1 to 500 characters.
    reason: String,
    /// The job type to pause; the whole queue if left out.
    #[serde(default)]
    #[schema(example = "collect_payment")]
    job: Option<String>,
}

/// A pause to end.
#[derive(Debug, Deserialize, ToSchema)]
struct ResumeRequest {
    /// The job type that is paused; the whole queue if left out.
    #[serde(default)]
    #[schema(example = "collect_payment")]
    job: Option<String>,
}

/// A limit to set, to change, or (with neither concurrency nor rate) to remove.
#[derive(Debug, Deserialize, ToSchema)]
struct LimitRequest {
    /// The key that jobs declare.
    #[schema(example = "gateway:stripe")]
    key: String,
    /// Jobs running at once; 0 lets none begin.
    #[serde(default)]
    concurrency: Option<u32>,
    #[serde(default)]
    rate: Option<RateRequest>,
}

/// Units a time.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
struct RateRequest {
    /// Units earned in that time, at least 1.
    #[schema(minimum = 1)]
    units: u32,
    /// That time.
    #[schema(minimum = 1, maximum = 86400)]
    per_seconds: u32,
    /// Units that can be taken at once after a quiet time, at least 1; `units` if left out.
    #[serde(default)]
    #[schema(minimum = 1)]
    burst: Option<u32>,
}

impl RateRequest {
    fn rate(self) -> Result<Rate, Problem> {
        let Self { units, per_seconds, burst } = self;
        if units == 0 {
            return Err(refused("/rate/units", "out_of_range", "must be at least 1"));
        }
        if !(1..=MAX_PER_SECONDS).contains(&per_seconds) {
            return Err(refused("/rate/per_seconds", "out_of_range", "must be 1 to 86400"));
        }
        if burst == Some(0) {
            return Err(refused("/rate/burst", "out_of_range", "must be at least 1"));
        }
        Ok(Rate { units, per: Duration::from_secs(per_seconds.into()), burst: burst.unwrap_or(units) })
    }
}

/// The queue's name, if it is one.
///
/// # Errors
/// 404.
pub(super) fn named(name: &str) -> Result<&'static str, Problem> {
    queues::ALL.into_iter().find(|queue| *queue == name).ok_or_else(|| Problem::not_found("queue"))
}

/// What a pause is of.
fn target(job: Option<&String>) -> PauseTarget<'_> {
    job.map_or(PauseTarget::Queue, |job| PauseTarget::Job(job))
}

async fn detail(queue: &QueueClient, name: &str) -> Result<QueueDetail, BillingError> {
    Ok(QueueDetail::from(&queue.status(name).await?))
}

struct Pausing {
    queue: &'static str,
    job: Option<String>,
    reason: String,
}

impl Act for Pausing {
    type Shown = QueueDetail;
    const ACTION: &'static str = "queue.paused";

    fn about(&self) -> About<'_> {
        About { subject: self.queue, reason: &self.reason }
    }

    fn changes(&self) -> Value {
        json!({ "job": self.job, "reason": self.reason })
    }

    async fn carry_out(&self, acting: &Acting<'_>) -> Result<QueueDetail, BillingError> {
        let paused = acting.queue.pause(self.queue, target(self.job.as_ref()), &acting.by.who, &self.reason).await;
        paused.map_err(refusal_at("/job"))?;
        detail(acting.queue, self.queue).await
    }
}

struct Resuming {
    queue: &'static str,
    job: Option<String>,
}

impl Act for Resuming {
    type Shown = QueueDetail;
    const ACTION: &'static str = "queue.resumed";

    fn about(&self) -> About<'_> {
        About { subject: self.queue, reason: "" }
    }

    fn changes(&self) -> Value {
        json!({ "job": self.job })
    }

    async fn carry_out(&self, acting: &Acting<'_>) -> Result<QueueDetail, BillingError> {
        let target = target(self.job.as_ref());
        if !acting.queue.resume(self.queue, target).await.map_err(refusal_at("/job"))? {
            let what = self.job.as_deref().unwrap_or(self.queue);
            return Err(BillingError::State { code: "not_paused", detail: format!("{what} is not paused") });
        }
        detail(acting.queue, self.queue).await
    }
}

struct Limiting {
    queue: &'static str,
    key: String,
    /// Nothing to remove it.
    limit: Option<queue::Limit>,
    /// What was asked for, for the audit entry.
    asked: Value,
}

impl Act for Limiting {
    type Shown = QueueDetail;
    const ACTION: &'static str = "queue.limited";

    fn about(&self) -> About<'_> {
        About { subject: self.queue, reason: "" }
    }

    fn changes(&self) -> Value {
        self.asked.clone()
    }

    async fn carry_out(&self, acting: &Acting<'_>) -> Result<QueueDetail, BillingError> {
        let invalid = refusal_at("/key");
        match &self.limit {
            Some(limit) => acting.queue.set_limit(self.queue, &self.key, limit).await.map_err(invalid)?,
            None => {
                if !acting.queue.remove_limit(self.queue, &self.key).await.map_err(invalid)? {
                    let detail = format!("no limit is set for {}", self.key);
                    return Err(BillingError::State { code: "no_limit", detail });
                }
            }
        }
        detail(acting.queue, self.queue).await
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(list_queues))
        .routes(routes!(get_queue))
        .routes(routes!(pause_queue))
        .routes(routes!(resume_queue))
        .routes(routes!(limit_queue))
}

/// Lists the queues, in the order in which work flows through them.
#[utoipa::path(get, path = "/v1/queues", tag = "operations",
    responses((status = 200, body = List<Queue>), ReadProblems))]
async fn list_queues(State(gateway): State<GatewayState>, _: Reader<ListQueues>) -> Result<Json<List<Queue>>, Problem> {
    let queue = &gateway.app.billing.queue;
    let mut rows = Vec::new();
    for name in queues::partitions(queue, None) {
        let status = queue.status(&name).await.map_err(BillingError::from)?;
        rows.push(Queue::from(&status));
    }
    let has_more = false;
    Ok(Json(List::new(URL, has_more, rows)))
}

/// Gets a queue, with its last hour and its limits.
#[utoipa::path(get, path = "/v1/queues/{name}", tag = "operations", params(("name" = String, Path)),
    responses((status = 200, body = QueueDetail), ReadProblems))]
async fn get_queue(
    State(gateway): State<GatewayState>,
    _: Reader<GetQueue>,
    Path(name): Path<String>,
) -> Result<Json<QueueDetail>, Problem> {
    let queue = &gateway.app.billing.queue;
    if !queues::partitions(queue, None).contains(&name) {
        return Err(Problem::not_found("queue"));
    }
    Ok(Json(detail(queue, &name).await?))
}

/// Pauses a queue or a job type, for everybody, until it is resumed. What runs runs on. Pausing again replaces who and why.
#[utoipa::path(post, path = "/v1/queues/{name}/pause", tag = "operations", params(("name" = String, Path)),
    request_body = PauseRequest, responses((status = 200, body = QueueDetail), WriteProblems))]
async fn pause_queue(
    State(gateway): State<GatewayState>,
    Path(name): Path<String>,
    writer: Writer<PauseQueue>,
    body: StrictJson<PauseRequest>,
) -> Result<Response, Problem> {
    let PauseRequest { reason, job } = body.value;
    let pausing = Pausing { queue: named(&name)?, job, reason: acts::reason(reason)? };
    acts::carry_out(&gateway, writer, (body.body_hash, pausing)).await
}

/// Ends a pause. What waited goes on at once, in its order.
#[utoipa::path(post, path = "/v1/queues/{name}/resume", tag = "operations", params(("name" = String, Path)),
    request_body = ResumeRequest, responses((status = 200, body = QueueDetail), WriteProblems))]
async fn resume_queue(
    State(gateway): State<GatewayState>,
    Path(name): Path<String>,
    writer: Writer<ResumeQueue>,
    body: StrictJson<ResumeRequest>,
) -> Result<Response, Problem> {
    let resuming = Resuming { queue: named(&name)?, job: body.value.job };
    acts::carry_out(&gateway, writer, (body.body_hash, resuming)).await
}

/// Sets, changes or removes the limit of a key, across the whole fleet. It holds for what begins from now on.
#[utoipa::path(post, path = "/v1/queues/{name}/limits", tag = "operations", params(("name" = String, Path)),
    request_body = LimitRequest, responses((status = 200, body = QueueDetail), WriteProblems))]
async fn limit_queue(
    State(gateway): State<GatewayState>,
    Path(name): Path<String>,
    writer: Writer<LimitQueue>,
    body: StrictJson<LimitRequest>,
) -> Result<Response, Problem> {
    let LimitRequest { key, concurrency, rate } = body.value;
    let asked = json!({ "key": key, "concurrency": concurrency, "rate": rate });
    let rate = rate.map(RateRequest::rate).transpose()?;
    let limit = (concurrency.is_some() || rate.is_some()).then_some(queue::Limit { concurrency, rate });
    let limiting = Limiting { queue: named(&name)?, key, limit, asked };
    acts::carry_out(&gateway, writer, (body.body_hash, limiting)).await
}
