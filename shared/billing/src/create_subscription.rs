//! Creates a subscription and issues its initial invoice.

use std::collections::BTreeMap;

use domain::{
    AnchorDay, Billable, BillingCycle, Coupon, Currency, Metered, Occasion, ProrationBehavior, Start, Subscription,
    Zone,
};
use jiff::{Timestamp, ToSpan};
use rust_decimal::Decimal;
use serde_json::json;
use store::{
    Collection, Customer, Invoice, Message, Notification, PlanRecord, PlanVersion, Recipient, Store,
    SubscriptionRecord, UnitOfWork, WalletRecord,
};

use crate::{
    Actor, BillingError, Change, EventType, TenantTime,
    actor::Fact,
    apply_coupon::find_coupons,
    find_customer::find_customer,
    issue_invoice::{self, Issue, Source},
    loaded_subscription::refusal,
    purse::load_wallets,
};

/// A subscription to create, already parsed.
#[derive(Clone, Debug, Default)]
pub struct NewSubscription {
    /// `cus_...`
    pub customer: String,
    /// `pln_...` or the plan's key.
    pub plan: String,
    pub billing_cycle: BillingCycle,
    /// The day of the month that periods begin on; the start's, or the trial's end's, if absent.
    pub anchor_day: Option<AnchorDay>,
    /// The plan's if absent.
    pub trial_days: Option<u16>,
    /// `cpn_...` or keys, in the order they apply.
    pub coupons: Vec<String>,
    pub quantities: BTreeMap<String, Decimal>,
    /// Now if absent; may lie in the past or in the future.
    pub start_at: Option<Timestamp>,
    /// The first instant at which it is over, if that is known.
    pub end_at: Option<Timestamp>,
    pub collection: Collection,
    /// Of changes and cancellations that do not say.
    pub proration: ProrationBehavior,
    pub metadata: BTreeMap<String, String>,
}

/// Days before the end of a trial on which the customer is told: time enough to decide.
const TRIAL_NOTICE_DAYS: i64 = 3;

/// Decides the creation of a subscription under `id`. If it has started, its first boundary is billed at once; later ones
/// are left to the billing run.
///
/// The customer is written with it, so that what else happens to the customer at that moment comes before or after.
///
/// # Errors
/// `State` when the plan is deprecated; `Rule` when customer or plan are unknown or do not fit each other; `Spec` when
/// anything else does not fit the plan, or a coupon is unknown; store errors.
pub async fn create_subscription(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (id, new): (String, NewSubscription),
) -> Result<Change<SubscriptionRecord>, BillingError> {
    let (mut customer, plan) = load(store, &actor.tenant, &new).await?;
    check_terms(customer.currency, &plan)?;
    let coupons = find_coupons(store, (&actor.tenant, customer.currency), &new.coupons).await?;

    let mut record = decide(actor, time, (id, &new), (&customer, &plan, coupons))?;
    let mut unit = UnitOfWork::default();
    unit.replace(&mut customer)?;
    let mut wallets = load_wallets(store, &customer, time).await?;
    let initial = bill_start(&mut unit, (actor, time), (&mut record, &plan), (&mut customer, &mut wallets))?;
    unit.insert(&record)?;
    let data = json!({ "customer": record.customer, "plan": plan.id });
    let fact = Fact { name: EventType::SubscriptionCreated, subject: &record.id, revision: record.revision, data };
    actor.record(&mut unit, time.wall, fact)?;
    announce_trial_end(&mut unit, time, (&record, &customer), plan.plan.key())?;
    let follow_up = initial.as_ref().map(issue_invoice::follow_up).transpose()?.unwrap_or_default();
    Ok(Change { result: record, unit, follow_up })
}

/// Has the customer told some days before the trial ends, on the tenant's clock; at once if it is shorter.
fn announce_trial_end(
    unit: &mut UnitOfWork,
    time: &TenantTime,
    (record, customer): (&SubscriptionRecord, &Customer),
    plan: &str,
) -> Result<(), BillingError> {
    let Some(ends_on) = record.subscription.trial_end() else { return Ok(()) };
    let Ok(notice_on) = ends_on.checked_sub(TRIAL_NOTICE_DAYS.days()) else { return Ok(()) };
    let message = Message::TrialEnding { subscription: record.id.clone(), plan: plan.to_owned(), ends_on };
    let to = Recipient::Customer(customer.id.clone());
    let mail = Notification::new((&record.tenant, &record.id), to, message, time.wall);
    let at = customer.timezone.start_of_day(notice_on).max(time.now);
    Ok(unit.insert(&Notification { due: time.due(Some(at)), ..mail })?)
}

async fn load(store: &Store, tenant: &str, new: &NewSubscription) -> Result<(Customer, PlanVersion), BillingError> {
    let customer = find_customer(store, tenant, &new.customer).await?;
    Ok((customer, on_sale(&find_plan(store, tenant, &new.plan).await?)?))
}

/// The plan that a client names by id or key.
///
/// # Errors
/// `Rule` when there is none; store errors.
pub(crate) async fn find_plan(store: &Store, tenant: &str, named: &str) -> Result<PlanRecord, BillingError> {
    let by_id = store.find::<PlanRecord>(tenant, named).await?;
    let plan = match by_id {
        Some(plan) => Some(plan),
        None => store.plan_by_key(tenant, named).await?,
    };
    plan.ok_or_else(|| BillingError::rule("unknown_plan", "/plan", format!("no such plan: {named}")))
}

/// The version of a plan that is sold: its newest.
///
/// # Errors
/// `State` when the plan is deprecated.
pub(crate) fn on_sale(plan: &PlanRecord) -> Result<PlanVersion, BillingError> {
    if plan.deprecated_at.is_some() {
        let detail = format!("the plan `{}` is deprecated: nobody subscribes to it any more", plan.plan.key());
        return Err(BillingError::state("plan_deprecated", detail));
    }
    Ok(plan.newest(plan.created))
}

/// Whether a customer who pays in `currency` can have a plan.
///
/// # Errors
/// `Rule` when the currencies differ.
pub(crate) fn check_terms(currency: Currency, plan: &PlanVersion) -> Result<(), BillingError> {
    if currency != plan.plan.currency() {
        let detail = format!("the plan is in {}, the customer pays in {currency}", plan.plan.currency());
        return Err(BillingError::rule("currency_mismatch", "/plan", detail));
    }
    Ok(())
}

fn decide(
    actor: &Actor,
    time: &TenantTime,
    (id, new): (String, &NewSubscription),
    (customer, plan, coupons): (&Customer, &PlanVersion, Vec<Coupon>),
) -> Result<SubscriptionRecord, BillingError> {
    let subscription = start(new, plan, (time.now, &customer.timezone), coupons)?;
    let due = time.due(subscription.due_at());
    let mut record = SubscriptionRecord {
        id,
        tenant: actor.tenant.clone(),
        revision: 1,
        created: time.wall,
        customer: customer.id.clone(),
        subscription,
        meters: Vec::new(),
        collection: new.collection,
        proration: new.proration,
        metadata: new.metadata.clone(),
        due,
    };
    record.note_meters(&plan.plan);
    Ok(record)
}

/// The subscription as it starts, now if nothing else is said.
///
/// # Errors
/// `Spec` when something does not fit the plan.
pub(crate) fn start(
    new: &NewSubscription,
    plan: &PlanVersion,
    (now, zone): (Timestamp, &Zone),
    coupons: Vec<Coupon>,
) -> Result<Subscription, BillingError> {
    let start = Start {
        at: new.start_at.unwrap_or(now),
        zone,
        cycle: new.billing_cycle,
        anchor_day: new.anchor_day,
        trial_days: new.trial_days,
        quantities: new.quantities.clone(),
        coupons,
        end_at: new.end_at,
    };
    Ok(Subscription::start(&plan.id, &plan.plan, start)?)
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
    let bill =
        domain::bill(&billable, &Occasion::Boundary { next_plan: None }, &Metered::default()).map_err(refusal)?;
    record.subscription = bill.subscription;
    record.due = time.due(record.subscription.due_at());
    let Some(content) = bill.invoice else { return Ok(None) };
    let source = Source::Subscription(&record.id);
    let collection = record.collection;
    let issue = Issue {
        customer,
        wallets,
        source,
        boundary,
        revision: None,
        content,
        collection,
        chunk: None,
        is_held: false,
        recipe: None,
    };
    Ok(Some(issue_invoice::issue_invoice(unit, actor, time, issue)?))
}
