//! `/v1/events`: what has happened. Read only: events are recorded with the changes that cause them.

use axum::{
    Json,
    extract::{Path, State},
};
use billing::EventType;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::ListFilter;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::{Allowed, GetEvent, ListEvents},
    http::{
        openapi::ReadProblems,
        page::{List, PageParams},
        problem::Problem,
        query::ListQuery,
    },
    read::{self, Reader},
    state::GatewayState,
};

const URL: &str = "/v1/events";

/// Something that has happened. It never changes.
#[derive(Debug, Serialize, ToSchema)]
struct Event {
    #[schema(example = "evt_cus_0198f3_1_customer.created")]
    id: String,
    /// Always `event`.
    #[schema(value_type = String, example = "event")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    /// What has happened.
    #[serde(rename = "type")]
    #[schema(example = "customer.created")]
    event_type: String,
    /// Id of the object that it has happened to.
    #[schema(example = "cus_0198f3")]
    subject: String,
    /// The object's revision after it.
    revision: i64,
    /// Ids of all objects that it is about, the subject first.
    related: Vec<String>,
    /// What a listener needs to decide whether to look closer; its fields depend on the type.
    #[schema(value_type = Object)]
    data: Value,
    /// The `Request-Id` of the request that caused it, also through jobs.
    request_id: Option<String>,
}

/// Which events are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct EventFilter {
    /// Only of this type.
    #[serde(rename = "type")]
    #[param(example = "invoice.paid")]
    event_type: Option<String>,
    /// Only those that are about this object, as their subject or beside it.
    #[param(example = "cus_0198f3")]
    related: Option<String>,
}

impl Event {
    fn of(event: store::Event, livemode: bool) -> Self {
        Self {
            id: event.id,
            object: "event",
            created: event.created,
            livemode,
            event_type: event.event_type,
            subject: event.subject,
            revision: event.revision,
            related: event.related,
            data: event.data,
            request_id: event.request_id,
        }
    }
}

impl EventFilter {
    fn parse(self) -> Result<ListFilter, Problem> {
        if let Some(Err(_)) = self.event_type.as_deref().map(str::parse::<EventType>) {
            let problem = Problem::malformed("invalid_query", "the query does not fit this route");
            return Err(problem.at("type", "invalid_value", "there is no such event"));
        }
        Ok(ListFilter::default().field("type", self.event_type).field("related", self.related))
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(list_events)).routes(routes!(get_event))
}

/// Lists events, newest first.
#[utoipa::path(get, path = "/v1/events", tag = "operations", params(PageParams, EventFilter),
    responses((status = 200, body = List<Event>), ReadProblems))]
async fn list_events(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListEvents>,
    query: ListQuery<EventFilter>,
) -> Result<Json<List<Event>>, Problem> {
    let filter = query.filter.parse()?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let page = read::page(&gateway, &caller, &query.page, filter).await?;
    let rows = page.data.into_iter().map(|event| Event::of(event, livemode)).collect();
    Ok(Json(List::new(URL, page.has_more, rows)))
}

/// Gets an event.
#[utoipa::path(get, path = "/v1/events/{id}", tag = "operations", params(("id" = String, Path)),
    responses((status = 200, body = Event), ReadProblems))]
async fn get_event(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetEvent>,
    Path(id): Path<String>,
) -> Result<Json<Event>, Problem> {
    let event: store::Event = read::find(&gateway, &caller, ("event", &id)).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    Ok(Json(Event::of(event, livemode)))
}
