//! Creates a subscription and issues its initial invoice.

use std::collections::BTreeMap;

use domain::{Billable, BillingCycle, Metered, Occasion, Subscription};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::json;
use store::{Customer, Invoice, PlanVersion, Store, SubscriptionRecord, UnitOfWork, WalletRecord};

use crate::{
    Actor, BillingError, Change, TenantTime,
    actor::Fact,
    issue_invoice::{self, Issue, Source},
    purse::load_wallets,
};

/// A subscription to create, already parsed.
#[derive(Clone, Debug)]
pub struct NewSubscription {
    /// `cus_...`
    pub customer: String,
    /// `pln_...` or the plan's key.
    pub plan: String,
    pub billing_cycle: BillingCycle,
    pub quantities: BTreeMap<String, Decimal>,
    /// Now if absent; may lie in the past or in the future.
    pub start_at: Option<Timestamp>,
    pub metadata: BTreeMap<String, String>,
}

/// Decides the creation of a subscription under `id`. If it has started, its first boundary is billed at once; later ones
/// are left to the billing run.
///
/// The customer is written with it, so that of two creations at once for one customer one sees the other.
///
/// # Errors
/// `Rule` when customer or plan are unknown, do not fit each other, or a meter of the plan is billed for the customer by
/// another subscription; store errors.
pub async fn create_subscription(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (id, new): (String, NewSubscription),
) -> Result<Change<SubscriptionRecord>, BillingError> {
    let (mut customer, plan) = load(store, &actor.tenant, &new).await?;
    let live = store.live_subscriptions(&actor.tenant, &customer.id).await?;
    check_terms(&customer, &plan, &live)?;

    let mut record = decide(actor, time, (id, &new), (&customer, &plan))?;
    let mut unit = UnitOfWork::default();
    unit.replace(&mut customer)?;
    let mut wallets = load_wallets(store, &customer, time).await?;
    let initial = bill_start(&mut unit, (actor, time), (&mut record, &plan), (&mut customer, &mut wallets))?;
    unit.insert(&record)?;
    let data = json!({ "customer": record.customer, "plan": plan.id });
    let fact = Fact { name: "subscription.created", subject: &record.id, revision: record.revision, data };
    actor.record(&mut unit, time.wall, fact)?;
    let follow_up = initial.as_ref().map(issue_invoice::follow_up).transpose()?.unwrap_or_default();
    Ok(Change { result: record, unit, follow_up })
}

async fn load(store: &Store, tenant: &str, new: &NewSubscription) -> Result<(Customer, PlanVersion), BillingError> {
    let customer = store.find::<Customer>(tenant, &new.customer).await?.ok_or_else(|| {
        BillingError::rule("unknown_customer", "/customer", format!("no such customer: {}", new.customer))
    })?;
    Ok((customer, find_plan(store, tenant, &new.plan).await?))
}

/// The plan version that a client names by id or key.
///
/// # Errors
/// `Rule` when there is none; store errors.
pub(crate) async fn find_plan(store: &Store, tenant: &str, named: &str) -> Result<PlanVersion, BillingError> {
    let by_id = store.find::<PlanVersion>(tenant, named).await?;
    let plan = match by_id {
        Some(plan) => Some(plan),
        None => store.plan_by_key(tenant, named).await?,
    };
    plan.ok_or_else(|| BillingError::rule("unknown_plan", "/plan", format!("no such plan: {named}")))
}

/// Whether a customer can have a plan beside the subscriptions that live.
///
/// # Errors
/// `Rule` when the currencies differ, or a meter of the plan is billed for the customer already.
pub(crate) fn check_terms(customer: &Customer, plan: &PlanVersion, live: &[SubscriptionRecord]) -> Result<(), BillingError> {
    if customer.currency != plan.plan.currency() {
        let detail = format!("the plan is in {}, the customer pays in {}", plan.plan.currency(), customer.currency);
        return Err(BillingError::rule("currency_mismatch", "/plan", detail));
    }
    // Usage names customer and meter, so a meter can be billed by one subscription of a customer only.
    let billed_by = |meter: &str| live.iter().find(|other| other.meters.iter().any(|key| key == meter));
    if let Some((meter, other)) = plan.plan.meters().find_map(|meter| Some((meter, billed_by(meter)?))) {
        let detail = format!("usage of meter `{meter}` is billed by {} already", other.id);
        return Err(BillingError::rule("meter_in_use", "/plan", detail));
    }
    Ok(())
}

fn decide(
    actor: &Actor,
    time: &TenantTime,
    (id, new): (String, &NewSubscription),
    (customer, plan): (&Customer, &PlanVersion),
) -> Result<SubscriptionRecord, BillingError> {
    let start_at = new.start_at.unwrap_or(time.now);
    let subscription = Subscription::start(
        &plan.id,
        &plan.plan,
        domain::Start {
            cycle: new.billing_cycle,
            quantities: new.quantities.clone(),
            ..domain::Start::at(start_at, &customer.timezone)
        },
    )
    .map_err(|error| BillingError::rule("invalid_subscription", "", error.to_string()))?;
    let due = time.due(subscription.due_at(&customer.timezone));
    Ok(SubscriptionRecord {
        id,
        tenant: actor.tenant.clone(),
        revision: 1,
        created: time.wall,
        customer: customer.id.clone(),
        subscription,
        meters: plan.plan.meters().map(ToOwned::to_owned).collect(),
        metadata: new.metadata.clone(),
        due,
    })
}

/// Bills the first boundary if it is due, and moves the subscription on to the next.
fn bill_start(
    unit: &mut UnitOfWork,
    (actor, time): (&Actor, &TenantTime),
    (record, plan): (&mut SubscriptionRecord, &PlanVersion),
    (customer, wallets): (&mut Customer, &mut [WalletRecord]),
) -> Result<Option<Invoice>, BillingError> {
    if record.due.at.is_none_or(|due| due > time.now) {
        return Ok(None);
    }
    let Some(boundary) = record.subscription.next_boundary() else { return Ok(None) };
    let taxes = customer.taxes();
    let billable =
        Billable { plan: &plan.plan, subscription: &record.subscription, zone: &customer.timezone, taxes: &taxes };
    let bill = domain::bill(&billable, &Occasion::Boundary { next_plan: None }, &Metered::default())
        .map_err(|error| BillingError::rule("not_billable", "", error.to_string()))?;
    record.subscription = bill.subscription;
    record.due = time.due(record.subscription.due_at(&customer.timezone));
    let Some(content) = bill.invoice else { return Ok(None) };
    let source = Source::Subscription(&record.id);
    let issue = Issue { customer, wallets, source, boundary, revision: None, content, chunk: None };
    Ok(Some(issue_invoice::issue_invoice(unit, actor, time, issue)?))
}
