//! Cancels a subscription: now, with a final invoice at once, or at the end of its period.

use domain::{Occasion, ProrationBehavior};
use serde_json::json;
use store::{Store, SubscriptionRecord};

use crate::{
    Actor, BillingError, Change, TenantTime,
    change_subscription::When,
    subscription_desk::{SubscriptionDesk, refusal},
};

/// Decides a cancellation.
///
/// # Errors
/// `NotFound`; `State` when the subscription is over; store errors.
pub async fn cancel_subscription(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (id, when, proration): (&str, When, ProrationBehavior),
) -> Result<Change<SubscriptionRecord>, BillingError> {
    let mut desk = SubscriptionDesk::open(store, actor, time, id).await?;
    match when {
        When::Now => desk.bill(&Occasion::Cancel { at: time.now, proration }).await?,
        When::PeriodEnd => {
            let cancelled = desk.record.subscription.cancel_at_period_end(&desk.customer.timezone);
            cancelled.map_err(|error| refusal(error.into()))?;
        }
    }
    let data = json!({ "end_at": desk.record.subscription.end_at() });
    desk.close("subscription.cancelled", data)
}
