//! Looks after a billing run: cuts its customers into chunks, wakes and retries chunks when it is asked to, and completes it
//! when every chunk is done.
//!
//! **Invariant:** a chunk's id is run + the customer it begins after, and it is inserted together with a change of its run.
//! So planning that was killed goes on from the last stored chunk's end, of two planners at once one begins again, no customer
//! is planned twice, and no chunk is added to a run that has left planning.

use domain::RunState;
use jiff::Timestamp;
use queue::NewJob;
use serde_json::json;
use store::{BillingRun, Chunk, ChunkCounts, ChunkState, Due, StoreError, UnitOfWork, chunk_id};

use crate::{
    Actor, Billing, BillingError, Change, EventType, Progress, actor::Fact, chunk_stage, context::retry_conflicts,
};

/// Customers of a chunk: enough for bulk reads to pay, few enough for several workers to share a run.
const CHUNK_CUSTOMERS: usize = 200;
/// Chunks planned in one step of the job.
const CHUNKS_PER_STEP: usize = 100;
/// Chunks woken in one step: as many jobs as go to Redis at once.
const WAKE_PAGE: i64 = 500;
/// Chunks whose failures are retried in one step; each is a document of some kilobytes.
const RETRY_PAGE: i64 = 50;

/// Takes a run further, one bounded step at a time.
///
/// # Errors
/// `NotFound` for an unknown run; store errors, but for damaged documents, which fail the run.
pub async fn plan_billing_run(
    billing: &Billing,
    (tenant, run): (&str, &str),
    wall: Timestamp,
) -> Result<Progress, BillingError> {
    match retry_conflicts(|| step(billing, (tenant, run), wall)).await {
        Err(BillingError::Store(StoreError::Corrupt(detail))) => {
            retry_conflicts(|| fail(billing, (tenant, run), (&detail, wall))).await?;
            Ok(Progress::Done)
        }
        outcome => outcome,
    }
}

async fn load(billing: &Billing, (tenant, id): (&str, &str)) -> Result<BillingRun, BillingError> {
    billing.store.find(tenant, id).await?.ok_or_else(|| BillingError::not_found("billing_run", id))
}

async fn step(billing: &Billing, id: (&str, &str), wall: Timestamp) -> Result<Progress, BillingError> {
    let run = load(billing, id).await?;
    if let Some(after) = run.wake_after.clone() {
        return wake(billing, run, &after).await;
    }
    match run.state {
        RunState::Planning => plan_step(billing, run, wall).await,
        RunState::Running | RunState::Cancelled => end_if_done(billing, run, wall).await,
        RunState::Paused | RunState::Completed | RunState::Failed => Ok(Progress::Done),
    }
}

async fn commit_run(billing: &Billing, run: &mut BillingRun, jobs: Vec<NewJob>) -> Result<(), BillingError> {
    let mut unit = UnitOfWork::default();
    unit.replace(run)?;
    billing.commit(Change { result: (), unit, follow_up: jobs }).await
}

/// Offers a job for every chunk that is not done, page by page: theirs found the run paused, and ended.
async fn wake(billing: &Billing, mut run: BillingRun, after: &str) -> Result<Progress, BillingError> {
    let chunks = billing.store.open_chunks((&run.tenant, &run.id), (after, WAKE_PAGE)).await?;
    let job = |chunk: &store::ChunkSummary| {
        chunk_stage::next_job(&chunk.tenant, &chunk.id, chunk.state, chunk.pass).transpose()
    };
    let jobs: Vec<NewJob> = chunks.iter().filter_map(job).collect::<Result<_, _>>()?;
    // What is dead waits for a person. Enqueued before it is noted, so that a step that is killed wakes them again.
    billing.hint(jobs.into_iter().map(NewJob::unless_dead).collect()).await;
    run.wake_after = chunks.last().map(|chunk| chunk.id.clone());
    commit_run(billing, &mut run, Vec::new()).await?;
    Ok(Progress::More)
}

async fn plan_step(billing: &Billing, mut run: BillingRun, wall: Timestamp) -> Result<Progress, BillingError> {
    let mut after = billing.store.planned_until(&run.tenant, &run.id).await?.unwrap_or_default();
    for _ in 0..CHUNKS_PER_STEP {
        let customers = billing.store.customers_due(&run.tenant, run.as_of, (&after, CHUNK_CUSTOMERS)).await?;
        if customers.is_empty() {
            run.state = RunState::Running;
            run.planned = true;
            commit_run(billing, &mut run, Vec::new()).await?;
            return end_if_done(billing, run, wall).await;
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
        retried: run.retries,
        counts: ChunkCounts::default(),
        due: Due::at(wall),
    }
}

/// Sends done chunks with failures through the pipeline again if that was asked for; ends the run when all are done.
async fn end_if_done(billing: &Billing, mut run: BillingRun, wall: Timestamp) -> Result<Progress, BillingError> {
    let id = (run.tenant.as_str(), run.id.as_str());
    if run.state == RunState::Running && run.retries > 0 {
        let chunks = billing.store.chunks_to_retry(id, (run.retries, RETRY_PAGE)).await?;
        if !chunks.is_empty() {
            retry_failures(billing, run.retries, (chunks, wall)).await?;
            return Ok(Progress::More);
        }
    }
    if !billing.store.open_chunks(id, ("", 1)).await?.is_empty() {
        // Its job comes back here when it is done.
        return Ok(Progress::Done);
    }
    let mut unit = UnitOfWork::default();
    run.finished_at = Some(wall);
    run.due = Due::never();
    let over = run.state == RunState::Cancelled;
    if !over {
        run.state = RunState::Completed;
    }
    unit.replace(&mut run)?;
    if !over {
        let (subject, revision, data) = (run.id.as_str(), run.revision, json!({ "as_of": run.as_of }));
        let fact = Fact { name: EventType::BillingRunCompleted, subject, revision, data };
        Actor::system(&run.tenant).announce(&mut unit, wall, fact)?;
    }
    billing.commit(Change { result: Progress::Done, unit, follow_up: Vec::new() }).await
}

/// Nothing has failed in these chunks any more: their next pass finds it due again.
async fn retry_failures(
    billing: &Billing,
    retries: i32,
    (chunks, wall): (Vec<Chunk>, Timestamp),
) -> Result<(), BillingError> {
    let (mut unit, mut follow_up) = (UnitOfWork::default(), Vec::new());
    for mut chunk in chunks {
        chunk.failed.clear();
        chunk.retried = retries;
        chunk.state = ChunkState::Planned;
        // A pass of its own, so that no job of an earlier one is taken for it.
        chunk.pass += 1;
        chunk.due = Due::at(wall);
        unit.replace(&mut chunk)?;
        follow_up.extend(chunk_stage::next_job(&chunk.tenant, &chunk.id, chunk.state, chunk.pass)?);
    }
    billing.commit(Change { result: (), unit, follow_up }).await
}

async fn fail(billing: &Billing, id: (&str, &str), (detail, wall): (&str, Timestamp)) -> Result<(), BillingError> {
    let mut run = load(billing, id).await?;
    if run.state != RunState::Planning {
        return Err(StoreError::Corrupt(detail.to_owned()).into());
    }
    run.state = RunState::Failed;
    run.error = Some(detail.to_owned());
    run.due = Due::never();
    let mut unit = UnitOfWork::default();
    unit.replace(&mut run)?;
    let fact = Fact {
        name: EventType::BillingRunFailed,
        subject: &run.id,
        revision: run.revision,
        data: json!({ "error": detail }),
    };
    Actor::system(&run.tenant).announce(&mut unit, wall, fact)?;
    billing.commit(Change { result: (), unit, follow_up: Vec::new() }).await
}
