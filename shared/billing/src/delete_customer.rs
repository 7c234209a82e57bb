//! Deletes a customer: what names a person is taken away, its subscriptions end, and nothing new can be done with it. Its
//! invoices stay as they were issued.

use domain::InvoiceStatus;
use serde_json::json;
use store::{Customer, Due, Invoice, Store, SubscriptionRecord, UnitOfWork};

use crate::{
    Actor, BillingError, Change, EventType, Target, TenantTime, actor::Fact, find_customer::load_customer,
    invoice_state::payment_in_progress, loaded_subscription::refusal, mark_uncollectible::write_off as mark_off,
};

/// Invoices that a deletion closes at once; a customer with more has them dealt with first.
const MAX_UNSETTLED: i64 = 200;

/// What a deleted customer is called.
const PSEUDONYM: &str = "Deleted customer";

/// What becomes of invoices that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenInvoices {
    /// The deletion is refused.
    Refuse,
    /// They are written off.
    WriteOff,
}

/// Decides a deletion. Subscriptions end without another invoice: whoever wants one cancels them first.
///
/// # Errors
/// `NotFound`; `Stale`; `State` when it is deleted already, has drafts, or open invoices that may not be written off, or a
/// payment is under way; store errors.
pub async fn delete_customer(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (target, open): (&Target, OpenInvoices),
) -> Result<Change<Customer>, BillingError> {
    let mut customer = load_customer(store, &actor.tenant, &target.id).await?;
    target.check(customer.revision)?;
    let invoices = store.unsettled_invoices((&actor.tenant, &customer.id), MAX_UNSETTLED).await?;
    check(&invoices, open)?;
    let mut unit = UnitOfWork::default();
    for invoice in invoices {
        write_off(&mut unit, (actor, time), invoice)?;
    }
    for subscription in store.live_subscriptions(&actor.tenant, &customer.id).await? {
        end_subscription(&mut unit, (actor, time), (&customer, subscription))?;
    }
    pseudonymise(&mut customer, time);
    unit.replace(&mut customer)?;
    let fact =
        Fact { name: EventType::CustomerDeleted, subject: &customer.id, revision: customer.revision, data: json!({}) };
    actor.record(&mut unit, time.wall, fact)?;
    Ok(Change { result: customer, unit, follow_up: Vec::new() })
}

fn check(unsettled: &[Invoice], open: OpenInvoices) -> Result<(), BillingError> {
    if unsettled.iter().any(|invoice| invoice.status == InvoiceStatus::Draft) {
        return Err(BillingError::state("draft_invoices", "the customer has invoices that are drafts; finalise them"));
    }
    if open == OpenInvoices::Refuse && !unsettled.is_empty() {
        return Err(BillingError::state("open_invoices", "the customer has invoices that are open"));
    }
    if i64::try_from(unsettled.len()).unwrap_or(i64::MAX) >= MAX_UNSETTLED {
        let detail = format!("the customer has {MAX_UNSETTLED} or more invoices that are open");
        return Err(BillingError::state("too_many_open_invoices", detail));
    }
    Ok(())
}

fn write_off(
    unit: &mut UnitOfWork,
    (actor, time): (&Actor, &TenantTime),
    invoice: Invoice,
) -> Result<(), BillingError> {
    if invoice.open_attempt.is_some() {
        return Err(payment_in_progress());
    }
    mark_off(unit, (actor, time), invoice).map(drop)
}

fn end_subscription(
    unit: &mut UnitOfWork,
    (actor, time): (&Actor, &TenantTime),
    (customer, mut record): (&Customer, SubscriptionRecord),
) -> Result<(), BillingError> {
    record.subscription.abandon(time.now).map_err(|error| refusal(error.into()))?;
    record.due = Due::never();
    unit.replace(&mut record)?;
    let data = json!({ "customer": customer.id, "end_at": record.subscription.end_at() });
    let fact = Fact { name: EventType::SubscriptionCancelled, subject: &record.id, revision: record.revision, data };
    Ok(actor.record(unit, time.wall, fact)?)
}

fn pseudonymise(customer: &mut Customer, time: &TenantTime) {
    PSEUDONYM.clone_into(&mut customer.name);
    customer.email.clear();
    customer.address = None;
    customer.payment_method = None;
    customer.metadata.clear();
    customer.deleted_at = Some(time.wall);
}
