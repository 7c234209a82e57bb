//! Issues an invoice: the one place where decided content becomes documents.
//!
//! Adds the invoice, its event and its mail to the unit of work. Nobody looks after an invoice twice: either the chunk that
//! issued it does, or the documents carry their own `due_at`.

use domain::{InvoiceContent, InvoiceReason, InvoiceStatus};
use jiff::civil::Date;
use queue::{NewJob, QueueError};
use serde_json::json;
use store::{
    Chunk, Customer, Due, Invoice, Notification, NotificationKind, NotificationState, StoreError, UnitOfWork,
    invoice_id, notification_id,
};

use crate::{
    Actor, TenantTime,
    actor::Fact,
    jobs::{CollectPayment, SendNotification},
};

/// Who is billed for what, and who looks after it.
pub(crate) struct Issue<'a> {
    pub customer: &'a Customer,
    pub subscription: &'a str,
    /// Local date that it bills.
    pub boundary: Date,
    /// The subscription's revision, for what may happen more than once a day.
    pub revision: Option<i64>,
    pub content: InvoiceContent,
    /// The chunk of a run, or none when the invoice goes on alone.
    pub chunk: Option<&'a Chunk>,
}

/// Adds the issued invoice to `unit` and returns it.
pub(crate) fn issue_invoice(
    unit: &mut UnitOfWork,
    actor: &Actor,
    time: &TenantTime,
    issue: Issue<'_>,
) -> Result<Invoice, StoreError> {
    let invoice = invoice(&actor.tenant, time, issue);
    unit.insert_invoice(&invoice)?;
    unit.insert(&issued_mail(&invoice, time))?;
    let data = json!({
        "customer": invoice.customer, "subscription": invoice.subscription,
        "currency": invoice.content.currency, "total_minor": invoice.content.total_minor,
    });
    let fact = Fact { name: "invoice.generated", subject: &invoice.id, revision: invoice.revision, data };
    actor.announce(unit, time.wall, fact)?;
    Ok(invoice)
}

/// The work that follows an invoice that goes on alone.
pub(crate) fn follow_up(invoice: &Invoice) -> Result<Vec<NewJob>, QueueError> {
    let tenant = invoice.tenant.clone();
    let notification = notification_id(&invoice.id, NotificationKind::InvoiceIssued.as_str());
    let mut jobs = vec![NewJob::of(&SendNotification::Notification { tenant: tenant.clone(), notification })?];
    if invoice.due.at.is_some() {
        jobs.push(NewJob::of(&CollectPayment::Invoice { tenant, invoice: invoice.id.clone() })?);
    }
    Ok(jobs)
}

fn invoice(tenant: &str, time: &TenantTime, issue: Issue<'_>) -> Invoice {
    let nothing_due = issue.content.amount_due_minor == 0;
    let collectible = !nothing_due && issue.customer.payment_method.is_some();
    let alone = issue.chunk.is_none();
    Invoice {
        id: invoice_id((issue.boundary, issue.revision), letter(issue.content.reason), issue.subscription),
        tenant: tenant.to_owned(),
        revision: 1,
        created: time.wall,
        number: String::new(),
        customer: issue.customer.id.clone(),
        subscription: issue.subscription.to_owned(),
        boundary: issue.boundary,
        billing_run: issue.chunk.map(|chunk| chunk.run.clone()),
        chunk: issue.chunk.map(|chunk| chunk.id.clone()),
        status: if nothing_due { InvoiceStatus::Paid } else { InvoiceStatus::Open },
        content: issue.content,
        collectible,
        attempts: 0,
        open_attempt: None,
        paid_at: nothing_due.then_some(time.now),
        due: if alone && collectible { Due::at(time.wall) } else { Due::never() },
    }
}

fn issued_mail(invoice: &Invoice, time: &TenantTime) -> Notification {
    Notification {
        id: notification_id(&invoice.id, NotificationKind::InvoiceIssued.as_str()),
        tenant: invoice.tenant.clone(),
        created: time.wall,
        kind: NotificationKind::InvoiceIssued,
        customer: invoice.customer.clone(),
        invoice: invoice.id.clone(),
        attempt: None,
        chunk: invoice.chunk.clone(),
        state: NotificationState::Pending,
        sent_at: None,
        due: if invoice.chunk.is_some() { Due::never() } else { Due::at(time.wall) },
    }
}

/// Tells reasons apart that may fall on one date; part of the invoice's id.
fn letter(reason: InvoiceReason) -> char {
    match reason {
        InvoiceReason::SubscriptionCreate => 'c',
        InvoiceReason::Period => 'p',
        InvoiceReason::Change => 'h',
        InvoiceReason::Cancel => 'x',
        InvoiceReason::OneOff => 'o',
    }
}
