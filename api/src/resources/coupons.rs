//! `/v1/coupons`: what is taken off invoices.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{BillingError, Change, archive, create_coupon as decide_creation};
use domain::{Coupon as ValidCoupon, CouponSpec};
use jiff::Timestamp;
use serde::Serialize;
use store::{CouponRecord, ListFilter};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    described::{Described, Fields},
    fields::{Metadata, NoFields},
};
use crate::{
    access::{Allowed, ArchiveCoupon, CreateCoupon, GetCoupon, ListCoupons},
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

/// What is taken off invoices. Documents what the domain reads; a test compares the two.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only documents a body that the domain reads")]
struct CouponBody {
    /// Unique in the tenant: 1 to 64 lower-case letters, digits, `_` or `-`.
    #[schema(example = "welcome")]
    key: String,
    /// Shown on invoices; the key if left out.
    name: Option<String>,
    /// Above 0, at most 100, as a decimal string; this or `amount_off_minor`.
    #[schema(example = "10")]
    percent_off: Option<String>,
    /// Off each invoice, in minor units; this or `percent_off`.
    #[schema(minimum = 1)]
    amount_off_minor: Option<i64>,
    /// Of the amount; the invoice's own if left out.
    #[schema(example = "usd")]
    currency: Option<String>,
    /// How many invoices it lasts: one, so many periodic ones, or all.
    #[schema(example = "once", pattern = "^(once|repeating|forever)$")]
    duration: String,
    /// Periodic invoices that a `repeating` one lasts.
    #[schema(minimum = 1, maximum = 1000)]
    duration_periods: Option<u32>,
    /// Keys of the prices that it is limited to; all lines if left out.
    #[schema(required = false, example = json!(["seats"]))]
    applies_to: Vec<String>,
    /// Keys of the plans that it is limited to; all if left out.
    #[schema(required = false, example = json!(["pro"]))]
    applies_to_plans: Vec<String>,
}

/// A coupon to create.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only documents a body that the domain reads")]
struct CouponRequest {
    #[serde(flatten)]
    coupon: CouponBody,
    /// Up to 50 strings of the client's.
    #[schema(required = false)]
    metadata: Metadata,
}

/// A coupon. What it says never changes; a subscription keeps it as it was when it was applied.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Coupon {
    #[schema(example = "cpn_0198f3")]
    id: String,
    /// Always `coupon`.
    #[schema(value_type = String, example = "coupon")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    #[serde(flatten)]
    #[schema(value_type = CouponBody)]
    spec: CouponSpec,
    /// Since when it may not be applied any more; null while it may.
    archived_at: Option<Timestamp>,
    metadata: Metadata,
}

impl Coupon {
    fn of(record: CouponRecord, livemode: bool) -> Self {
        let CouponRecord { id, created, coupon, archived_at, metadata, .. } = record;
        Self { id, object: "coupon", created, livemode, spec: coupon.into(), archived_at, metadata }
    }
}

struct Creation {
    id: String,
    coupon: ValidCoupon,
    metadata: Metadata,
}

impl Write for Creation {
    type Made = CouponRecord;
    type Shown = Coupon;
    const STATUS: StatusCode = StatusCode::CREATED;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_creation(
            &ground.store,
            &ground.actor,
            &ground.time,
            (self.id.clone(), self.coupon.clone(), self.metadata.clone()),
        )
        .await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> Coupon {
        Coupon::of(made, livemode)
    }
}

struct Archiving {
    id: String,
}

impl Write for Archiving {
    type Made = CouponRecord;
    type Shown = Coupon;
    const STATUS: StatusCode = StatusCode::OK;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        archive(&ground.store, &ground.actor, &ground.time, &self.id).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> Coupon {
        Coupon::of(made, livemode)
    }
}

impl Resource for CouponRecord {
    type Shown = Coupon;
    const OBJECT: &'static str = "coupon";
    const URL: &'static str = "/v1/coupons";

    fn show(self, livemode: bool) -> Result<Coupon, Problem> {
        Ok(Coupon::of(self, livemode))
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(create_coupon, list_coupons))
        .routes(routes!(get_coupon))
        .routes(routes!(archive_coupon))
}

/// Creates a coupon; its key is unique in the tenant.
#[utoipa::path(post, path = "/v1/coupons", tag = "catalogue", request_body = CouponRequest,
    responses((status = 201, body = Coupon), WriteProblems))]
async fn create_coupon(
    State(gateway): State<GatewayState>,
    writer: Writer<CreateCoupon>,
    body: StrictJson<Fields>,
) -> Result<Response, Problem> {
    let Described { spec, metadata } = Described::<CouponSpec>::parse(body.value)?;
    let coupon = ValidCoupon::try_from(spec).map_err(|error| rule_of_spec("", &error))?;
    let creation = Creation { id: gateway.app.ids.new_id("cpn"), coupon, metadata };
    writer.run(&gateway, (body.body_hash, creation)).await
}

/// Lists coupons, newest first.
#[utoipa::path(get, path = "/v1/coupons", tag = "catalogue", params(PageParams),
    responses((status = 200, body = List<Coupon>), ReadProblems))]
async fn list_coupons(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListCoupons>,
    query: ListQuery<NoFilter>,
) -> Result<Json<List<Coupon>>, Problem> {
    read::list::<CouponRecord>(&gateway, &caller, (&query.page, ListFilter::default())).await
}

/// Gets a coupon.
#[utoipa::path(get, path = "/v1/coupons/{id}", tag = "catalogue", params(("id" = String, Path)),
    responses((status = 200, body = Coupon), ReadProblems))]
async fn get_coupon(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetCoupon>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<Coupon>), Problem> {
    read::get::<CouponRecord>(&gateway, &caller, &id).await
}

/// Archives a coupon: nobody may apply it any more, and subscriptions that have it keep it.
#[utoipa::path(post, path = "/v1/coupons/{id}/archive", tag = "catalogue", params(("id" = String, Path)),
    request_body = NoFields, responses((status = 200, body = Coupon), WriteProblems))]
async fn archive_coupon(
    State(gateway): State<GatewayState>,
    writer: Writer<ArchiveCoupon>,
    Path(id): Path<String>,
    body: StrictJson<NoFields>,
) -> Result<Response, Problem> {
    writer.run(&gateway, (body.body_hash, Archiving { id })).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::CouponSpec;
    use serde_json::{Value, json};
    use utoipa::PartialSchema;

    use super::CouponBody;

    #[test]
    fn the_document_names_the_fields_that_the_domain_reads() {
        let full = json!({ "key": "c", "name": "C", "percent_off": "1", "amount_off_minor": 1, "currency": "usd",
            "duration": "repeating", "duration_periods": 1, "applies_to": ["p"], "applies_to_plans": ["p"] });
        let spec: CouponSpec = serde_json::from_value(full).expect("a body");
        let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>();
        let schema = serde_json::to_value(CouponBody::schema()).expect("a schema");
        assert_eq!(keys(&serde_json::to_value(spec).expect("JSON")), keys(&schema["properties"]));
    }
}
