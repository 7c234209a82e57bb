//! Pauses a subscription and resumes it: days in between are not billed, and periods do not move.

use domain::Occasion;
use serde_json::json;
use store::{Store, SubscriptionRecord};

use crate::{
    Actor, BillingError, Change, EventType, TenantTime,
    loaded_subscription::{LoadedSubscription, refusal},
    subscription_desk::SubscriptionDesk,
};

/// Decides a pause, from today on.
///
/// # Errors
/// `NotFound`; `State` when the subscription cannot be paused; store errors.
pub async fn pause_subscription(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    id: &str,
) -> Result<Change<SubscriptionRecord>, BillingError> {
    let mut desk = SubscriptionDesk::open(store, actor, time, id).await?;
    let LoadedSubscription { record, .. } = &mut desk.loaded;
    record.subscription.pause(time.now).map_err(|error| refusal(error.into()))?;
    desk.close(EventType::SubscriptionPaused, json!({ "at": time.now }))
}

/// Decides a resumption, today being billed again.
///
/// # Errors
/// `NotFound`; `State` when the subscription is not paused; store errors.
pub async fn resume_subscription(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    id: &str,
) -> Result<Change<SubscriptionRecord>, BillingError> {
    let mut desk = SubscriptionDesk::open(store, actor, time, id).await?;
    desk.bill(&Occasion::Resume { at: time.now }).await?;
    desk.close(EventType::SubscriptionResumed, json!({ "at": time.now }))
}
