//! Sends an issued invoice to its customer once more.

use domain::InvoiceStatus;
use queue::NewJob;
use serde_json::json;
use store::{Invoice, Store, UnitOfWork};

use crate::{
    Actor, BillingError, Change, EventType, TenantTime, actor::Fact, find_customer::load_customer,
    issue_invoice::mail_again, jobs::SendNotification,
};

/// Decides that an invoice is mailed again; it is written with the mail, so that each of two requests has one of its own.
///
/// # Errors
/// `NotFound`; `State` for a draft, and when the customer is deleted; store errors.
pub async fn send_invoice(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    id: &str,
) -> Result<Change<Invoice>, BillingError> {
    let missing = || BillingError::not_found("invoice", id);
    let mut invoice: Invoice = store.find(&actor.tenant, id).await?.ok_or_else(missing)?;
    if invoice.status == InvoiceStatus::Draft {
        return Err(BillingError::state("invalid_state", "the invoice is a draft; finalise it first"));
    }
    load_customer(store, &actor.tenant, &invoice.customer).await?;
    let mut unit = UnitOfWork::default();
    unit.replace(&mut invoice)?;
    let mail = mail_again(&invoice, time);
    unit.insert(&mail)?;
    let data = json!({ "customer": invoice.customer, "notification": mail.id });
    let fact = Fact { name: EventType::InvoiceSent, subject: &invoice.id, revision: invoice.revision, data };
    actor.record(&mut unit, time.wall, fact)?;
    let job = SendNotification::Notification { tenant: mail.tenant, notification: mail.id };
    Ok(Change { result: invoice, unit, follow_up: vec![NewJob::of(&job)?] })
}
