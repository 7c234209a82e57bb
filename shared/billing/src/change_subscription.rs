//! Changes a subscription's plan or quantities: now, with an invoice at once, or at the end of its period.

use std::collections::BTreeMap;

use domain::{Occasion, ProrationBehavior};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::json;
use store::{Message, PlanVersion, Store, SubscriptionRecord};

use crate::{
    Actor, BillingError, Change, EventType, TenantTime,
    create_subscription::{check_terms, find_plan, on_sale},
    loaded_subscription::{LoadedSubscription, refusal},
    subscription_desk::SubscriptionDesk,
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
    /// The subscription's if absent.
    pub proration: Option<ProrationBehavior>,
}

/// Decides a change.
///
/// # Errors
/// `NotFound`; `Rule` or `Spec` when nothing is named, the plan is unknown or does not fit, or a quantity does not; `State`
/// when the subscription is over, has not started, or ends before the change; store errors.
pub async fn change_subscription(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (id, change): (&str, SubscriptionChange),
) -> Result<Change<SubscriptionRecord>, BillingError> {
    if change.plan.is_none() && change.quantities.is_empty() {
        return Err(BillingError::rule("nothing_to_change", "", "a plan or quantities must be named"));
    }
    let mut desk = SubscriptionDesk::open(store, actor, time, id).await?;
    desk.must_live()?;
    let to = new_plan(store, &desk, change.plan.as_deref()).await?;
    let when = match change.when {
        Some(when) => when,
        None if upgrades(&desk, time, (&to, &change.quantities))? => When::Now,
        None => When::PeriodEnd,
    };
    let data = json!({ "plan": to.id, "quantities": change.quantities, "now": when == When::Now });
    let (plan, quantities) = (to.plan.key().to_owned(), change.quantities.clone());
    match when {
        When::Now => change_now(&mut desk, time, (to, &change)).await?,
        When::PeriodEnd => schedule(&mut desk, (to, &change))?,
    }
    desk.tell(Message::SubscriptionChanged {
        subscription: id.to_owned(),
        plan,
        quantities: quantities.into_iter().map(|(key, units)| (key, units.to_string())).collect(),
        effective_at: effective_at(&desk, when, time),
    })?;
    desk.close(EventType::SubscriptionUpdated, data)
}

/// From when on it is changed.
fn effective_at(desk: &SubscriptionDesk<'_>, when: When, time: &TenantTime) -> Timestamp {
    let LoadedSubscription { record, customer, .. } = &desk.loaded;
    match when {
        When::Now => time.now,
        When::PeriodEnd => customer.timezone.start_of_day(record.subscription.current_period().end),
    }
}

/// The plan that it changes to; the one it has if none is named.
async fn new_plan(
    store: &Store,
    desk: &SubscriptionDesk<'_>,
    named: Option<&str>,
) -> Result<PlanVersion, BillingError> {
    let (tenant, customer) = (&desk.loaded.record.tenant, &desk.loaded.customer);
    let Some(named) = named else { return Ok(desk.loaded.plan.clone()) };
    let plan = find_plan(store, tenant, named).await?;
    let newest = plan.newest(plan.created);
    if newest.id == desk.loaded.plan.id {
        return Ok(newest);
    }
    let to = on_sale(&plan)?;
    check_terms(customer.currency, &to)?;
    Ok(to)
}

async fn change_now(
    desk: &mut SubscriptionDesk<'_>,
    time: &TenantTime,
    (to, change): (PlanVersion, &SubscriptionChange),
) -> Result<(), BillingError> {
    desk.must_have_started()?;
    let occasion = Occasion::Change {
        at: time.now,
        to: (&to.id, &to.plan),
        quantities: &change.quantities,
        proration: change.proration.unwrap_or(desk.loaded.record.proration),
    };
    desk.bill(&occasion).await?;
    desk.loaded.follow(Some(to));
    Ok(())
}

fn schedule(
    desk: &mut SubscriptionDesk<'_>,
    (to, change): (PlanVersion, &SubscriptionChange),
) -> Result<(), BillingError> {
    let LoadedSubscription { record, .. } = &mut desk.loaded;
    let ends = record.subscription.end_at().map(|end| record.subscription.date_of(end));
    if ends.is_some_and(|end| end <= record.subscription.current_period().end) {
        return Err(BillingError::state("ending", "the subscription ends with the period, so nothing follows"));
    }
    let scheduled = record.subscription.change_at_period_end((&to.id, &to.plan), &change.quantities);
    scheduled.map_err(refusal)?;
    desk.loaded.next_plan = Some(to);
    desk.loaded.follow(None);
    Ok(())
}

fn upgrades(
    desk: &SubscriptionDesk<'_>,
    time: &TenantTime,
    (to, quantities): (&PlanVersion, &BTreeMap<String, Decimal>),
) -> Result<bool, BillingError> {
    domain::is_upgrade(&desk.loaded.billable(), time.now, (&to.plan, quantities)).map_err(refusal)
}
