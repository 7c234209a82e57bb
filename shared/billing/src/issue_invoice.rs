//! Issues an invoice: the one place where decided content becomes documents.
//!
//! Adds the invoice, its event and its mail to the unit of work. A periodic invoice of a customer with a grace period is kept
//! as a draft first: nothing pays it and nobody hears of it until it is finalised. Nobody looks after an invoice twice: either
//! the chunk that issued it does, or the documents carry their own `due_at`.
//!
//! **Invariant:** wallets and balance pay once, when an invoice is finalised, in its transaction.

use domain::{InvoiceContent, InvoiceReason, InvoiceStatus, grace_end};
use jiff::civil::Date;
use queue::{NewJob, QueueError};
use serde_json::json;
use store::{
    Chunk, Collection, Customer, DraftRecipe, Due, Invoice, Message, Notification, Recipient, StoreError, UnitOfWork,
    WalletRecord, invoice_id, notification_id,
};

use crate::{
    Actor, BillingError, EventType, TenantTime,
    actor::Fact,
    invoice_state::move_to,
    jobs::{CollectPayment, SendNotification},
    ledger::book_issue,
    purse::{Payer, pay},
    settle_payment::Carrier,
};

/// Who is billed for what, and who looks after it.
pub(crate) struct Issue<'a> {
    pub customer: &'a mut Customer,
    /// Its usable wallets.
    pub wallets: &'a mut [WalletRecord],
    pub source: Source<'a>,
    /// Local date that it bills.
    pub boundary: Date,
    /// The subscription's revision, for what may happen more than once a day.
    pub revision: Option<i64>,
    pub content: InvoiceContent,
    pub collection: Collection,
    /// The chunk of a run, or none when the invoice goes on alone.
    pub chunk: Option<&'a Chunk>,
    /// Whether nobody would pay it: it is kept as a draft until somebody finalises it, or it would be paid again.
    pub is_held: bool,
    /// How to bill it again, in case it is a draft; none without usage.
    pub recipe: Option<DraftRecipe>,
}

/// What an invoice bills, by its id.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    Subscription(&'a str),
    /// Lines of its own, under an id that was made for them.
    OneOff(&'a str),
}

/// Adds the issued invoice, or its draft, to `unit` and returns it; its customer's money is moved in place.
///
/// # Errors
/// `Rule` when it cannot be paid within 64 bits, with nothing added to the unit; store errors.
pub(crate) fn issue_invoice(
    unit: &mut UnitOfWork,
    actor: &Actor,
    time: &TenantTime,
    issue: Issue<'_>,
) -> Result<Invoice, BillingError> {
    let mut invoice = draft(&actor.tenant, time, &issue);
    let Customer { invoice_grace_days, timezone, .. } = &*issue.customer;
    let grace_end = grace_end(&issue.content, *invoice_grace_days, timezone).filter(|_| !issue.is_held);
    if issue.is_held || grace_end.is_some() {
        invoice.recipe = issue.recipe;
        invoice.due = time.due(grace_end);
        unit.insert(&invoice)?;
        announce(unit, actor, time, (EventType::InvoiceDrafted, &invoice))?;
        return Ok(invoice);
    }
    let carrier = if issue.chunk.is_some() { Carrier::Chunk } else { Carrier::Alone };
    let payer = Payer { customer: issue.customer, wallets: issue.wallets };
    finalise(unit, (actor, time), payer, (&mut invoice, carrier))?;
    unit.insert_invoice(&invoice)?;
    announce(unit, actor, time, (EventType::InvoiceGenerated, &invoice))?;
    Ok(invoice)
}

/// Finalises a draft that was kept: it goes on alone.
///
/// # Errors
/// `State` when it is no draft; those of [`issue_invoice`].
pub(crate) fn finalise_draft(
    unit: &mut UnitOfWork,
    (actor, time): (&Actor, &TenantTime),
    payer: Payer<'_>,
    invoice: &mut Invoice,
) -> Result<(), BillingError> {
    finalise(unit, (actor, time), payer, (invoice, Carrier::Alone))?;
    unit.finalise_invoice(invoice)?;
    Ok(announce(unit, actor, time, (EventType::InvoiceGenerated, invoice))?)
}

/// The work that follows an invoice that goes on alone.
pub(crate) fn follow_up(invoice: &Invoice) -> Result<Vec<NewJob>, QueueError> {
    if invoice.status == InvoiceStatus::Draft {
        return Ok(Vec::new());
    }
    let tenant = invoice.tenant.clone();
    let notification = notification_id(&invoice.id, issued_message(invoice).kind());
    let mut jobs = vec![NewJob::of(&SendNotification::Notification { tenant: tenant.clone(), notification })?];
    if invoice.due.at.is_some() {
        jobs.push(NewJob::of(&CollectPayment::Invoice { tenant, invoice: invoice.id.clone() })?);
    }
    Ok(jobs)
}

fn draft(tenant: &str, time: &TenantTime, issue: &Issue<'_>) -> Invoice {
    let (source, subscription) = match issue.source {
        Source::Subscription(id) => (id, Some(id.to_owned())),
        Source::OneOff(id) => (id, None),
    };
    Invoice {
        id: invoice_id_of((issue.boundary, issue.revision), issue.content.reason, source),
        tenant: tenant.to_owned(),
        revision: 1,
        created: time.wall,
        number: String::new(),
        customer: issue.customer.id.clone(),
        subscription,
        boundary: issue.boundary,
        billing_run: issue.chunk.map(|chunk| chunk.run.clone()),
        chunk: issue.chunk.map(|chunk| chunk.id.clone()),
        status: InvoiceStatus::Draft,
        content: issue.content.clone(),
        credited_by_notes_minor: 0,
        offset_by_notes_minor: 0,
        paid_minor: 0,
        dunning: None,
        collection: issue.collection,
        payable_until: None,
        collectible: false,
        attempts: 0,
        open_attempt: None,
        paid_at: None,
        recipe: None,
        due: Due::never(),
    }
}

/// Pays the invoice as far as its customer's wallets and balance go, opens it, and has its mail sent.
fn finalise(
    unit: &mut UnitOfWork,
    (actor, time): (&Actor, &TenantTime),
    payer: Payer<'_>,
    (invoice, carrier): (&mut Invoice, Carrier),
) -> Result<(), BillingError> {
    move_to(invoice, InvoiceStatus::Open)?;
    let has_payment_method = payer.customer.payment_method.is_some();
    invoice.content = pay(unit, (actor, time), payer, (&invoice.id, invoice.content.clone()))?;
    book_issue(unit, time, invoice)?;
    invoice.due = Due::never();
    // What was a draft is issued now.
    invoice.payable_until = Some(invoice.collection.due_at(time.now.max(invoice.content.issued_at)));
    if invoice.content.amount_due_minor == 0 {
        move_to(invoice, InvoiceStatus::Paid)?;
        invoice.paid_at = Some(time.now);
    } else if has_payment_method && invoice.collection == Collection::ChargeAutomatically {
        invoice.collectible = true;
        if carrier == Carrier::Alone {
            invoice.due = Due::at(time.wall);
        }
    }
    Ok(unit.insert(&issued_mail(invoice, carrier, time))?)
}

fn announce(
    unit: &mut UnitOfWork,
    actor: &Actor,
    time: &TenantTime,
    (name, invoice): (EventType, &Invoice),
) -> Result<(), StoreError> {
    let data = json!({
        "customer": invoice.customer, "subscription": invoice.subscription,
        "currency": invoice.content.currency, "total_minor": invoice.content.total_minor,
    });
    actor.announce(unit, time.wall, Fact { name, subject: &invoice.id, revision: invoice.revision, data })
}

fn issued_mail(invoice: &Invoice, carrier: Carrier, time: &TenantTime) -> Notification {
    let to = Recipient::Customer(invoice.customer.clone());
    let mail = Notification::new((&invoice.tenant, &invoice.id), to, issued_message(invoice), time.wall);
    match carrier {
        Carrier::Chunk => Notification { chunk: invoice.chunk.clone(), due: Due::never(), ..mail },
        Carrier::Alone => mail,
    }
}

/// The mail of an issued invoice once more, under an id of the invoice's revision.
pub(crate) fn mail_again(invoice: &Invoice, time: &TenantTime) -> Notification {
    let (to, cause) = (Recipient::Customer(invoice.customer.clone()), format!("{}_{}", invoice.id, invoice.revision));
    Notification::new((&invoice.tenant, &cause), to, issued_message(invoice), time.wall)
}

fn issued_message(invoice: &Invoice) -> Message {
    Message::InvoiceIssued { invoice: invoice.id.clone() }
}

/// The id of an invoice, and of what is closed with it.
pub(crate) fn invoice_id_of(place: (Date, Option<i64>), reason: InvoiceReason, source: &str) -> String {
    invoice_id(place, letter(reason), source)
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
