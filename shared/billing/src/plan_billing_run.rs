//! Plans a billing run: cuts its customers into chunks, and completes it when every chunk is done.
//!
//! **Invariant:** a chunk's id is run + the customer it begins after, and it is inserted together with a change of its run.
//! So planning that was killed goes on from the last stored chunk's end, of two planners at once one begins again, no customer
//! is planned twice, and no chunk is added to a run that has left planning.

use jiff::Timestamp;
use queue::NewJob;
use serde_json::json;
use store::{BillingRun, Chunk, ChunkCounts, ChunkState, Due, RunState, UnitOfWork, chunk_id};

use crate::{
    Actor, Billing, BillingError, Change, EventType, Progress, actor::Fact, chunk_stage, context::retry_conflicts,
};

/// Customers of a chunk: enough for bulk reads to pay, few enough for several workers to share a run.
const CHUNK_CUSTOMERS: usize = 200;
/// Chunks planned in one step of the job.
const CHUNKS_PER_STEP: usize = 100;

/// Plans or completes a run, one bounded step at a time.
///
/// # Errors
/// `NotFound` for an unknown run; store errors.
pub async fn plan_billing_run(
    billing: &Billing,
    (tenant, run): (&str, &str),
    wall: Timestamp,
) -> Result<Progress, BillingError> {
    retry_conflicts(|| step(billing, (tenant, run), wall)).await
}

async fn step(billing: &Billing, (tenant, id): (&str, &str), wall: Timestamp) -> Result<Progress, BillingError> {
    let run: BillingRun =
        billing.store.find(tenant, id).await?.ok_or_else(|| BillingError::not_found("billing_run", id))?;
    match run.state {
        RunState::Planning => plan_step(billing, run, wall).await,
        RunState::Running => complete_if_done(billing, run, wall).await,
        RunState::Completed => Ok(Progress::Done),
    }
}

async fn plan_step(billing: &Billing, mut run: BillingRun, wall: Timestamp) -> Result<Progress, BillingError> {
    let mut after = billing.store.planned_until(&run.tenant, &run.id).await?.unwrap_or_default();
    for _ in 0..CHUNKS_PER_STEP {
        let customers = billing.store.customers_due(&run.tenant, run.as_of, (&after, CHUNK_CUSTOMERS)).await?;
        if customers.is_empty() {
            run.state = RunState::Running;
            let mut unit = UnitOfWork::default();
            unit.replace(&mut run)?;
            billing.commit(Change { result: (), unit, follow_up: Vec::new() }).await?;
            return complete_if_done(billing, run, wall).await;
        }
        let chunk = new_chunk(&run, &after, customers, wall);
        let mut unit = UnitOfWork::default();
        unit.insert(&chunk)?;
        unit.replace(&mut run)?;
        let job = chunk_stage::next_job(&chunk.tenant, &chunk.id, chunk.state, chunk.pass)?;
        billing.commit(Change { result: (), unit, follow_up: job.into_iter().collect() }).await?;
        after = chunk.customers.last().cloned().unwrap_or(after);
    }
    Ok(Progress::More)
}

fn new_chunk(run: &BillingRun, after: &str, customers: Vec<String>, wall: Timestamp) -> Chunk {
    Chunk {
        id: chunk_id(&run.id, after),
        tenant: run.tenant.clone(),
        revision: 1,
        created: wall,
        run: run.id.clone(),
        as_of: run.as_of,
        customers,
        state: ChunkState::Planned,
        pass: 1,
        subscriptions: 0,
        skipped: 0,
        failed: Vec::new(),
        counts: ChunkCounts::default(),
        due: Due::at(wall),
    }
}

async fn complete_if_done(billing: &Billing, mut run: BillingRun, wall: Timestamp) -> Result<Progress, BillingError> {
    let chunks = billing.store.chunks_of_run(&run.tenant, &run.id).await?;
    let waiting: Vec<_> = chunks
        .iter()
        .filter_map(|chunk| chunk_stage::next_job(&chunk.tenant, &chunk.id, chunk.state, chunk.pass).transpose())
        .collect::<Result<_, _>>()?;
    if !waiting.is_empty() {
        // Their jobs exist already, unless Redis has lost them; what is dead waits for a person.
        billing.hint(waiting.into_iter().map(NewJob::unless_dead).collect()).await;
        return Ok(Progress::Done);
    }
    run.state = RunState::Completed;
    run.finished_at = Some(wall);
    run.due = Due::never();
    let mut unit = UnitOfWork::default();
    unit.replace(&mut run)?;
    let fact = Fact {
        name: EventType::BillingRunCompleted,
        subject: &run.id,
        revision: run.revision,
        data: json!({ "as_of": run.as_of }),
    };
    Actor::system(&run.tenant).announce(&mut unit, wall, fact)?;
    billing.commit(Change { result: Progress::Done, unit, follow_up: Vec::new() }).await
}
