//! `/v1/subscriptions`: which customer is billed for which plan.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{BillingError, Change, NewSubscription, create_subscription as decide_creation};
use domain::{BillingCycle, SubscriptionStatus};
use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use store::{ListFilter, SubscriptionRecord};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::{self, Instant, Metadata, Period, Quantity};
use crate::{
    auth::caller::Caller,
    http::{
        headers::ETag,
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::ListQuery,
    },
    read::{self, Reader},
    state::GatewayState,
    write::{Ground, Write, Writer},
};

const URL: &str = "/v1/subscriptions";

/// A subscription to create.
#[derive(Debug, Deserialize, ToSchema)]
struct SubscriptionRequest {
    /// Id of the customer.
    #[schema(example = "cus_0198f3")]
    customer: String,
    /// Id or key of the plan.
    #[schema(example = "pln_0198f3")]
    plan: String,
    /// Where boundaries lie: `anniversary` of the start (if left out), or `calendar`, the first of the month or year.
    #[serde(default)]
    #[schema(value_type = String, required = false, example = "anniversary", pattern = "^(anniversary|calendar)$")]
    billing_cycle: BillingCycle,
    /// Price key -> quantity, for each licensed price of the plan.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    quantities: BTreeMap<String, Quantity>,
    /// May lie in the past or in the future; now if left out.
    #[serde(default)]
    #[schema(value_type = Option<Timestamp>)]
    start_at: Option<Instant>,
    /// Up to 50 strings of the client's.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
}

/// A subscription.
#[derive(Debug, Serialize, ToSchema)]
struct Subscription {
    #[schema(example = "sub_0198f3")]
    id: String,
    /// Always `subscription`.
    #[schema(value_type = String, example = "subscription")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    customer: String,
    /// Id of the plan's version.
    plan: String,
    #[schema(value_type = String, example = "anniversary")]
    billing_cycle: BillingCycle,
    /// Price key -> quantity, of the licensed prices.
    quantities: BTreeMap<String, Decimal>,
    /// Usage counts from here on.
    start_at: Timestamp,
    #[schema(value_type = String, example = "active")]
    status: SubscriptionStatus,
    /// The period that ends at the next boundary.
    current_period: Period,
    /// Local date of the oldest boundary that is not billed yet; null once it is over.
    next_boundary: Option<Date>,
    /// The instant from which the next boundary is billed; null when there is none.
    next_billing_at: Option<Timestamp>,
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
}

/// Which subscriptions are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SubscriptionFilter {
    /// Id of the customer.
    customer: Option<String>,
    /// Where they stand.
    #[param(value_type = Option<String>)]
    status: Option<SubscriptionStatus>,
}

impl SubscriptionRequest {
    fn parse(self) -> Result<NewSubscription, Problem> {
        Ok(NewSubscription {
            customer: self.customer,
            plan: self.plan,
            billing_cycle: self.billing_cycle,
            quantities: self.quantities.into_iter().map(|(key, quantity)| (key, quantity.0)).collect(),
            start_at: self.start_at.map(|at| at.0),
            metadata: fields::metadata(self.metadata)?,
        })
    }
}

impl Subscription {
    fn of(record: SubscriptionRecord, livemode: bool) -> Self {
        let SubscriptionRecord { id, created, customer, subscription, metadata, due, .. } = record;
        Self {
            id,
            object: "subscription",
            created,
            livemode,
            customer,
            plan: subscription.plan().to_owned(),
            billing_cycle: subscription.billing_cycle(),
            quantities: subscription.quantities().clone(),
            start_at: subscription.start_at(),
            status: subscription.status(),
            current_period: subscription.current_period().into(),
            next_boundary: subscription.next_boundary(),
            next_billing_at: due.at,
            metadata,
        }
    }
}

struct Creation {
    id: String,
    new: NewSubscription,
}

impl Write for Creation {
    type Made = SubscriptionRecord;
    type Shown = Subscription;
    const STATUS: StatusCode = StatusCode::CREATED;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_creation(&ground.store, &ground.actor, &ground.time, (self.id.clone(), self.new.clone())).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> Subscription {
        Subscription::of(made, livemode)
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(create_subscription, list_subscriptions)).routes(routes!(get_subscription))
}

/// Creates a subscription and issues its initial invoice, if it has started.
#[utoipa::path(post, path = "/v1/subscriptions", tag = "subscriptions", request_body = SubscriptionRequest,
    responses((status = 201, body = Subscription), WriteProblems))]
async fn create_subscription(
    State(gateway): State<GatewayState>,
    writer: Writer,
    body: StrictJson<SubscriptionRequest>,
) -> Result<Response, Problem> {
    writer.require("subscriptions:write")?;
    let creation = Creation { id: gateway.app.ids.new_id("sub"), new: body.value.parse()? };
    writer.run(&gateway, (body.body_hash, creation)).await
}

/// Lists subscriptions, newest first.
#[utoipa::path(get, path = "/v1/subscriptions", tag = "subscriptions", params(PageParams, SubscriptionFilter),
    responses((status = 200, body = List<Subscription>), ReadProblems))]
async fn list_subscriptions(
    State(gateway): State<GatewayState>,
    caller: Caller,
    query: ListQuery<SubscriptionFilter>,
) -> Result<Json<List<Subscription>>, Problem> {
    caller.require("subscriptions:read")?;
    let SubscriptionFilter { customer, status } = query.filter;
    let status = status.map(|status| status.as_str().to_owned());
    let filter = ListFilter::default().field("customer", customer).field("subscription.status", status);
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let page = read::page(&gateway, &caller.tenant, &query.page, filter).await?;
    let rows = page.data.into_iter().map(|record| Subscription::of(record, livemode)).collect();
    Ok(Json(List::new(URL, page.has_more, rows)))
}

/// Gets a subscription.
#[utoipa::path(get, path = "/v1/subscriptions/{id}", tag = "subscriptions", params(("id" = String, Path)),
    responses((status = 200, body = Subscription), ReadProblems))]
async fn get_subscription(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader,
    Path(id): Path<String>,
) -> Result<(ETag, Json<Subscription>), Problem> {
    caller.require("subscriptions:read")?;
    let record: SubscriptionRecord = read::find(&gateway, &caller.tenant, ("subscription", &id)).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    Ok((ETag::of_revision(record.revision), Json(Subscription::of(record, livemode))))
}
