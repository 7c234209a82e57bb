//! `/v1/tax_rates`: taxes that customers and prices can name by their id. Whoever names one keeps a copy of it.

use std::fmt;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{BillingError, Change, archive, create_tax_rate as decide_creation};
use domain::TaxRateSpec;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;
use store::{ListFilter, TaxRateRecord};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    described::{Described, Fields},
    fields::{Metadata, refused},
    plan_body::TaxRateBody,
};
use crate::{
    access::{Allowed, ArchiveTaxRate, CreateTaxRate, GetTaxRate, ListTaxRates},
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
    state::{Gateway, GatewayState},
    write::{Ground, Write, Writer},
};

/// A tax rate where one is asked for: the id of one, or a body.
#[derive(Clone, Debug, ToSchema)]
#[serde(untagged)]
pub(super) enum TaxRateChoice {
    #[schema(example = "txr_0198f3")]
    Id(String),
    #[schema(value_type = TaxRateBody)]
    Body(TaxRateSpec),
}

impl<'de> Deserialize<'de> for TaxRateChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = TaxRateChoice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the id of a tax rate, or a name and a percent")
            }

            fn visit_str<E: Error>(self, id: &str) -> Result<TaxRateChoice, E> {
                Ok(TaxRateChoice::Id(id.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, body: A) -> Result<TaxRateChoice, A::Error> {
                TaxRateSpec::deserialize(MapAccessDeserializer::new(body)).map(TaxRateChoice::Body)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// The rates that a body's field chooses; `parent` is the field's pointer.
///
/// # Errors
/// 422 for an id that names no rate, or one that is archived; those of the store.
pub(super) async fn chosen(
    gateway: &Gateway,
    tenant: &str,
    (parent, choices): (&str, Vec<TaxRateChoice>),
) -> Result<Vec<TaxRateSpec>, Problem> {
    let mut rates = Vec::with_capacity(choices.len());
    for (index, choice) in choices.into_iter().enumerate() {
        rates.push(match choice {
            TaxRateChoice::Id(id) => named(gateway, tenant, (&format!("{parent}/{index}"), &id)).await?,
            TaxRateChoice::Body(rate) => rate,
        });
    }
    Ok(rates)
}

/// Puts the rates that the prices of a plan's body name by id in place of these ids.
///
/// # Errors
/// Those of [`chosen`].
pub(super) async fn resolve_in_prices(gateway: &Gateway, tenant: &str, plan: &mut Fields) -> Result<(), Problem> {
    let prices = plan.get_mut("prices").and_then(Value::as_array_mut);
    for (place, price) in prices.into_iter().flatten().enumerate() {
        let rates = price.get_mut("tax_rates").and_then(Value::as_array_mut);
        for (index, rate) in rates.into_iter().flatten().enumerate() {
            let Value::String(id) = &*rate else { continue };
            let spec = named(gateway, tenant, (&format!("/prices/{place}/tax_rates/{index}"), id)).await?;
            *rate = serde_json::to_value(spec).map_err(|_| Problem::internal())?;
        }
    }
    Ok(())
}

async fn named(gateway: &Gateway, tenant: &str, (pointer, id): (&str, &str)) -> Result<TaxRateSpec, Problem> {
    let found: Option<TaxRateRecord> = gateway.app.billing.store.find(tenant, id).await?;
    let record = found.ok_or_else(|| refused(pointer, "unknown_tax_rate", "is no tax rate"))?;
    if record.archived_at.is_some() {
        return Err(refused(pointer, "tax_rate_archived", "is archived"));
    }
    Ok(record.rate.into())
}

/// A tax rate to create. Documents what is read as the domain's own body, with metadata beside it.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only documents a body that the domain reads")]
struct TaxRateRequest {
    /// Shown on invoices.
    #[schema(example = "VAT")]
    name: String,
    /// 0 to 100, with at most six digits after the point, as a decimal string.
    #[schema(example = "19")]
    percent: String,
    /// Up to 50 strings of the client's.
    #[schema(required = false)]
    metadata: Metadata,
}

/// A tax rate that can be named by its id. What it says never changes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NamedTaxRate {
    #[schema(example = "txr_0198f3")]
    id: String,
    /// Always `tax_rate`.
    #[schema(value_type = String, example = "tax_rate")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    #[schema(example = "VAT")]
    name: String,
    /// 0 to 100.
    #[schema(example = "19")]
    percent: Decimal,
    /// Since when it may not be named any more; null while it may.
    archived_at: Option<Timestamp>,
    metadata: Metadata,
}

impl NamedTaxRate {
    fn of(record: TaxRateRecord, livemode: bool) -> Self {
        Self {
            id: record.id,
            object: "tax_rate",
            created: record.created,
            livemode,
            name: record.rate.name().to_owned(),
            percent: record.rate.percent(),
            archived_at: record.archived_at,
            metadata: record.metadata,
        }
    }
}

struct Creation {
    id: String,
    rate: domain::TaxRate,
    metadata: Metadata,
}

impl Write for Creation {
    type Made = TaxRateRecord;
    type Shown = NamedTaxRate;
    const STATUS: StatusCode = StatusCode::CREATED;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        let new = (self.id.clone(), self.rate.clone(), self.metadata.clone());
        decide_creation(&ground.actor, &ground.time, new)
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> NamedTaxRate {
        NamedTaxRate::of(made, livemode)
    }
}

struct Archiving {
    id: String,
}

impl Write for Archiving {
    type Made = TaxRateRecord;
    type Shown = NamedTaxRate;
    const STATUS: StatusCode = StatusCode::OK;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        archive(&ground.store, &ground.actor, &ground.time, &self.id).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> NamedTaxRate {
        NamedTaxRate::of(made, livemode)
    }
}

impl Resource for TaxRateRecord {
    type Shown = NamedTaxRate;
    const OBJECT: &'static str = "tax_rate";
    const URL: &'static str = "/v1/tax_rates";

    fn show(self, livemode: bool) -> Result<NamedTaxRate, Problem> {
        Ok(NamedTaxRate::of(self, livemode))
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(create_tax_rate, list_tax_rates))
        .routes(routes!(get_tax_rate))
        .routes(routes!(archive_tax_rate))
}

/// Creates a tax rate.
#[utoipa::path(post, path = "/v1/tax_rates", tag = "catalogue", request_body = TaxRateRequest,
    responses((status = 201, body = NamedTaxRate), WriteProblems))]
async fn create_tax_rate(
    State(gateway): State<GatewayState>,
    writer: Writer<CreateTaxRate>,
    body: StrictJson<Fields>,
) -> Result<Response, Problem> {
    let Described { spec, metadata } = Described::<TaxRateSpec>::parse(body.value)?;
    let rate = domain::TaxRate::try_from(spec).map_err(|error| rule_of_spec("", &error))?;
    let creation = Creation { id: gateway.app.ids.new_id("txr"), rate, metadata };
    writer.run(&gateway, (body.body_hash, creation)).await
}

/// Lists tax rates, newest first.
#[utoipa::path(get, path = "/v1/tax_rates", tag = "catalogue", params(PageParams),
    responses((status = 200, body = List<NamedTaxRate>), ReadProblems))]
async fn list_tax_rates(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListTaxRates>,
    query: ListQuery<NoFilter>,
) -> Result<Json<List<NamedTaxRate>>, Problem> {
    read::list::<TaxRateRecord>(&gateway, &caller, (&query.page, ListFilter::default())).await
}

/// Gets a tax rate.
#[utoipa::path(get, path = "/v1/tax_rates/{id}", tag = "catalogue", params(("id" = String, Path)),
    responses((status = 200, body = NamedTaxRate), ReadProblems))]
async fn get_tax_rate(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetTaxRate>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<NamedTaxRate>), Problem> {
    read::get::<TaxRateRecord>(&gateway, &caller, &id).await
}

/// Archives a tax rate: nobody may name it any more, and whoever has it keeps it.
#[utoipa::path(post, path = "/v1/tax_rates/{id}/archive", tag = "catalogue", params(("id" = String, Path)),
    request_body = super::fields::NoFields, responses((status = 200, body = NamedTaxRate), WriteProblems))]
async fn archive_tax_rate(
    State(gateway): State<GatewayState>,
    writer: Writer<ArchiveTaxRate>,
    Path(id): Path<String>,
    body: StrictJson<super::fields::NoFields>,
) -> Result<Response, Problem> {
    writer.run(&gateway, (body.body_hash, Archiving { id })).await
}
