//! `/v1/subscriptions`: which customer is billed for which plan.

mod actions;
mod bodies;
mod outlook;
mod preview;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{
    BillingError, Change, NewSubscription, SubscriptionPatch, Target, create_subscription as decide_creation,
    update_subscription as decide_update,
};
use store::SubscriptionRecord;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) use self::bodies::CollectionShown;
use self::bodies::{Subscription, SubscriptionFilter, SubscriptionRequest, SubscriptionUpdate};
use crate::{
    access::{Allowed, CreateSubscription, GetSubscription, ListSubscriptions, UpdateSubscription},
    http::{
        headers::ETag,
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::ListQuery,
    },
    read::{self, Reader, Resource},
    state::GatewayState,
    write::{Aim, Ground, Write, Writer},
};

struct Creation {
    id: String,
    new: NewSubscription,
}

impl Write for Creation {
    type Made = SubscriptionRecord;
    type Shown = Subscription;
    const STATUS: StatusCode = StatusCode::CREATED;
    const ON_CLOCK: bool = true;

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

impl Resource for SubscriptionRecord {
    type Shown = Subscription;
    const OBJECT: &'static str = "subscription";
    const URL: &'static str = "/v1/subscriptions";

    fn show(self, livemode: bool) -> Result<Subscription, Problem> {
        Ok(Subscription::of(self, livemode))
    }
}

struct Update {
    target: Target,
    patch: SubscriptionPatch,
}

impl Write for Update {
    type Made = SubscriptionRecord;
    type Shown = Subscription;
    const STATUS: StatusCode = StatusCode::OK;
    const ON_CLOCK: bool = true;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_update(&ground.store, &ground.actor, &ground.time, (&self.target, self.patch.clone())).await
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
    OpenApiRouter::new()
        .routes(routes!(create_subscription, list_subscriptions))
        .routes(routes!(get_subscription, update_subscription))
        .merge(actions::routes())
        .merge(outlook::routes())
        .merge(preview::routes())
}

/// Creates a subscription and issues its initial invoice, if it has started. A customer chooses plan and quantities for
/// itself, and nothing else.
#[utoipa::path(post, path = "/v1/subscriptions", tag = "subscriptions", request_body = SubscriptionRequest,
    responses((status = 201, body = Subscription), WriteProblems))]
async fn create_subscription(
    State(gateway): State<GatewayState>,
    writer: Writer<CreateSubscription>,
    body: StrictJson<SubscriptionRequest>,
) -> Result<Response, Problem> {
    body.value.may_be_asked_by(&writer.caller().reach)?;
    let creation = Creation { id: gateway.app.ids.new_id("sub"), new: body.value.parse()? };
    writer.run(&gateway, (body.body_hash, creation)).await
}

/// Lists subscriptions, newest first.
#[utoipa::path(get, path = "/v1/subscriptions", tag = "subscriptions", params(PageParams, SubscriptionFilter),
    responses((status = 200, body = List<Subscription>), ReadProblems))]
async fn list_subscriptions(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListSubscriptions>,
    query: ListQuery<SubscriptionFilter>,
) -> Result<Json<List<Subscription>>, Problem> {
    read::list::<SubscriptionRecord>(&gateway, &caller, (&query.page, query.filter.into_store())).await
}

/// Gets a subscription.
#[utoipa::path(get, path = "/v1/subscriptions/{id}", tag = "subscriptions", params(("id" = String, Path)),
    responses((status = 200, body = Subscription), ReadProblems))]
async fn get_subscription(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetSubscription>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<Subscription>), Problem> {
    read::get::<SubscriptionRecord>(&gateway, &caller, &id).await
}

/// Changes how a subscription's invoices are collected, and its metadata. What it bills is changed by `change`.
#[utoipa::path(patch, path = "/v1/subscriptions/{id}", tag = "subscriptions", params(("id" = String, Path)),
    request_body = SubscriptionUpdate, responses((status = 200, body = Subscription), WriteProblems))]
async fn update_subscription(
    State(gateway): State<GatewayState>,
    writer: Writer<UpdateSubscription>,
    Aim(target): Aim,
    body: StrictJson<SubscriptionUpdate>,
) -> Result<Response, Problem> {
    let patch = body.value.parse()?;
    writer.run(&gateway, (body.body_hash, Update { target, patch })).await
}
