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
use billing::{BillingError, Change, NewSubscription, create_subscription as decide_creation};
use store::SubscriptionRecord;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::bodies::{Subscription, SubscriptionFilter, SubscriptionRequest};
use crate::{
    access::{Allowed, CreateSubscription, GetSubscription, ListSubscriptions},
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

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(create_subscription, list_subscriptions))
        .routes(routes!(get_subscription))
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
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let page = read::page(&gateway, &caller, &query.page, query.filter.into_store()).await?;
    let rows = page.data.into_iter().map(|record| Subscription::of(record, livemode)).collect();
    Ok(Json(List::new(URL, page.has_more, rows)))
}

/// Gets a subscription.
#[utoipa::path(get, path = "/v1/subscriptions/{id}", tag = "subscriptions", params(("id" = String, Path)),
    responses((status = 200, body = Subscription), ReadProblems))]
async fn get_subscription(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetSubscription>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<Subscription>), Problem> {
    let record: SubscriptionRecord = read::find(&gateway, &caller, ("subscription", &id)).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    Ok((ETag::of_revision(record.revision), Json(Subscription::of(record, livemode))))
}
