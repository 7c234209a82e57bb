//! Collects invoices: stores the attempts, calls the gateway with bounded concurrency, settles the outcomes in bulk.
//!
//! What goes on alone is also brought to the end of its dunning here, step by step, whenever its time has come.

use std::time::{Duration, Instant};

use domain::{Decline, InvoiceStatus};
use futures::{StreamExt, stream};
use gateways::payment::ChargeOutcome;
use jiff::Timestamp;
use queue::NewJob;
use serde_json::json;
use store::{AttemptState, ChunkState, Due, DunningWait, Invoice, PaymentAttempt, UnitOfWork};

use crate::{
    Actor, Billing, BillingError, Change, EventType, Progress, TenantTime,
    actor::Fact,
    ask_gateway::{Answer, Asking},
    chunk_stage::{self, Course},
    context::retry_conflicts,
    dunning::end_dunning,
    finalize_invoice::finalize_if_due,
    jobs::CollectPayment,
    open_attempts::{Open, open_attempts},
    payment_gateway::TenantGateway,
    settle_payment::{Carrier, Settlement, Settler},
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

/// What remains to be done about an invoice that goes on alone.
enum Next {
    Nothing,
    /// To be charged, or to be asked what became of it.
    Collect,
    /// Its customer has not confirmed in time.
    GiveUp(Box<PaymentAttempt>),
    /// It was tried for the last time.
    EndDunning,
}

async fn collect_alone(
    billing: &Billing,
    (tenant, id): (&str, &str),
    wall: Timestamp,
) -> Result<Progress, BillingError> {
    let Some(invoice) = billing.store.find::<Invoice>(tenant, id).await? else { return Ok(Progress::Done) };
    let time = TenantTime::read(&billing.store, tenant, wall).await?;
    match next(billing, &invoice, &time).await? {
        Next::Nothing => Ok(Progress::Done),
        Next::Collect => collect(billing, vec![invoice], Carrier::Alone, wall).await,
        Next::GiveUp(attempt) => give_up(billing, Open { invoice, attempt: *attempt }, &time).await,
        Next::EndDunning => end_dunning(billing, &invoice, &time).await.map(|()| Progress::Done),
    }
}

async fn next(billing: &Billing, invoice: &Invoice, time: &TenantTime) -> Result<Next, BillingError> {
    let has_come = time.has_come(&invoice.due);
    if let Some(id) = &invoice.open_attempt {
        let attempt: Option<PaymentAttempt> = billing.store.find(&invoice.tenant, id).await?;
        return Ok(match attempt.filter(|attempt| attempt.state == AttemptState::RequiresAction) {
            None => Next::Collect,
            Some(attempt) if has_come => Next::GiveUp(Box::new(attempt)),
            Some(_) => Next::Nothing,
        });
    }
    if invoice.status != InvoiceStatus::Open || !invoice.collectible {
        return Ok(Next::Nothing);
    }
    Ok(match invoice.dunning.map(|dunning| dunning.waits_for) {
        None if invoice.attempts == 0 => Next::Collect,
        Some(DunningWait::Retry) if has_come => Next::Collect,
        Some(DunningWait::PaymentMethod | DunningWait::End) if has_come => Next::EndDunning,
        _ => Next::Nothing,
    })
}

/// Makes sure that a payment which its customer has not confirmed never takes money, and settles what the gateway says.
async fn give_up(billing: &Billing, open: Open, time: &TenantTime) -> Result<Progress, BillingError> {
    let gateway = TenantGateway::load(billing, &open.invoice.tenant).await?;
    let answer = match &open.attempt.gateway_payment {
        Some(payment) => gateway.gateway.give_up(payment).await,
        None => Ok(unconfirmed()),
    };
    match answer {
        Ok(outcome) => {
            let settled = settle_batch(billing, vec![(open, Answer::Known(outcome))], Carrier::Alone, time);
            settled.await.map(|()| Progress::Done)
        }
        Err(error) => {
            tracing::warn!(attempt = open.attempt.id, %error, "a payment could not be given up");
            Ok(Progress::More)
        }
    }
}

fn unconfirmed() -> ChargeOutcome {
    let decline = Decline { code: "authentication_required".to_owned(), ..Decline::default() };
    let message = "The payment was not confirmed in time.".to_owned();
    ChargeOutcome::Declined { payment_id: None, decline, message }
}

/// Collects invoices of one tenant: opens their attempts or resumes them, asks the gateway, settles what it says.
///
/// # Errors
/// Store errors.
pub(crate) async fn collect(
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
    let Some(tenant) = batch.first().map(|(open, _)| open.invoice.tenant.clone()) else { return Ok(()) };
    let mut settler = Settler::open(&billing.store, Actor::system(&tenant), time, carrier).await?;
    for (Open { invoice, attempt }, answer) in batch {
        match answer {
            Answer::Known(outcome) => drop(settler.settle(Settlement { invoice, attempt, outcome }).await?),
            Answer::Unknown(error) => {
                tracing::warn!(attempt = attempt.id, %error, "the outcome of a payment is unknown");
                let job = go_alone(&mut settler.unit, invoice, carrier, time)?;
                settler.follow_up.extend(job);
            }
        }
    }
    billing.commit(settler.close(())?).await
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
