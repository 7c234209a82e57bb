//! Where a chunk stands in the pipeline, and the job that takes it further: the one table that pipeline, planning and sweep
//! share.

use queue::{NewJob, QueueError};
use store::{Chunk, ChunkState, Due, UnitOfWork};

use crate::{
    Billing, BillingError, Change,
    context::retry_conflicts,
    jobs::{CalculateUsage, CollectPayment, GenerateInvoices, SendNotification, TriggerBillingCycle},
};

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

/// Loads a chunk if it is still in the state that the caller works on; otherwise somebody has done the work already.
pub(crate) async fn load(
    billing: &Billing,
    (tenant, id): (&str, &str),
    state: ChunkState,
) -> Result<Option<Chunk>, BillingError> {
    let chunk: Chunk = billing.store.find(tenant, id).await?.ok_or_else(|| BillingError::not_found("chunk", id))?;
    Ok((chunk.state == state).then_some(chunk))
}

/// Decides a chunk's move to `state`. A chunk that is done asks its run to look whether it is done, too.
pub(crate) fn advance(mut chunk: Chunk, state: ChunkState, mut unit: UnitOfWork) -> Result<Change<()>, BillingError> {
    chunk.state = state;
    if state == ChunkState::Notified {
        chunk.due = Due::never();
    }
    unit.replace(&mut chunk)?;
    let job = match next_job(&chunk.tenant, &chunk.id, chunk.state, chunk.pass)? {
        Some(job) => job,
        None => NewJob::of(&TriggerBillingCycle { tenant: chunk.tenant, run: chunk.run })?,
    };
    Ok(Change { result: (), unit, follow_up: vec![job] })
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
