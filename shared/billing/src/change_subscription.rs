//! Changes a subscription's plan or quantities: now, with an invoice at once, or at the end of its period.

use std::collections::BTreeMap;

use domain::{Billable, Occasion, ProrationBehavior};
use rust_decimal::Decimal;
use serde_json::json;
use store::{PlanVersion, Store, SubscriptionRecord};

use crate::{
    Actor, BillingError, Change, TenantTime,
    create_subscription::{check_terms, find_plan},
    subscription_desk::{SubscriptionDesk, refusal},
};

/// When something happens to a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Now,
    PeriodEnd,
}

/// A change of a subscription, already parsed.
#[derive(Clone, Debug)]
pub struct SubscriptionChange {
    /// `pln_...` or the plan's key; the plan stays if absent.
    pub plan: Option<String>,
    /// Merged into the quantities it has.
    pub quantities: BTreeMap<String, Decimal>,
    /// If absent, an upgrade happens now and a downgrade at the end of the period.
    pub when: Option<When>,
    pub proration: ProrationBehavior,
}

/// Decides a change.
///
/// # Errors
/// `NotFound`; `Rule` when the plan is unknown or does not fit; `State` when the subscription is over; store errors.
pub async fn change_subscription(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (id, change): (&str, SubscriptionChange),
) -> Result<Change<SubscriptionRecord>, BillingError> {
    let mut desk = SubscriptionDesk::open(store, actor, time, id).await?;
    let to = match &change.plan {
        Some(plan) => find_plan(store, &actor.tenant, plan).await?,
        None => desk.plan.clone(),
    };
    if to.id != desk.plan.id {
        let mut live = store.live_subscriptions(&actor.tenant, &desk.customer.id).await?;
        live.retain(|other| other.id != desk.record.id);
        check_terms(&desk.customer, &to, &live)?;
    }
    let when = match change.when {
        Some(when) => when,
        None if upgrades(&desk, time, (&to, &change.quantities))? => When::Now,
        None => When::PeriodEnd,
    };
    match when {
        When::Now => {
            let (to, quantities, proration) = ((to.id.as_str(), &to.plan), &change.quantities, change.proration);
            desk.bill(&Occasion::Change { at: time.now, to, quantities, proration }).await?;
        }
        When::PeriodEnd => {
            let scheduled = desk.record.subscription.change_at_period_end((&to.id, &to.plan), &change.quantities);
            scheduled.map_err(|error| BillingError::rule("invalid_subscription", "", error.to_string()))?;
        }
    }
    if when == When::Now {
        desk.record.meters = to.plan.meters().map(ToOwned::to_owned).collect();
    }
    let data = json!({ "plan": to.id, "quantities": change.quantities, "now": when == When::Now });
    desk.close("subscription.updated", data)
}

fn upgrades(
    desk: &SubscriptionDesk<'_>,
    time: &TenantTime,
    (to, quantities): (&PlanVersion, &BTreeMap<String, Decimal>),
) -> Result<bool, BillingError> {
    let billable = Billable {
        plan: &desk.plan.plan,
        subscription: &desk.record.subscription,
        zone: &desk.customer.timezone,
        taxes: &desk.customer.taxes(),
    };
    domain::is_upgrade(&billable, time.now, (&to.plan, quantities)).map_err(refusal)
}
