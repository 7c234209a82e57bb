//! Takes what the gateway tells us: stored once and answered at once, then settled by a job, in whatever order it comes.
//!
//! **Invariant:** an event is kept under the gateway's id for it, so a repeat changes nothing; what it says is settled on the
//! roads of payments and refunds, which only lead forward, so the order of events does not matter either. **Invariant:** what
//! does not agree with our own records, in tenant, amount or currency, moves nothing: it is kept, and reported.

use gateways::payment::{
    Amount, ChargeOutcome, GatewayEvent, GatewayPayment, GatewaySubject, RefundOutcome, SignatureError, read_event,
    verify_signature,
};
use jiff::{SignedDuration, Timestamp};
use queue::NewJob;
use serde_json::json;
use store::{
    Dispute, DisputeState, Due, GatewayAccount, GatewayEventRecord, GatewayEventResult, Invoice, PaymentAttempt,
    Refund, Store, StoreError, StoredSecret, UnitOfWork, gateway_account_id, gateway_event_id,
};

use crate::{
    Actor, Billing, BillingError, Change, EventType, TenantTime,
    actor::Fact,
    context::retry_conflicts,
    jobs::ProcessGatewayEvent,
    refund_payment::settle_refund,
    settle_payment::{Carrier, Settlement, Settler},
};

/// When an event about a payment that we have not heard of is looked at again.
const LOOKED_AT_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// How long it may take until we hear of a payment that an event is about: gateways retry for days.
const HEARD_OF_WITHIN: SignedDuration = SignedDuration::from_hours(3 * 24);

/// A message as it came.
#[derive(Clone, Copy, Debug)]
pub struct Inbound<'a> {
    pub tenant: &'a str,
    /// The header of its signature.
    pub signature: &'a str,
    pub body: &'a [u8],
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is stored, and settled by a job.
    New,
    /// It was stored before.
    Known,
    /// It is not the gateway's.
    Refused(SignatureError),
}

/// Takes a message if the tenant's gateway has signed it; `shared` is the secret of the deployment's account.
///
/// # Errors
/// `Rule` for a body that is no event; store errors.
pub async fn receive_webhook(
    billing: &Billing,
    inbound: Inbound<'_>,
    shared: Option<&str>,
    wall: Timestamp,
) -> Result<Received, BillingError> {
    let Inbound { tenant, signature, body } = inbound;
    let account: Option<GatewayAccount> = billing.store.find(tenant, &gateway_account_id(tenant)).await?;
    let own = account.map(|account| account.webhook_secrets).unwrap_or_default();
    let mut secrets: Vec<&str> = own.iter().map(StoredSecret::expose).collect();
    if secrets.is_empty() {
        secrets.extend(shared);
    }
    if let Err(error) = verify_signature(&secrets, signature, body, wall) {
        return Ok(Received::Refused(error));
    }
    let refused = |error: String| BillingError::rule("not_an_event", "", error);
    let event = read_event(body).map_err(|error| refused(error.to_string()))?;
    let record = GatewayEventRecord {
        id: gateway_event_id(tenant, &event.id),
        tenant: tenant.to_owned(),
        revision: 1,
        created: wall,
        kind: event.kind,
        body: std::str::from_utf8(body).map_err(|error| refused(error.to_string()))?.to_owned(),
        result: None,
        due: Due::at(wall),
    };
    let mut unit = UnitOfWork::default();
    unit.insert(&record)?;
    let job = ProcessGatewayEvent { tenant: tenant.to_owned(), event: record.id };
    let change = Change { result: Received::New, unit, follow_up: vec![NewJob::of(&job)?] };
    match billing.commit(change).await {
        Err(BillingError::Store(StoreError::Duplicate(_))) => Ok(Received::Known),
        outcome => outcome,
    }
}

/// Settles what a stored event says. Repeating it finds it done.
///
/// # Errors
/// `NotFound`; store errors.
pub async fn process_gateway_event(
    billing: &Billing,
    (tenant, id): (&str, &str),
    wall: Timestamp,
) -> Result<(), BillingError> {
    retry_conflicts(|| process(billing, (tenant, id), wall)).await
}

async fn process(billing: &Billing, (tenant, id): (&str, &str), wall: Timestamp) -> Result<(), BillingError> {
    let store = &billing.store;
    let missing = || BillingError::not_found("gateway_event", id);
    let mut record: GatewayEventRecord = store.find(tenant, id).await?.ok_or_else(missing)?;
    if record.result.is_some() {
        return Ok(());
    }
    let damaged = |error: serde_json::Error| StoreError::Corrupt(format!("{id} is no event: {error}"));
    let GatewayEvent { subject, .. } = read_event(record.body.as_bytes()).map_err(damaged)?;
    let time = TenantTime::read(store, tenant, wall).await?;
    let (result, Change { mut unit, follow_up, .. }) = match subject {
        GatewaySubject::Payment(payment) => payment_said(store, tenant, &payment, &time).await?,
        GatewaySubject::Refund { refund, tenant: named, amount, outcome, .. } => {
            let about = About { ours: refund.filter(|_| named.as_deref() == Some(tenant)), amount };
            refund_said(store, tenant, (about, outcome), &time).await?
        }
        GatewaySubject::Dispute { dispute_id, payment_id, amount, reason, status } => {
            let dispute = Dispute { id: dispute_id, amount_minor: amount.minor, reason, state: state_of(&status) };
            dispute_said(store, tenant, (&payment_id, dispute), &time).await?
        }
        GatewaySubject::Other => (Some(GatewayEventResult::Ignored), Change::default()),
    };
    // What is about a payment that we have not heard of yet is looked at again, but not for ever.
    let is_hopeless = wall.duration_since(record.created) > HEARD_OF_WITHIN;
    record.result = result.or(is_hopeless.then_some(GatewayEventResult::Ignored));
    record.due = if record.result.is_some() { Due::never() } else { Due::at(wall + LOOKED_AT_AGAIN_AFTER) };
    unit.replace(&mut record)?;
    if record.result == Some(GatewayEventResult::Contradicts) {
        let name = EventType::GatewayContradicts;
        let data = json!({ "kind": record.kind });
        let fact = Fact { name, subject: &record.id, revision: record.revision, data };
        Actor::system(tenant).announce(&mut unit, wall, fact)?;
    }
    billing.commit(Change { result: (), unit, follow_up }).await
}

/// What comes of an event; no result while what it is about is not known.
type Said = (Option<GatewayEventResult>, Change<()>);

/// What an event names of ours.
struct About {
    ours: Option<String>,
    amount: Amount,
}

fn fits(amount: &Amount, ours: domain::Money) -> bool {
    amount.minor == ours.minor() && amount.currency == ours.currency().to_string()
}

/// Settles what the gateway says of a payment. Money that was taken for an attempt that we do not have contradicts us.
async fn payment_said(
    store: &Store,
    tenant: &str,
    payment: &GatewayPayment,
    time: &TenantTime,
) -> Result<Said, BillingError> {
    let nothing = |result| Ok((Some(result), Change::default()));
    if payment.tenant.as_deref() != Some(tenant) {
        return nothing(GatewayEventResult::Ignored);
    }
    let took_money = matches!(payment.outcome, Some(ChargeOutcome::Succeeded { .. }));
    let found: Option<PaymentAttempt> = match &payment.attempt {
        Some(attempt) => store.find(tenant, attempt).await?,
        None => None,
    };
    let Some(attempt) = found else {
        let result = if took_money { GatewayEventResult::Contradicts } else { GatewayEventResult::Ignored };
        return nothing(result);
    };
    if !fits(&payment.amount, attempt.amount) {
        return nothing(GatewayEventResult::Contradicts);
    }
    let Some(outcome) = payment.outcome.clone() else { return nothing(GatewayEventResult::Settled) };
    let missing = || StoreError::Corrupt(format!("the invoice of {} does not exist", attempt.id));
    let invoice: Invoice = store.find(tenant, &attempt.invoice).await?.ok_or_else(missing)?;
    let mut settler = Settler::open(store, Actor::system(tenant), time, Carrier::Alone).await?;
    settler.settle(Settlement { invoice, attempt, outcome }).await?;
    Ok((Some(GatewayEventResult::Settled), settler.close(())?))
}

async fn refund_said(
    store: &Store,
    tenant: &str,
    (about, outcome): (About, RefundOutcome),
    time: &TenantTime,
) -> Result<Said, BillingError> {
    let found: Option<Refund> = match &about.ours {
        Some(id) => store.find(tenant, id).await?,
        None => None,
    };
    let Some(refund) = found else {
        // One that somebody has made at the gateway by hand is not ours; one of ours will be known.
        let result = about.ours.is_none().then_some(GatewayEventResult::Ignored);
        return Ok((result, Change::default()));
    };
    if !fits(&about.amount, refund.amount) {
        return Ok((Some(GatewayEventResult::Contradicts), Change::default()));
    }
    Ok((Some(GatewayEventResult::Settled), settle_refund(store, (tenant, &refund.id), &outcome, time).await?))
}

/// Records a dispute on its payment, which only moves on.
async fn dispute_said(
    store: &Store,
    tenant: &str,
    (payment_id, dispute): (&str, Dispute),
    time: &TenantTime,
) -> Result<Said, BillingError> {
    let Some(mut attempt) = store.attempt_of_gateway_payment(tenant, payment_id).await? else {
        return Ok((None, Change::default()));
    };
    let mut change = Change::default();
    if attempt.dispute.as_ref().is_some_and(|known| known.state >= dispute.state) {
        return Ok((Some(GatewayEventResult::Settled), change));
    }
    let data = json!({
        "invoice": attempt.invoice, "customer": attempt.customer, "amount_minor": dispute.amount_minor,
        "state": dispute.state, "reason": dispute.reason,
    });
    attempt.dispute = Some(dispute);
    change.unit.replace(&mut attempt)?;
    let fact = Fact { name: EventType::PaymentDisputed, subject: &attempt.id, revision: attempt.revision, data };
    Actor::system(tenant).announce(&mut change.unit, time.wall, fact)?;
    Ok((Some(GatewayEventResult::Settled), change))
}

fn state_of(status: &str) -> DisputeState {
    match status {
        "won" | "warning_closed" => DisputeState::Won,
        "lost" => DisputeState::Lost,
        "under_review" | "warning_under_review" => DisputeState::UnderReview,
        _ => DisputeState::NeedsResponse,
    }
}
