//! `/v1/webhook_deliveries`: what was sent to webhook endpoints, and what they said.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{
    BillingError, Change, NewReplay, replay_webhook_deliveries as decide_replays,
    replay_webhook_delivery as decide_replay,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{DeliveryState, ListFilter, ReplayScope};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{fields::Instant, operations::Operation};
use crate::{
    access::{Allowed, GetWebhookDelivery, ListWebhookDeliveries, ReplayWebhookDeliveries, ReplayWebhookDelivery},
    http::{
        headers::ETag,
        json::{BodyHash, StrictJson},
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::ListQuery,
    },
    read::{self, Reader},
    state::GatewayState,
    write::{Ground, Write, Writer},
};

const URL: &str = "/v1/webhook_deliveries";

/// Which deliveries are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeliveryFilter {
    /// Id of the endpoint.
    endpoint: Option<String>,
    /// Id of the event.
    event: Option<String>,
    /// Type of the event, such as `invoice.paid`.
    event_type: Option<String>,
    /// `pending`, `delivered`, `dead` or `cancelled`.
    #[param(value_type = Option<String>, pattern = "^(pending|delivered|dead|cancelled)$")]
    state: Option<DeliveryState>,
}

/// Deliveries to send again.
#[derive(Debug, Deserialize, ToSchema)]
struct ReplayRequest {
    /// Id of the endpoint.
    #[schema(example = "whe_0198f3")]
    endpoint: String,
    /// When they were made.
    created: Range,
    /// Only those that are `delivered`, `dead` or `cancelled`; all of them if left out.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "dead", pattern = "^(delivered|dead|cancelled)$")]
    state: Option<DeliveryState>,
    /// Why: 1 to 500 characters.
    reason: String,
    /// Deliveries a second at most, 1 to 1,000; 100 if left out.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1000)]
    pace: Option<i32>,
}

/// A half-open range of time.
#[derive(Debug, Deserialize, ToSchema)]
struct Range {
    /// At this time or later.
    #[schema(value_type = Timestamp)]
    gte: Instant,
    /// Before this time.
    #[schema(value_type = Timestamp)]
    lt: Instant,
}

/// One event on its way to one endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookDelivery {
    /// Also the `webhook-id` of every attempt.
    #[schema(example = "whd_0198f3")]
    id: String,
    /// Always `webhook_delivery`.
    #[schema(value_type = String, example = "webhook_delivery")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    /// Id of the endpoint.
    endpoint: String,
    /// Id of the event; null for a test.
    event: Option<String>,
    #[schema(example = "invoice.paid")]
    event_type: String,
    /// `pending`; `delivered`; `dead` after the last attempt; `cancelled` when its endpoint is disabled, gone or deleted.
    #[schema(value_type = String, example = "delivered")]
    state: DeliveryState,
    /// What is sent, as it is sent.
    body: String,
    /// The newest last.
    attempts: Vec<Attempt>,
    /// Null when no attempt is to come.
    next_attempt_at: Option<Timestamp>,
    delivered_at: Option<Timestamp>,
}

/// One attempt and what came of it.
#[derive(Debug, Serialize, ToSchema)]
struct Attempt {
    at: Timestamp,
    /// HTTP status; null when there was no answer.
    #[schema(example = 200)]
    status: Option<i32>,
    /// The beginning of the answer, or why there was none.
    detail: String,
    took_ms: i64,
}

impl WebhookDelivery {
    pub(super) fn of(delivery: store::WebhookDelivery, livemode: bool) -> Self {
        Self {
            id: delivery.id,
            object: "webhook_delivery",
            created: delivery.created,
            livemode,
            endpoint: delivery.endpoint,
            event: delivery.event,
            event_type: delivery.event_type,
            state: delivery.state,
            body: delivery.body,
            attempts: delivery.attempts.into_iter().map(Attempt::of).collect(),
            next_attempt_at: delivery.due.at,
            delivered_at: delivery.delivered_at,
        }
    }
}

impl Attempt {
    fn of(attempt: store::DeliveryAttempt) -> Self {
        Self { at: attempt.at, status: attempt.status, detail: attempt.detail, took_ms: attempt.took_ms }
    }
}

struct Replay(String);

impl Write for Replay {
    type Made = store::WebhookDelivery;
    type Shown = WebhookDelivery;
    const STATUS: StatusCode = StatusCode::ACCEPTED;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_replay(&ground.store, &ground.actor, &ground.time, &self.0).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> WebhookDelivery {
        WebhookDelivery::of(made, livemode)
    }
}

struct Replays(NewReplay);

impl Write for Replays {
    type Made = store::Operation;
    type Shown = Operation;
    const STATUS: StatusCode = StatusCode::ACCEPTED;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_replays(&ground.store, &ground.actor, &ground.time, self.0.clone()).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> Operation {
        Operation::of(made, livemode)
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(list_webhook_deliveries))
        .routes(routes!(replay_webhook_deliveries))
        .routes(routes!(get_webhook_delivery))
        .routes(routes!(replay_webhook_delivery))
}

/// Lists webhook deliveries, newest first. They are kept for 30 days.
#[utoipa::path(get, path = "/v1/webhook_deliveries", tag = "webhooks", params(PageParams, DeliveryFilter),
    responses((status = 200, body = List<WebhookDelivery>), ReadProblems))]
async fn list_webhook_deliveries(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListWebhookDeliveries>,
    query: ListQuery<DeliveryFilter>,
) -> Result<Json<List<WebhookDelivery>>, Problem> {
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let DeliveryFilter { endpoint, event, event_type, state } = query.filter;
    let filter = ListFilter::default()
        .field("endpoint", endpoint)
        .field("event", event)
        .field("event_type", event_type)
        .field("state", state.map(|state| state.as_str().to_owned()));
    let page = read::page(&gateway, &caller, &query.page, filter).await?;
    let rows = page.data.into_iter().map(|delivery| WebhookDelivery::of(delivery, livemode)).collect();
    Ok(Json(List::new(URL, page.has_more, rows)))
}

/// Gets a webhook delivery, with the log of its attempts.
#[utoipa::path(get, path = "/v1/webhook_deliveries/{id}", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 200, body = WebhookDelivery), ReadProblems))]
async fn get_webhook_delivery(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetWebhookDelivery>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<WebhookDelivery>), Problem> {
    let delivery: store::WebhookDelivery = read::find(&gateway, &caller, ("webhook_delivery", &id)).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    Ok((ETag::of_revision(delivery.revision), Json(WebhookDelivery::of(delivery, livemode))))
}

/// Sends a webhook again, under its `webhook-id` and with all attempts ahead of it.
#[utoipa::path(post, path = "/v1/webhook_deliveries/{id}/replay", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 202, body = WebhookDelivery), WriteProblems))]
async fn replay_webhook_delivery(
    State(gateway): State<GatewayState>,
    writer: Writer<ReplayWebhookDelivery>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    writer.run(&gateway, (BodyHash::of(&[]), Replay(id))).await
}

/// Sends all webhooks again that were made for an endpoint in a range of time and are not pending; the workers carry it out.
#[utoipa::path(post, path = "/v1/webhook_deliveries/replay", tag = "webhooks", request_body = ReplayRequest,
    responses((status = 202, body = Operation), WriteProblems))]
async fn replay_webhook_deliveries(
    State(gateway): State<GatewayState>,
    writer: Writer<ReplayWebhookDeliveries>,
    body: StrictJson<ReplayRequest>,
) -> Result<Response, Problem> {
    let ReplayRequest { endpoint, created, state, reason, pace } = body.value;
    let scope = ReplayScope { endpoint, from: created.gte.0, until: created.lt.0, state };
    let new = NewReplay { id: gateway.app.ids.new_id("op"), scope, reason, pace };
    writer.run(&gateway, (body.body_hash, Replays(new))).await
}
