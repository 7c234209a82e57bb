//! Where a chunk stands in the pipeline, and the job that takes it further: the one table that pipeline, planning and sweep
//! share.
//!
//! **Invariant:** every step of a chunk asks its run first. A paused run's chunks stay where they are, at the latest after the
//! step under way; a cancelled one's hand over what they have issued and bill nothing more.

use domain::RunState;
use jiff::Timestamp;
use queue::{NewJob, QueueError};
use serde_json::json;
use store::{BillingRun, Chunk, ChunkState, Due, UnitOfWork};

use crate::{
    Actor, Billing, BillingError, Change, EventType,
    actor::Fact,
    context::retry_conflicts,
    jobs::{CalculateUsage, CollectPayment, GenerateInvoices, SendNotification, TriggerBillingCycle},
};

/// What a step does with a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// Its work.
    Onward,
    /// Its run was cancelled: what it has issued goes on alone.
    WindDown,
}

/// The channel on which the progress of a tenant's billing runs is published, chunk by chunk, as JSON
/// `{ run, chunk, state, pass, subscriptions, invoiced, failed, paid, payment_failed, notified }`. A message may be lost; whoever
/// hears one reads the run for its totals.
#[must_use]
pub fn run_channel(tenant: &str) -> String {
    format!("billing_runs:{tenant}")
}

/// The job that takes a chunk from its state to the next; none when it is done.
pub(crate) fn next_job(tenant: &str, chunk: &str, state: ChunkState, pass: i32) -> Result<Option<NewJob>, QueueError> {
    let (tenant, chunk) = (tenant.to_owned(), chunk.to_owned());
    Ok(match state {
        ChunkState::Planned => Some(NewJob::of(&CalculateUsage { tenant, chunk, pass })?),
        ChunkState::Usage => Some(NewJob::of(&GenerateInvoices { tenant, chunk, pass })?),
        ChunkState::Invoiced => Some(NewJob::of(&CollectPayment::Chunk { tenant, chunk })?),
        ChunkState::Collected => Some(NewJob::of(&SendNotification::Chunk { tenant, chunk })?),
        ChunkState::Notified => None,
    })
}

/// Loads a chunk if it is still in the state that the caller works on and its run moves; otherwise there is nothing to do.
pub(crate) async fn load(
    billing: &Billing,
    (tenant, id): (&str, &str),
    state: ChunkState,
) -> Result<Option<(Chunk, Course)>, BillingError> {
    let chunk: Chunk = billing.store.find(tenant, id).await?.ok_or_else(|| BillingError::not_found("chunk", id))?;
    if chunk.state != state {
        return Ok(None);
    }
    let missing = || BillingError::not_found("billing_run", &chunk.run);
    let run: BillingRun = billing.store.find(tenant, &chunk.run).await?.ok_or_else(missing)?;
    Ok(match run.state {
        RunState::Paused => None,
        RunState::Cancelled => Some((chunk, Course::WindDown)),
        RunState::Planning | RunState::Running | RunState::Completed | RunState::Failed => {
            Some((chunk, Course::Onward))
        }
    })
}

/// Moves a chunk to `state`, commits it with `unit`, and tells those who watch.
pub(crate) async fn advance(
    billing: &Billing,
    mut chunk: Chunk,
    state: ChunkState,
    mut unit: UnitOfWork,
) -> Result<(), BillingError> {
    chunk.state = state;
    unit.replace(&mut chunk)?;
    let job = next_job(&chunk.tenant, &chunk.id, chunk.state, chunk.pass)?;
    billing.commit(Change { result: (), unit, follow_up: job.into_iter().collect() }).await?;
    publish(billing, &chunk).await;
    Ok(())
}

/// Ends a chunk, with its one entry in the audit trail, and asks its run to look whether it is done, too.
pub(crate) async fn finish(billing: &Billing, mut chunk: Chunk, wall: Timestamp) -> Result<(), BillingError> {
    chunk.state = ChunkState::Notified;
    chunk.due = Due::never();
    let mut unit = UnitOfWork::default();
    unit.replace(&mut chunk)?;
    let data = json!({
        "billing_run": chunk.run, "subscriptions": chunk.subscriptions, "invoiced": chunk.counts.invoiced,
        "skipped": chunk.skipped, "failed": chunk.failed.len(), "paid": chunk.counts.paid,
        "payment_failed": chunk.counts.payment_failed,
    });
    let fact = Fact { name: EventType::ChunkCompleted, subject: &chunk.id, revision: chunk.revision, data };
    Actor::system(&chunk.tenant).record(&mut unit, wall, fact)?;
    let look = NewJob::of(&TriggerBillingCycle { tenant: chunk.tenant.clone(), run: chunk.run.clone() })?;
    billing.commit(Change { result: (), unit, follow_up: vec![look] }).await?;
    publish(billing, &chunk).await;
    Ok(())
}

/// Tells live listeners how far a chunk is. They lose nothing that they cannot read, so trouble is only logged.
async fn publish(billing: &Billing, chunk: &Chunk) {
    let message = json!({
        "run": chunk.run, "chunk": chunk.id, "state": chunk.state, "pass": chunk.pass,
        "subscriptions": chunk.subscriptions, "invoiced": chunk.counts.invoiced, "failed": chunk.failed.len(),
        "paid": chunk.counts.paid, "payment_failed": chunk.counts.payment_failed, "notified": chunk.counts.notified,
    });
    let published = billing.queue.publish(&run_channel(&chunk.tenant), &[message.to_string()]).await;
    if let Err(error) = published {
        tracing::debug!(%error, chunk = chunk.id, "nobody hears how far the chunk is");
    }
}

/// Counts a chunk's documents again after something that went on alone has been done. Repeated whenever that something is
/// found done, since its job may have been killed before the count.
pub(crate) async fn recount(billing: &Billing, id: (&str, &str)) -> Result<(), BillingError> {
    retry_conflicts(|| recount_once(billing, id)).await
}

async fn recount_once(billing: &Billing, (tenant, id): (&str, &str)) -> Result<(), BillingError> {
    let Some(mut chunk): Option<Chunk> = billing.store.find(tenant, id).await? else { return Ok(()) };
    let counts = billing.store.count_chunk(tenant, id).await?;
    if counts == chunk.counts {
        return Ok(());
    }
    chunk.counts = counts;
    let mut unit = UnitOfWork::default();
    unit.replace(&mut chunk)?;
    billing.commit(Change { result: (), unit, follow_up: Vec::new() }).await
}
