//! What is done with a subscription: change, pause, resume, cancel, apply a coupon.
//!
//! Each bills what is due of the subscription first, and answers with the subscription as it is then.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{
    BillingError, Change, SubscriptionChange, When, apply_coupon as decide_coupon, cancel_subscription as decide_end,
    change_subscription as decide_change, pause_subscription as decide_pause, resume_subscription as decide_resumption,
};
use domain::ProrationBehavior;
use store::SubscriptionRecord;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::bodies::{ApplyCouponRequest, CancelRequest, ChangeRequest, Subscription};
use crate::{
    access::{Action, ApplyCoupon, CancelSubscription, ChangeSubscription, PauseSubscription, ResumeSubscription},
    http::{
        headers::ETag,
        json::{BodyHash, StrictJson},
        openapi::WriteProblems,
        problem::Problem,
    },
    read,
    resources::fields::NoFields,
    state::GatewayState,
    write::{Ground, Write, Writer},
};

/// What is done.
enum Deed {
    Change(SubscriptionChange),
    Pause,
    Resume,
    Cancel(When, Option<ProrationBehavior>),
    /// With the coupon of this id or key.
    ApplyCoupon(String),
}

/// What is done with which subscription.
struct Acting {
    id: String,
    deed: Deed,
}

impl Write for Acting {
    type Made = SubscriptionRecord;
    type Shown = Subscription;
    const STATUS: StatusCode = StatusCode::OK;
    const ON_CLOCK: bool = true;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        let (Ground { store, actor, time }, id) = (ground, self.id.as_str());
        match &self.deed {
            Deed::Change(change) => decide_change(store, actor, time, (id, change.clone())).await,
            Deed::Pause => decide_pause(store, actor, time, id).await,
            Deed::Resume => decide_resumption(store, actor, time, id).await,
            Deed::Cancel(when, proration) => decide_end(store, actor, time, (id, *when, *proration)).await,
            Deed::ApplyCoupon(coupon) => decide_coupon(store, actor, time, (id, coupon)).await,
        }
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> Subscription {
        Subscription::of(made, livemode)
    }
}

/// The routes of the actions.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(change_subscription))
        .routes(routes!(pause_subscription))
        .routes(routes!(resume_subscription))
        .routes(routes!(cancel_subscription))
        .routes(routes!(apply_coupon))
}

async fn act<A: Action>(
    gateway: &GatewayState,
    writer: Writer<A>,
    (id, body_hash): (String, BodyHash),
    deed: Deed,
) -> Result<Response, Problem> {
    let _: SubscriptionRecord = read::find(gateway, writer.caller(), ("subscription", &id)).await?;
    writer.run(gateway, (body_hash, Acting { id, deed })).await
}

/// Changes a subscription's plan or quantities: now, with an invoice at once, or at the end of its period.
#[utoipa::path(post, path = "/v1/subscriptions/{id}/change", tag = "subscriptions", request_body = ChangeRequest,
    params(("id" = String, Path)), responses((status = 200, body = Subscription), WriteProblems))]
async fn change_subscription(
    State(gateway): State<GatewayState>,
    writer: Writer<ChangeSubscription>,
    Path(id): Path<String>,
    body: StrictJson<ChangeRequest>,
) -> Result<Response, Problem> {
    body.value.may_be_asked_by(&writer.caller().reach)?;
    act(&gateway, writer, (id, body.body_hash), Deed::Change(body.value.parse())).await
}

/// Pauses a subscription: from this day on nothing is billed, and periods do not move.
#[utoipa::path(post, path = "/v1/subscriptions/{id}/pause", tag = "subscriptions", request_body = NoFields,
    params(("id" = String, Path)), responses((status = 200, body = Subscription), WriteProblems))]
async fn pause_subscription(
    State(gateway): State<GatewayState>,
    writer: Writer<PauseSubscription>,
    Path(id): Path<String>,
    body: StrictJson<NoFields>,
) -> Result<Response, Problem> {
    act(&gateway, writer, (id, body.body_hash), Deed::Pause).await
}

/// Resumes a paused subscription: from this day on it is billed again; what it paid for paused days is credited on its next
/// invoice.
#[utoipa::path(post, path = "/v1/subscriptions/{id}/resume", tag = "subscriptions", request_body = NoFields,
    params(("id" = String, Path)), responses((status = 200, body = Subscription), WriteProblems))]
async fn resume_subscription(
    State(gateway): State<GatewayState>,
    writer: Writer<ResumeSubscription>,
    Path(id): Path<String>,
    body: StrictJson<NoFields>,
) -> Result<Response, Problem> {
    act(&gateway, writer, (id, body.body_hash), Deed::Resume).await
}

/// Cancels a subscription: now, with a last invoice at once, or at the end of its period.
#[utoipa::path(post, path = "/v1/subscriptions/{id}/cancel", tag = "subscriptions", request_body = CancelRequest,
    params(("id" = String, Path)), responses((status = 200, body = Subscription), WriteProblems))]
async fn cancel_subscription(
    State(gateway): State<GatewayState>,
    writer: Writer<CancelSubscription>,
    Path(id): Path<String>,
    body: StrictJson<CancelRequest>,
) -> Result<Response, Problem> {
    body.value.may_be_asked_by(&writer.caller().reach)?;
    let (when, proration) = body.value.parse();
    act(&gateway, writer, (id, body.body_hash), Deed::Cancel(when, proration)).await
}

/// Applies a coupon to a subscription, from its next invoice on.
#[utoipa::path(post, path = "/v1/subscriptions/{id}/apply_coupon", tag = "subscriptions",
    request_body = ApplyCouponRequest, params(("id" = String, Path)),
    responses((status = 200, body = Subscription), WriteProblems))]
async fn apply_coupon(
    State(gateway): State<GatewayState>,
    writer: Writer<ApplyCoupon>,
    Path(id): Path<String>,
    body: StrictJson<ApplyCouponRequest>,
) -> Result<Response, Problem> {
    act(&gateway, writer, (id, body.body_hash), Deed::ApplyCoupon(body.value.coupon)).await
}
