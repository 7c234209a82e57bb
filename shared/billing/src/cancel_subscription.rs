//! Cancels a subscription: now, with a final invoice at once, or at the end of its period.

use domain::{Occasion, ProrationBehavior};
use serde_json::json;
use store::{Message, Store, SubscriptionRecord};

use crate::{
    Actor, BillingError, Change, EventType, TenantTime,
    change_subscription::When,
    loaded_subscription::{LoadedSubscription, refusal},
    subscription_desk::SubscriptionDesk,
};

/// Decides a cancellation.
///
/// # Errors
/// `NotFound`; `State` when the subscription is over; store errors.
pub async fn cancel_subscription(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (id, when, proration): (&str, When, Option<ProrationBehavior>),
) -> Result<Change<SubscriptionRecord>, BillingError> {
    let mut desk = SubscriptionDesk::open(store, actor, time, id).await?;
    let fact = match when {
        When::Now => {
            let proration = proration.unwrap_or(desk.loaded.record.proration);
            desk.bill(&Occasion::Cancel { at: time.now, proration }).await?;
            EventType::SubscriptionCancelled
        }
        When::PeriodEnd => {
            let LoadedSubscription { record, .. } = &mut desk.loaded;
            let cancelled = record.subscription.cancel_at_period_end();
            cancelled.map_err(|error| refusal(error.into()))?;
            EventType::SubscriptionCancellationScheduled
        }
    };
    desk.loaded.follow(None);
    let ends_at = desk.loaded.record.subscription.end_at();
    let plan = desk.loaded.plan.plan.key().to_owned();
    desk.tell(Message::SubscriptionCancelled {
        subscription: id.to_owned(),
        plan,
        ends_at: ends_at.unwrap_or(time.now),
    })?;
    let data = json!({ "end_at": ends_at });
    desk.close(fact, data)
}
