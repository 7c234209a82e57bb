//! `/v1/usage_events`: what customers used, one event at a time or a thousand.
//!
//! **Invariant:** a bad event never sinks its batch: each is read by itself and refused by its index. **Invariant:** events
//! are stored under the client's ids, so a batch that is sent again counts nothing twice, with or without a key.

use std::collections::BTreeMap;

use axum::{extract::State, http::StatusCode, response::Response};
use billing::{BillingError, Change, Ingestion, NewUsageEvent, UsageSubject, ingest_usage};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::UnitOfWork;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::Instant;
use crate::{
    access::ReportUsage,
    http::{
        headers::ETag,
        json::{StrictJson, decode_part},
        openapi::WriteProblems,
        problem::Problem,
        server::usage_batch_limit,
    },
    state::GatewayState,
    write::{Ground, Write, Writer},
};

/// Events of a batch: they are stored in one statement of some megabytes.
const MAX_EVENTS: usize = 1_000;

/// Longest id of an event: it is part of the stored document's key.
const MAX_ID_CHARS: usize = 255;

/// Properties of an event: what meters measure, not a copy of the client's record.
const MAX_PROPERTIES: usize = 50;

/// Longest name of a property.
const MAX_PROPERTY_NAME_CHARS: usize = 200;

/// Longest value of a property.
const MAX_PROPERTY_VALUE_CHARS: usize = 500;

/// The field that makes a body a batch.
const EVENTS: &str = "events";

/// One event, as clients write it.
#[derive(Debug, Deserialize, ToSchema)]
struct UsageEvent {
    /// The client's own id, unique in the tenant: an event that is sent again counts once.
    #[schema(max_length = 255, example = "evt-4711")]
    id: String,
    /// Id of the customer; either this or `subscription`. Refused where several of its subscriptions bill the meter at that
    /// time.
    #[serde(default)]
    customer: Option<String>,
    /// Id of a subscription of the customer's.
    #[serde(default)]
    subscription: Option<String>,
    /// Key of the meter.
    #[schema(example = "api_calls")]
    meter: String,
    /// When it happened.
    #[schema(value_type = jiff::Timestamp)]
    timestamp: Instant,
    /// What the meter reads: up to 50 strings.
    #[serde(default)]
    properties: BTreeMap<String, String>,
    /// The id of an event that this one corrects: from now on this one counts, at its own time, and that one does not.
    #[serde(default)]
    #[schema(max_length = 255)]
    replaces: Option<String>,
}

/// One event, or a batch of up to 1,000.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only documents the body, whose events are read one by one")]
enum UsageRequest {
    Event(UsageEvent),
    Batch(UsageBatch),
}

/// A batch.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only documents the body, whose events are read one by one")]
struct UsageBatch {
    /// 1 to 1,000 events.
    #[schema(min_items = 1, max_items = 1000)]
    events: Vec<UsageEvent>,
}

/// What became of the events.
#[derive(Debug, Serialize, ToSchema)]
struct UsageReceipt {
    /// Events that were stored now.
    accepted: usize,
    /// Events that were stored before, with the same content.
    duplicates: usize,
    /// Events that were not stored.
    rejected: Vec<RejectedEvent>,
}

/// An event that was not stored.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct RejectedEvent {
    /// Its position in the batch, from 0.
    index: usize,
    /// Stable name of the reason.
    #[schema(example = "unknown_meter")]
    code: String,
    /// The reason for people.
    detail: String,
}

impl UsageEvent {
    fn parse(self) -> Result<NewUsageEvent, (&'static str, &'static str)> {
        let is_id = |id: &String| (1..=MAX_ID_CHARS).contains(&id.chars().count());
        if !is_id(&self.id) {
            return Err(("invalid_id", "id must have 1 to 255 characters"));
        }
        if self.replaces.as_ref().is_some_and(|replaced| !is_id(replaced) || *replaced == self.id) {
            return Err(("invalid_replaces", "replaces must be the id of another event, of 1 to 255 characters"));
        }
        let subject = match (self.customer, self.subscription) {
            (Some(customer), None) => UsageSubject::Customer(customer),
            (None, Some(subscription)) => UsageSubject::Subscription(subscription),
            _ => return Err(("invalid_subject", "it needs either customer or subscription")),
        };
        let name_fits = |name: &str| (1..=MAX_PROPERTY_NAME_CHARS).contains(&name.chars().count());
        let value_fits = |value: &str| value.chars().count() <= MAX_PROPERTY_VALUE_CHARS;
        let fits = self.properties.len() <= MAX_PROPERTIES
            && self.properties.iter().all(|(name, value)| name_fits(name) && value_fits(value));
        if !fits {
            let rule = "at most 50 properties, with names of up to 200 and values of up to 500 characters";
            return Err(("invalid_properties", rule));
        }
        let Self { id, meter, timestamp, properties, replaces, .. } = self;
        Ok(NewUsageEvent { id, subject, meter, timestamp: timestamp.0, properties, replaces })
    }
}

/// Events that can be read, with their positions, and those that cannot.
struct Report {
    /// What it is stored under until it is known what came late.
    id: String,
    events: Vec<NewUsageEvent>,
    positions: Vec<usize>,
    rejected: Vec<RejectedEvent>,
}

impl Report {
    fn of(id: String, events: Vec<Value>) -> Self {
        let mut report = Self { id, events: Vec::new(), positions: Vec::new(), rejected: Vec::new() };
        for (index, event) in events.into_iter().enumerate() {
            match read(event) {
                Ok(event) => {
                    report.events.push(event);
                    report.positions.push(index);
                }
                Err((code, detail)) => report.rejected.push(RejectedEvent { index, code, detail }),
            }
        }
        report
    }

    fn receipt(&self, ingestion: Ingestion) -> UsageReceipt {
        let refused = ingestion.rejected.into_iter().map(|rejection| RejectedEvent {
            index: self.positions[rejection.index],
            code: rejection.code.to_owned(),
            detail: rejection.detail,
        });
        let mut rejected: Vec<_> = self.rejected.iter().cloned().chain(refused).collect();
        rejected.sort_by_key(|event| event.index);
        UsageReceipt { accepted: ingestion.accepted, duplicates: ingestion.duplicates, rejected }
    }
}

/// One event, or the code and the detail of what is wrong with it.
fn read(event: Value) -> Result<NewUsageEvent, (String, String)> {
    let event: UsageEvent = decode_part(event).map_err(|errors| {
        let code = errors.first().map_or("invalid_event", |error| &error.code).to_owned();
        let details = errors.iter().map(|error| format!("{}: {}", error.pointer, error.detail));
        (code, details.collect::<Vec<_>>().join("; "))
    })?;
    event.parse().map_err(|(code, detail)| (code.to_owned(), detail.to_owned()))
}

/// The events of a body: those of its batch, or the body itself.
fn events(mut body: Map<String, Value>) -> Result<Vec<Value>, Problem> {
    let invalid = || Problem::malformed("invalid_body", "the body does not fit this route");
    let Some(batch) = body.remove(EVENTS) else { return Ok(vec![Value::Object(body)]) };
    if let Some(unknown) = body.keys().next() {
        return Err(invalid().at(format!("/{unknown}"), "unknown_field", "there is no such field beside events"));
    }
    match batch {
        Value::Array(events) if (1..=MAX_EVENTS).contains(&events.len()) => Ok(events),
        Value::Array(_) => {
            let rule = "a batch has 1 to 1000 events";
            Err(Problem::rule_violated("invalid_batch", rule).at("/events", "invalid_batch", rule))
        }
        _ => Err(invalid().at("/events", "invalid_value", "expected a sequence of events")),
    }
}

impl Write for Report {
    type Made = UsageReceipt;
    type Shown = UsageReceipt;
    const STATUS: StatusCode = StatusCode::ACCEPTED;
    const ON_CLOCK: bool = true;

    /// Events are stored at once, each harmless to repeat; what is left to commit is the reply.
    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        let report = (ground.actor.tenant.as_str(), self.id.as_str());
        let ingestion = ingest_usage(&ground.store, report, &self.events, ground.time.wall).await?;
        Ok(Change { result: self.receipt(ingestion), unit: UnitOfWork::default(), follow_up: Vec::new() })
    }

    fn etag(_: &Self::Made) -> Option<ETag> {
        None
    }

    fn show(made: Self::Made, _: bool) -> UsageReceipt {
        made
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(report_usage)).layer(usage_batch_limit())
}

/// Reports usage: one event, or a batch. Events that cannot be stored are named in the answer; the others are stored.
#[utoipa::path(post, path = "/v1/usage_events", tag = "usage", request_body = UsageRequest,
    responses((status = 202, body = UsageReceipt), WriteProblems))]
async fn report_usage(
    State(gateway): State<GatewayState>,
    writer: Writer<ReportUsage>,
    body: StrictJson<Map<String, Value>>,
) -> Result<Response, Problem> {
    let report = Report::of(gateway.app.ids.new_id("urp"), events(body.value)?);
    writer.run(&gateway, (body.body_hash, report)).await
}
