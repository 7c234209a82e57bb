//! Settles a payment attempt: the one road for every outcome, whoever reports it, and it only leads forward.

use domain::{
    Decline,
    ledger::{Account, Receipt, payment_received},
};
use gateways::payment::ChargeOutcome;
use queue::NewJob;
use serde_json::json;
use store::{
    AttemptFailure, AttemptState, Due, Invoice, Message, Notification, PaymentAttempt, Recipient, StoreError,
    UnitOfWork,
};

use crate::{Actor, BillingError, EventType, TenantTime, actor::Fact, jobs::SendNotification, ledger};

/// Who looks after what a settlement brings about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// The invoice's chunk, which has its mails still before it.
    Chunk,
    /// Nobody: it is due by itself.
    Alone,
}

/// An attempt's outcome.
pub(crate) struct Settlement {
    pub invoice: Invoice,
    pub attempt: PaymentAttempt,
    pub outcome: ChargeOutcome,
    pub carrier: Carrier,
}

/// Adds what an outcome means for attempt and invoice to the unit; returns the work that follows. An attempt that is settled
/// already stays as it is.
pub(crate) fn settle(
    unit: &mut UnitOfWork,
    settlement: Settlement,
    time: &TenantTime,
) -> Result<Option<NewJob>, BillingError> {
    let Settlement { mut invoice, mut attempt, outcome, carrier } = settlement;
    if attempt.state != AttemptState::Pending {
        return Ok(None);
    }
    attempt.settled_at = Some(time.now);
    invoice.open_attempt = None;
    invoice.due = Due::never();
    let paid = record_outcome(&mut attempt, outcome);
    if paid {
        invoice.status = domain::InvoiceStatus::Paid;
        invoice.paid_at = Some(time.now);
        let receipt = Receipt { into: Account::Cash, applied_minor: attempt.amount.minor(), overpaid_minor: 0 };
        let received = payment_received(ledger::parties(&invoice), receipt);
        ledger::book(unit, time, ledger::Source::about(&invoice, &attempt.id), received)?;
    }
    unit.replace(&mut attempt)?;
    unit.replace(&mut invoice)?;
    announce(unit, &invoice, &attempt, time)?;
    if paid {
        return Ok(None);
    }
    let mail = payment_failed_mail(&invoice, &attempt, carrier, time);
    unit.insert(&mail)?;
    let job = SendNotification::Notification { tenant: mail.tenant, notification: mail.id };
    Ok(match carrier {
        Carrier::Chunk => None,
        Carrier::Alone => Some(NewJob::of(&job)?),
    })
}

/// Whether the gateway has charged.
fn record_outcome(attempt: &mut PaymentAttempt, outcome: ChargeOutcome) -> bool {
    let (payment, decline, message) = match outcome {
        ChargeOutcome::Succeeded { payment_id } => {
            attempt.state = AttemptState::Succeeded;
            attempt.gateway_payment = Some(payment_id);
            return true;
        }
        ChargeOutcome::Declined { payment_id, decline, message } => (payment_id, decline, message),
        ChargeOutcome::RequiresAction { payment_id, message, .. } => {
            let decline = Decline { code: "authentication_required".to_owned(), ..Decline::default() };
            (payment_id, decline, message)
        }
    };
    attempt.state = AttemptState::Failed;
    attempt.gateway_payment = payment;
    attempt.failure = Some(AttemptFailure { decline, message });
    false
}

fn announce(
    unit: &mut UnitOfWork,
    invoice: &Invoice,
    attempt: &PaymentAttempt,
    time: &TenantTime,
) -> Result<(), StoreError> {
    let name = if attempt.state == AttemptState::Succeeded { EventType::InvoicePaid } else { EventType::InvoiceFailed };
    let data = json!({
        "attempt": attempt.id, "amount_minor": attempt.amount.minor(), "currency": attempt.amount.currency(),
        "failure_code": attempt.failure_code(),
    });
    let fact = Fact { name, subject: &invoice.id, revision: invoice.revision, data };
    Actor::system(&invoice.tenant).announce(unit, time.wall, fact)
}

fn payment_failed_mail(
    invoice: &Invoice,
    attempt: &PaymentAttempt,
    carrier: Carrier,
    time: &TenantTime,
) -> Notification {
    let to = Recipient::Customer(invoice.customer.clone());
    let message = Message::PaymentFailed { invoice: invoice.id.clone(), attempt: attempt.id.clone(), retry_at: None };
    let mail = Notification::new((&invoice.tenant, &attempt.id), to, message, time.wall);
    let due = match carrier {
        Carrier::Chunk => Due::never(),
        Carrier::Alone => mail.due,
    };
    Notification { chunk: invoice.chunk.clone(), due, ..mail }
}
