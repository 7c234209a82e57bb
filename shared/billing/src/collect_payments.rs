//! Collects invoices: stores the attempts, calls the gateway with bounded concurrency, settles the outcomes in bulk.
//!
//! **Invariant:** the attempt is stored, with the exact request, before the gateway hears of it; its id is the gateway's
//! idempotency key for ever.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use queue::NewJob;
use serde_json::json;
use store::{
    AttemptState, ChunkState, Customer, Due, Invoice, PaymentAttempt, StoreError, UnitOfWork, payment_attempt_id,
};

use crate::{
    Actor, Billing, BillingError, Change, EventType, Progress, TenantTime,
    actor::Fact,
    ask_gateway::{Answer, Asking},
    chunk_stage::{self, Course},
    context::retry_conflicts,
    finalize_invoice::finalize_if_due,
    jobs::CollectPayment,
    payment_gateway::TenantGateway,
    settle_payment::{Carrier, Settlement, settle},
};

/// Invoices of one step of a chunk's collection.
const STEP_LIMIT: i64 = 200;
/// Calls to the gateway at once, of one job.
const GATEWAY_CONCURRENCY: usize = 32;
/// Outcomes settled in one transaction: two rounds of calls, so that a gateway that answers none costs a minute at most.
const SETTLE_BATCH: usize = 2 * GATEWAY_CONCURRENCY;
/// A step that has taken this long leaves the rest to the next one, so that what is settled does not hang on a time-out.
const STEP_TIME: Duration = Duration::from_secs(30);
/// When an invoice whose outcome is unknown is tried again alone.
const ALONE_AFTER: Duration = Duration::from_secs(2);

/// An invoice with the attempt whose outcome is to be learnt.
#[derive(Clone)]
struct Open {
    invoice: Invoice,
    attempt: PaymentAttempt,
}

/// Collects up to 200 invoices of a chunk; hands the chunk on when none is left.
///
/// # Errors
/// `NotFound` for an unknown chunk; store errors.
pub async fn collect_chunk(
    billing: &Billing,
    (tenant, id): (&str, &str),
    wall: Timestamp,
) -> Result<Progress, BillingError> {
    retry_conflicts(|| collect_step(billing, (tenant, id), wall)).await
}

async fn collect_step(
    billing: &Billing,
    (tenant, id): (&str, &str),
    wall: Timestamp,
) -> Result<Progress, BillingError> {
    let loaded = chunk_stage::load(billing, (tenant, id), ChunkState::Invoiced).await?;
    let Some((mut chunk, course)) = loaded else { return Ok(Progress::Done) };
    let invoices = billing.store.uncollected_of_chunk(tenant, id, STEP_LIMIT).await?;
    if invoices.is_empty() {
        chunk.counts = billing.store.count_chunk(tenant, id).await?;
        chunk_stage::advance(billing, chunk, ChunkState::Collected, UnitOfWork::default()).await?;
        return Ok(Progress::Done);
    }
    match course {
        Course::Onward => collect(billing, invoices, Carrier::Chunk, wall).await.map(drop)?,
        Course::WindDown => release(billing, invoices, wall).await?,
    }
    Ok(Progress::More)
}

/// Lets the invoices of a run that was cancelled be collected outside it.
async fn release(billing: &Billing, invoices: Vec<Invoice>, wall: Timestamp) -> Result<(), BillingError> {
    let (mut unit, mut follow_up) = (UnitOfWork::default(), Vec::new());
    for mut invoice in invoices {
        invoice.due = Due::at(wall);
        unit.replace(&mut invoice)?;
        let (tenant, invoice) = (invoice.tenant, invoice.id);
        follow_up.push(NewJob::of(&CollectPayment::Invoice { tenant, invoice })?);
    }
    billing.commit(Change { result: (), unit, follow_up }).await
}

/// Collects an invoice that goes on alone; a draft whose grace period is over is finalised first. `Progress::More` means that the outcome is still unknown: try again later.
///
/// # Errors
/// Store errors.
pub async fn collect_invoice(
    billing: &Billing,
    (tenant, id): (&str, &str),
    wall: Timestamp,
) -> Result<Progress, BillingError> {
    retry_conflicts(|| finalize_if_due(billing, (tenant, id), wall)).await?;
    let progress = retry_conflicts(|| collect_alone(billing, (tenant, id), wall)).await?;
    if let Some(chunk) = billing.store.find::<Invoice>(tenant, id).await?.and_then(|invoice| invoice.chunk) {
        chunk_stage::recount(billing, (tenant, &chunk)).await?;
    }
    Ok(progress)
}

async fn collect_alone(
    billing: &Billing,
    (tenant, id): (&str, &str),
    wall: Timestamp,
) -> Result<Progress, BillingError> {
    let Some(invoice) = billing.store.uncollected(tenant, id).await? else { return Ok(Progress::Done) };
    collect(billing, vec![invoice], Carrier::Alone, wall).await
}

async fn collect(
    billing: &Billing,
    invoices: Vec<Invoice>,
    carrier: Carrier,
    wall: Timestamp,
) -> Result<Progress, BillingError> {
    let Some(first) = invoices.first() else { return Ok(Progress::Done) };
    let mut progress = Progress::Done;
    let tenant = first.tenant.clone();
    let time = TenantTime::read(&billing.store, &tenant, wall).await?;
    let open = open_attempts(billing, invoices, &time).await?;
    let gateway = TenantGateway::load(billing, &tenant).await?;
    let started = Instant::now();
    for batch in open.chunks(SETTLE_BATCH) {
        if started.elapsed() > STEP_TIME {
            return Ok(Progress::More);
        }
        let holders = Asking::holders(batch.iter().map(|open| &open.attempt), wall);
        let register = gateway.register(billing, (&tenant, holders), wall).await?;
        let asking = Asking { billing, gateway: &gateway, register: &register, wall };
        // Futures rather than a mapping closure, so that the compiler sees that callers may be spawned.
        let calls: Vec<_> = batch.iter().map(|open| ask(&asking, open.clone())).collect();
        let asked: Vec<_> = stream::iter(calls).buffer_unordered(GATEWAY_CONCURRENCY).collect().await;
        let (mut answers, mut failure) = (Vec::new(), None);
        for one in asked {
            match one {
                Ok(answer) => answers.push(answer),
                Err(error) => failure = Some(error),
            }
        }
        if answers.iter().any(|(_, answer)| matches!(answer, Answer::Unknown(_))) {
            progress = Progress::More;
        }
        settle_batch(billing, answers, carrier, &time).await?;
        if let Some(error) = failure {
            return Err(error);
        }
    }
    Ok(progress)
}

/// Stores an attempt for every invoice that has none open, in one transaction; loads the others.
async fn open_attempts(
    billing: &Billing,
    invoices: Vec<Invoice>,
    time: &TenantTime,
) -> Result<Vec<Open>, BillingError> {
    let Some(tenant) = invoices.first().map(|invoice| invoice.tenant.clone()) else { return Ok(Vec::new()) };
    let (resumed, fresh): (Vec<_>, Vec<_>) = invoices.into_iter().partition(|invoice| invoice.open_attempt.is_some());
    let mut open = load_attempts(billing, &tenant, resumed).await?;
    let customer_ids: Vec<String> = fresh.iter().map(|invoice| invoice.customer.clone()).collect();
    let customers: Vec<Customer> = billing.store.find_all(&tenant, &customer_ids).await?;
    let tokens: BTreeMap<&str, &str> = customers
        .iter()
        .filter_map(|customer| Some((customer.id.as_str(), customer.payment_method.as_deref()?)))
        .collect();
    let mut unit = UnitOfWork::default();
    for mut invoice in fresh {
        let Some(token) = tokens.get(invoice.customer.as_str()) else {
            // Its payment method is gone since it was issued: it stays open, and nobody waits for it.
            invoice.collectible = false;
            invoice.due = Due::never();
            unit.replace(&mut invoice)?;
            continue;
        };
        let attempt = new_attempt(&invoice, token, time);
        invoice.attempts = attempt.number;
        invoice.open_attempt = Some(attempt.id.clone());
        unit.replace(&mut invoice)?;
        unit.insert(&attempt)?;
        open.push(Open { invoice, attempt });
    }
    billing.commit(Change { result: open, unit, follow_up: Vec::new() }).await
}

async fn load_attempts(billing: &Billing, tenant: &str, invoices: Vec<Invoice>) -> Result<Vec<Open>, BillingError> {
    let ids: Vec<String> = invoices.iter().filter_map(|invoice| invoice.open_attempt.clone()).collect();
    let attempts: Vec<PaymentAttempt> = billing.store.find_all(tenant, &ids).await?;
    let mut attempts: BTreeMap<String, PaymentAttempt> =
        attempts.into_iter().map(|attempt| (attempt.invoice.clone(), attempt)).collect();
    let open = |invoice: Invoice| match attempts.remove(&invoice.id) {
        Some(attempt) => Ok(Open { invoice, attempt }),
        // They are written in one transaction.
        None => Err(StoreError::Corrupt(format!("the open attempt of {} does not exist", invoice.id)).into()),
    };
    invoices.into_iter().map(open).collect()
}

fn new_attempt(invoice: &Invoice, token: &str, time: &TenantTime) -> PaymentAttempt {
    let number = invoice.attempts + 1;
    PaymentAttempt {
        id: payment_attempt_id(&invoice.id, number),
        tenant: invoice.tenant.clone(),
        revision: 1,
        created: time.wall,
        invoice: invoice.id.clone(),
        customer: invoice.customer.clone(),
        number,
        amount: invoice.amount_open(),
        payment_method: token.to_owned(),
        state: AttemptState::Pending,
        first_sent_at: time.wall,
        gateway_payment: None,
        failure: None,
        settled_at: None,
    }
}

async fn ask(asking: &Asking<'_>, open: Open) -> Result<(Open, Answer), BillingError> {
    let answer = asking.ask(&open.attempt).await?;
    Ok((open, answer))
}

async fn settle_batch(
    billing: &Billing,
    batch: Vec<(Open, Answer)>,
    carrier: Carrier,
    time: &TenantTime,
) -> Result<(), BillingError> {
    let mut unit = UnitOfWork::default();
    let mut follow_up = Vec::new();
    for (Open { invoice, attempt }, answer) in batch {
        match answer {
            Answer::Known(outcome) => {
                let settlement = Settlement { invoice, attempt, outcome, carrier };
                follow_up.extend(settle(&mut unit, settlement, time)?);
            }
            Answer::Unknown(error) => {
                tracing::warn!(attempt = attempt.id, %error, "the outcome of a payment is unknown");
                follow_up.extend(go_alone(&mut unit, invoice, carrier, time)?);
            }
        }
    }
    billing.commit(Change { result: (), unit, follow_up }).await
}

/// Lets an invoice of a chunk go on alone; one that is alone already is retried by its own job.
fn go_alone(
    unit: &mut UnitOfWork,
    mut invoice: Invoice,
    carrier: Carrier,
    time: &TenantTime,
) -> Result<Option<NewJob>, BillingError> {
    if carrier == Carrier::Alone {
        return Ok(None);
    }
    invoice.due = Due::at(time.wall + ALONE_AFTER);
    unit.replace(&mut invoice)?;
    let fact = Fact {
        name: EventType::PaymentUnknown,
        subject: &invoice.id,
        revision: invoice.revision,
        data: json!({ "attempt": invoice.open_attempt }),
    };
    Actor::system(&invoice.tenant).announce(unit, time.wall, fact)?;
    let job = CollectPayment::Invoice { tenant: invoice.tenant.clone(), invoice: invoice.id };
    Ok(Some(NewJob::of(&job)?.after(ALONE_AFTER)))
}
