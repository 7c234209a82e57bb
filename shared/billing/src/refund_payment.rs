//! Refunds payments: decided and stored first, then sent to the gateway by a job, and settled by whoever hears of it.
//!
//! **Invariant:** a refund's id is the gateway's idempotency key for ever; one whose outcome is unknown is asked for again
//! under it or, once the gateway may have forgotten it, looked up. **Invariant:** a refund that is settled stays so, and moves
//! money once.

use std::time::Duration;

use domain::{Money, ledger};
use gateways::payment::{Amount, PaymentError, PaymentGateway, RefundOutcome, RefundRequest};
use jiff::Timestamp;
use queue::NewJob;
use serde_json::json;
use store::{
    AttemptGateway, AttemptState, Due, Invoice, Message, Notification, PaymentAttempt, Recipient, Refund, RefundState,
    Store, UnitOfWork,
};

use crate::{
    Actor, Billing, BillingError, Change, EventType, Progress, TenantTime,
    actor::Fact,
    context::retry_conflicts,
    jobs::{RefundPayment, SendNotification},
    ledger::{Source, book},
    payment_gateway::TenantGateway,
};

/// As for charges: from here on the gateway is asked what it has, instead of being asked to do it.
const KEY_TRUSTED_FOR: Duration = Duration::from_secs(20 * 60 * 60);
/// When a refund that the gateway has taken on is asked for again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(60 * 60);

/// A refund to make, already parsed.
#[derive(Clone, Debug)]
pub struct NewRefund {
    /// `pay_...`
    pub payment: String,
    /// All that is left of the payment, if none.
    pub amount_minor: Option<i64>,
    pub reason: String,
}

/// Decides a refund under `id`.
///
/// # Errors
/// `Rule` when the payment is unknown, or more is to go back than is left of it; `State` unless it has succeeded; store
/// errors.
pub async fn create_refund(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (id, new): (&str, &NewRefund),
) -> Result<Change<Refund>, BillingError> {
    let unknown = || BillingError::rule("unknown_payment", "/payment", format!("no such payment: {}", new.payment));
    let mut attempt: PaymentAttempt = store.find(&actor.tenant, &new.payment).await?.ok_or_else(unknown)?;
    if attempt.state != AttemptState::Succeeded {
        return Err(BillingError::state("invalid_state", "only a payment that has succeeded can be refunded"));
    }
    // What went to the balance is the customer's to use there.
    let left_minor = attempt.amount.minor() - attempt.overpaid_minor - attempt.refunded_minor;
    let amount_minor = new.amount_minor.unwrap_or(left_minor);
    if !(1..=left_minor).contains(&amount_minor) {
        let detail = format!("must be between 1 and {left_minor}, which is left of the payment");
        return Err(BillingError::rule("amount_out_of_range", "/amount_minor", detail));
    }
    let refund = Refund {
        id: id.to_owned(),
        tenant: actor.tenant.clone(),
        revision: 1,
        created: time.wall,
        payment: attempt.id.clone(),
        invoice: attempt.invoice.clone(),
        customer: attempt.customer.clone(),
        amount: Money::new(amount_minor, attempt.amount.currency()),
        reason: new.reason.clone(),
        state: RefundState::Pending,
        gateway_refund: None,
        failure_code: None,
        settled_at: None,
        due: Due::at(time.wall),
    };
    attempt.refunded_minor += amount_minor;
    let mut unit = UnitOfWork::default();
    unit.replace(&mut attempt)?;
    unit.insert(&refund)?;
    actor.record(&mut unit, time.wall, fact(EventType::RefundCreated, &refund))?;
    let job = RefundPayment { tenant: refund.tenant.clone(), refund: refund.id.clone() };
    Ok(Change { result: refund, unit, follow_up: vec![NewJob::of(&job)?] })
}

/// Has the gateway give the money of a refund back. `Progress::More` means that the outcome is still unknown.
///
/// # Errors
/// `NotFound`; store errors.
pub async fn send_refund(
    billing: &Billing,
    (tenant, id): (&str, &str),
    wall: Timestamp,
) -> Result<Progress, BillingError> {
    let missing = || BillingError::not_found("refund", id);
    let refund: Refund = billing.store.find(tenant, id).await?.ok_or_else(missing)?;
    if refund.state != RefundState::Pending {
        return Ok(Progress::Done);
    }
    let attempt: PaymentAttempt = billing.store.find(tenant, &refund.payment).await?.ok_or_else(missing)?;
    let gateway = match attempt.gateway {
        AttemptGateway::Online => TenantGateway::load(billing, tenant).await?.gateway,
        AttemptGateway::Manual => billing.payments.manual(),
    };
    let request = RefundRequest {
        refund: refund.id.clone(),
        payment_id: attempt.gateway_payment.clone().unwrap_or_default(),
        amount: Amount { minor: refund.amount.minor(), currency: refund.amount.currency().to_string() },
        tenant: tenant.to_owned(),
    };
    match ask(&*gateway, &request, (&refund, wall)).await {
        Ok(outcome) => {
            retry_conflicts(|| settle(billing, (tenant, id), &outcome, wall)).await?;
            Ok(Progress::Done)
        }
        Err(error) => {
            tracing::warn!(refund = id, %error, "the outcome of a refund is unknown");
            Ok(Progress::More)
        }
    }
}

async fn ask(
    gateway: &dyn PaymentGateway,
    request: &RefundRequest,
    (refund, wall): (&Refund, Timestamp),
) -> Result<RefundOutcome, PaymentError> {
    let is_trusted = wall.duration_since(refund.created).unsigned_abs() < KEY_TRUSTED_FOR;
    // One that the gateway has taken on is only asked about.
    if is_trusted && refund.gateway_refund.is_none() {
        match gateway.refund(request).await {
            Err(PaymentError::Unknown { replayed: true, .. }) => {}
            answer => return answer,
        }
    }
    let not_executed = || RefundOutcome::Failed {
        refund_id: None,
        code: "not_executed".to_owned(),
        message: "The payment gateway has no such refund.".to_owned(),
    };
    Ok(gateway.find_refund(request).await?.unwrap_or_else(not_executed))
}

async fn settle(
    billing: &Billing,
    (tenant, id): (&str, &str),
    outcome: &RefundOutcome,
    wall: Timestamp,
) -> Result<(), BillingError> {
    let time = TenantTime::read(&billing.store, tenant, wall).await?;
    let change = settle_refund(&billing.store, (tenant, id), outcome, &time).await?;
    billing.commit(change).await
}

/// Settles a refund; one that is settled already stays as it is.
///
/// # Errors
/// `NotFound`; store errors.
pub(crate) async fn settle_refund(
    store: &Store,
    (tenant, id): (&str, &str),
    outcome: &RefundOutcome,
    time: &TenantTime,
) -> Result<Change<()>, BillingError> {
    let missing = || BillingError::not_found("refund", id);
    let mut refund: Refund = store.find(tenant, id).await?.ok_or_else(missing)?;
    if refund.state != RefundState::Pending {
        return Ok(Change::default());
    }
    let mut attempt: PaymentAttempt = store.find(tenant, &refund.payment).await?.ok_or_else(missing)?;
    let mut change = Change::default();
    let name = match outcome {
        RefundOutcome::Pending { refund_id } => {
            refund.gateway_refund = Some(refund_id.clone());
            refund.due = Due::at(time.wall + ASKED_AGAIN_AFTER);
            change.unit.replace(&mut refund)?;
            return Ok(change);
        }
        RefundOutcome::Succeeded { refund_id } => {
            refund.state = RefundState::Succeeded;
            refund.gateway_refund = Some(refund_id.clone());
            paid_back(store, &mut change, (&refund, &attempt), time).await?;
            EventType::RefundSucceeded
        }
        RefundOutcome::Failed { refund_id, code, .. } => {
            refund.state = RefundState::Failed;
            refund.gateway_refund = refund_id.clone().or(refund.gateway_refund);
            refund.failure_code = Some(code.clone());
            attempt.refunded_minor -= refund.amount.minor();
            change.unit.replace(&mut attempt)?;
            EventType::RefundFailed
        }
    };
    refund.settled_at = Some(time.now);
    refund.due = Due::never();
    change.unit.replace(&mut refund)?;
    Actor::system(tenant).announce(&mut change.unit, time.wall, fact(name, &refund))?;
    Ok(change)
}

/// Books money that has gone back, and tells its customer.
async fn paid_back(
    store: &Store,
    change: &mut Change<()>,
    (refund, attempt): (&Refund, &PaymentAttempt),
    time: &TenantTime,
) -> Result<(), BillingError> {
    let from = match attempt.gateway {
        AttemptGateway::Online => ledger::Account::Cash,
        AttemptGateway::Manual => ledger::Account::Bank,
    };
    let missing = || BillingError::not_found("invoice", &refund.invoice);
    let invoice: Invoice = store.find(&refund.tenant, &refund.invoice).await?.ok_or_else(missing)?;
    let paid = ledger::refund_paid(from, refund.amount.minor());
    book(&mut change.unit, time, Source::about(&invoice, &refund.id), paid)?;
    let to = Recipient::Customer(refund.customer.clone());
    let message = Message::RefundIssued { invoice: invoice.id, amount: refund.amount, at: time.now };
    let mail = Notification::new((&refund.tenant, &refund.id), to, message, time.wall);
    let job = SendNotification::Notification { tenant: mail.tenant.clone(), notification: mail.id.clone() };
    change.follow_up.push(NewJob::of(&job)?);
    Ok(change.unit.insert(&mail)?)
}

fn fact(name: EventType, refund: &Refund) -> Fact<'_> {
    let data = json!({
        "payment": refund.payment, "invoice": refund.invoice, "customer": refund.customer,
        "amount_minor": refund.amount.minor(), "currency": refund.amount.currency(),
        "failure_code": refund.failure_code,
    });
    Fact { name, subject: &refund.id, revision: refund.revision, data }
}
