//! Pays an invoice because somebody asked: through the gateway now, or by recording money that has arrived by itself.
//!
//! **Invariant:** a payment through the gateway is committed as an attempt first, together with the key of the request; the
//! request then resumes that attempt, and so does whoever repeats it.

use std::time::Duration;

use domain::{InvoiceStatus, Money};
use gateways::payment::ChargeOutcome;
use jiff::Timestamp;
use serde_json::json;
use store::{AttemptGateway, AttemptState, Customer, Due, Invoice, PaymentAttempt, Store, UnitOfWork};

use crate::{
    Actor, Billing, BillingError, Change, EventType, TenantTime,
    actor::Fact,
    collect_payments::collect,
    context::retry_conflicts,
    invoice_state::load_at_rest,
    open_attempts::new_attempt,
    settle_payment::{Carrier, Settlement, Settler},
};

/// When a job resumes the attempt of a request that has died.
const RESUMED_AFTER: Duration = Duration::from_secs(60);

/// A payment that somebody wants, already parsed.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub invoice: String,
    /// All that is open, if none.
    pub amount_minor: Option<i64>,
    /// The customer's, if none.
    pub payment_method: Option<String>,
}

/// Money that has arrived by itself.
#[derive(Clone, Debug)]
pub struct RecordedPayment {
    pub invoice: String,
    /// All that is open, if none; what is more than that goes to the customer's balance.
    pub amount_minor: Option<i64>,
    /// By which whoever records it finds it again.
    pub reference: String,
}

/// What is known of a payment.
#[derive(Clone, Debug)]
pub struct PaymentAnswer {
    pub invoice: Invoice,
    pub attempt: PaymentAttempt,
}

/// Decides a payment's attempt. It is made by [`resume_payment`], or by a job if nobody does.
///
/// # Errors
/// `NotFound`; `State` unless the invoice is open, at rest and its customer has a payment method; `Rule` for an amount above
/// what is open; store errors.
pub async fn open_payment(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    wanted: &Wanted,
) -> Result<Change<PaymentAttempt>, BillingError> {
    let mut invoice = load_open(store, &actor.tenant, &wanted.invoice).await?;
    let open_minor = invoice.amount_open().minor();
    let amount_minor = wanted.amount_minor.unwrap_or(open_minor);
    if !(1..=open_minor).contains(&amount_minor) {
        let detail = format!("must be between 1 and {open_minor}, which is open");
        return Err(BillingError::rule("amount_out_of_range", "/amount_minor", detail));
    }
    let token = match &wanted.payment_method {
        Some(token) => token.clone(),
        None => token_of(store, &invoice).await?,
    };
    let amount = Money::new(amount_minor, invoice.content.currency);
    let attempt = new_attempt(&mut invoice, (AttemptGateway::Online, &token), amount, time);
    let attempt = PaymentAttempt { revision: 1, ..attempt };
    invoice.due = Due::at(time.wall + RESUMED_AFTER);
    let mut unit = UnitOfWork::default();
    unit.insert(&attempt)?;
    unit.replace(&mut invoice)?;
    record(&mut unit, (actor, time), &attempt)?;
    Ok(Change { result: attempt, unit, follow_up: Vec::new() })
}

/// Makes an attempt that was opened, or tells what has become of it. An attempt that stays pending is unknown: it is asked
/// for again by a job.
///
/// # Errors
/// `NotFound`; store errors.
pub async fn resume_payment(
    billing: &Billing,
    (tenant, id): (&str, &str),
    wall: Timestamp,
) -> Result<PaymentAnswer, BillingError> {
    let answer = answer(&billing.store, tenant, id).await?;
    if answer.attempt.state != AttemptState::Pending {
        return Ok(answer);
    }
    retry_conflicts(|| async {
        let PaymentAnswer { invoice, attempt } = self::answer(&billing.store, tenant, id).await?;
        if attempt.state == AttemptState::Pending && invoice.open_attempt.as_ref() == Some(&attempt.id) {
            collect(billing, vec![invoice], Carrier::Alone, wall).await?;
        }
        Ok(())
    })
    .await?;
    self::answer(&billing.store, tenant, id).await
}

async fn answer(store: &Store, tenant: &str, id: &str) -> Result<PaymentAnswer, BillingError> {
    let missing = || BillingError::not_found("payment", id);
    let attempt: PaymentAttempt = store.find(tenant, id).await?.ok_or_else(missing)?;
    let invoice: Option<Invoice> = store.find(tenant, &attempt.invoice).await?;
    Ok(PaymentAnswer { invoice: invoice.ok_or_else(missing)?, attempt })
}

/// Decides that money has arrived for an invoice.
///
/// # Errors
/// `NotFound`; `State` unless the invoice is open and at rest; `Rule` for an amount that is not above zero, or beyond what a
/// balance holds; store errors.
pub async fn record_payment(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    payment: &RecordedPayment,
) -> Result<Change<PaymentAnswer>, BillingError> {
    let mut invoice = load_open(store, &actor.tenant, &payment.invoice).await?;
    let amount_minor = payment.amount_minor.unwrap_or(invoice.amount_open().minor());
    if amount_minor < 1 {
        return Err(BillingError::rule("amount_out_of_range", "/amount_minor", "must be above 0"));
    }
    let amount = Money::new(amount_minor, invoice.content.currency);
    let attempt = new_attempt(&mut invoice, (AttemptGateway::Manual, &payment.reference), amount, time);
    let outcome = ChargeOutcome::Succeeded { payment_id: payment.reference.clone() };
    let mut settler = Settler::open(store, actor.clone(), time, Carrier::Alone).await?;
    let (invoice, attempt) = settler.settle(Settlement { invoice, attempt, outcome }).await?;
    record(&mut settler.unit, (actor, time), &attempt)?;
    settler.close(PaymentAnswer { invoice, attempt })
}

async fn load_open(store: &Store, tenant: &str, id: &str) -> Result<Invoice, BillingError> {
    let invoice = load_at_rest(store, tenant, id).await?;
    if invoice.status != InvoiceStatus::Open {
        let detail = format!("an invoice that is {} cannot be paid", invoice.status.as_str());
        return Err(BillingError::state("invalid_state", detail));
    }
    Ok(invoice)
}

async fn token_of(store: &Store, invoice: &Invoice) -> Result<String, BillingError> {
    let customer: Option<Customer> = store.find(&invoice.tenant, &invoice.customer).await?;
    customer
        .and_then(|customer| customer.payment_method)
        .ok_or_else(|| BillingError::state("no_payment_method", "the customer has no payment method"))
}

fn record(
    unit: &mut UnitOfWork,
    (actor, time): (&Actor, &TenantTime),
    attempt: &PaymentAttempt,
) -> Result<(), BillingError> {
    let data = json!({
        "invoice": attempt.invoice, "customer": attempt.customer, "gateway": attempt.gateway,
        "amount_minor": attempt.amount.minor(), "currency": attempt.amount.currency(),
    });
    let fact = Fact { name: EventType::PaymentCreated, subject: &attempt.id, revision: attempt.revision, data };
    Ok(actor.record(unit, time.wall, fact)?)
}
