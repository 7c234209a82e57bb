//! Subscribes a new customer to the tenant's default plan, if there is one.
//!
//! A customer who has chosen a plan meanwhile, or pays in another currency than the default plan's, is left alone.

use store::{Customer, Event, Store, SubscriptionRecord, Tenant, default_subscription_id};

use crate::{
    Actor, BillingError, Change, NewSubscription, TenantTime, create_subscription, create_subscription::find_plan,
};

pub(super) async fn decide(
    store: &Store,
    event: &Event,
    time: &TenantTime,
) -> Result<Option<Change<()>>, BillingError> {
    let (tenant, customer) = (event.tenant.as_str(), event.subject.as_str());
    let settings: Option<Tenant> = store.find(tenant, tenant).await?;
    let Some(plan) = settings.and_then(|settings| settings.default_plan) else { return Ok(None) };
    let Some(customer): Option<Customer> = store.find(tenant, customer).await? else { return Ok(None) };
    let id = default_subscription_id(&customer.id);
    let has_one = store.find::<SubscriptionRecord>(tenant, &id).await?.is_some();
    if has_one || !store.live_subscriptions(tenant, &customer.id).await?.is_empty() {
        return Ok(None);
    }
    let plan = find_plan(store, tenant, &plan).await?;
    if plan.plan.currency() != customer.currency {
        tracing::info!(customer = customer.id, plan = plan.id, "the default plan is in another currency");
        return Ok(None);
    }
    if plan.deprecated_at.is_some() || customer.deleted_at.is_some() {
        tracing::info!(customer = customer.id, plan = plan.id, "nobody subscribes to the default plan any more");
        return Ok(None);
    }
    let actor = Actor { request_id: event.request_id.clone(), ..Actor::system(tenant) };
    let new = NewSubscription { customer: customer.id, plan: plan.id, ..NewSubscription::default() };
    let Change { unit, follow_up, .. } = create_subscription(store, &actor, time, (id, new)).await?;
    Ok(Some(Change { result: (), unit, follow_up }))
}
