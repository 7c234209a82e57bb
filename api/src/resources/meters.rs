//! `/v1/meters`: what usage is measured by.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{BillingError, Change, create_meter as decide_creation};
use domain::{Meter as ValidMeter, MeterSpec};
use jiff::Timestamp;
use serde::Serialize;
use store::{ListFilter, MeterRecord};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    described::{Described, Fields},
    fields::Metadata,
    plan_body::MeterBody,
};
use crate::{
    access::{Allowed, CreateMeter, GetMeter, ListMeters},
    http::{
        headers::ETag,
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::{ListQuery, NoFilter},
    },
    problems::rule_of_spec,
    read::{self, Reader, Resource},
    state::GatewayState,
    write::{Ground, Write, Writer},
};

/// A meter to create.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only documents a body that the domain reads")]
struct MeterRequest {
    #[serde(flatten)]
    meter: MeterBody,
    /// Up to 50 strings of the client's.
    #[schema(required = false)]
    metadata: Metadata,
}

/// A meter. It never changes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Meter {
    #[schema(example = "mtr_0198f3")]
    id: String,
    /// Always `meter`.
    #[schema(value_type = String, example = "meter")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    #[serde(flatten)]
    #[schema(value_type = MeterBody)]
    spec: MeterSpec,
    metadata: Metadata,
}

impl Meter {
    fn of(record: MeterRecord, livemode: bool) -> Self {
        let MeterRecord { id, created, meter, metadata, .. } = record;
        Self { id, object: "meter", created, livemode, spec: meter.into(), metadata }
    }
}

struct Creation {
    id: String,
    meter: ValidMeter,
    metadata: Metadata,
}

impl Write for Creation {
    type Made = MeterRecord;
    type Shown = Meter;
    const STATUS: StatusCode = StatusCode::CREATED;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_creation(
            &ground.store,
            &ground.actor,
            &ground.time,
            (self.id.clone(), self.meter.clone(), self.metadata.clone()),
        )
        .await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> Meter {
        Meter::of(made, livemode)
    }
}

impl Resource for MeterRecord {
    type Shown = Meter;
    const OBJECT: &'static str = "meter";
    const URL: &'static str = "/v1/meters";

    fn show(self, livemode: bool) -> Result<Meter, Problem> {
        Ok(Meter::of(self, livemode))
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(create_meter, list_meters)).routes(routes!(get_meter))
}

/// Creates a meter; its key is unique in the tenant.
#[utoipa::path(post, path = "/v1/meters", tag = "catalogue", request_body = MeterRequest,
    responses((status = 201, body = Meter), WriteProblems))]
async fn create_meter(
    State(gateway): State<GatewayState>,
    writer: Writer<CreateMeter>,
    body: StrictJson<Fields>,
) -> Result<Response, Problem> {
    let Described { spec, metadata } = Described::<MeterSpec>::parse(body.value)?;
    let meter = ValidMeter::try_from(spec).map_err(|error| rule_of_spec("", &error))?;
    let creation = Creation { id: gateway.app.ids.new_id("mtr"), meter, metadata };
    writer.run(&gateway, (body.body_hash, creation)).await
}

/// Lists meters, newest first.
#[utoipa::path(get, path = "/v1/meters", tag = "catalogue", params(PageParams),
    responses((status = 200, body = List<Meter>), ReadProblems))]
async fn list_meters(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListMeters>,
    query: ListQuery<NoFilter>,
) -> Result<Json<List<Meter>>, Problem> {
    read::list::<MeterRecord>(&gateway, &caller, (&query.page, ListFilter::default())).await
}

/// Gets a meter.
#[utoipa::path(get, path = "/v1/meters/{id}", tag = "catalogue", params(("id" = String, Path)),
    responses((status = 200, body = Meter), ReadProblems))]
async fn get_meter(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetMeter>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<Meter>), Problem> {
    read::get::<MeterRecord>(&gateway, &caller, &id).await
}
