//! The sweep: enqueues what the store says remains to be done, in case Redis has lost or never got it.
//!
//! **Invariant:** Redis holds the generation id that is also in the store. When it is missing or differs, Redis has lost its
//! data and everything due is enqueued at once; otherwise only what has been overdue for minutes is touched. Enqueueing is
//! unique per parent, so a sweep too many is harmless. **Invariant:** what has died waits for a person: a document whose job is
//! a dead letter is not offered again. So dead letters that Redis has lost are put back before anything is offered.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use queue::{NewJob, QueueError};
use store::{
    AuditEntry, BillingRun, Chunk, DueRef, Event, EventDelivery, GatewayEventRecord, Invoice, Notification, Operation,
    Record, Refund, TestClock, UsageReport, WebhookDelivery,
};

use crate::{
    Billing, BillingError, chunk_stage,
    jobs::{
        AdvanceOperation, AdvanceTestClock, CollectPayment, DeliverEvent, DeliverWebhook, DispatchEvents,
        FinishUsageReport, ProcessGatewayEvent, RefundPayment, SealAudit, SendNotification, TriggerBillingCycle,
    },
    mirror_dead_letters::restore_dead_letters,
};

/// Work that is this much overdue has probably lost its job.
const OVERDUE_AFTER: Duration = Duration::from_secs(120);
/// Documents read and jobs enqueued at a time.
const PAGE: i64 = 1_000;

/// What a sweep enqueued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Jobs offered to the queues, those included that existed already or are dead.
    pub offered: usize,
    /// Dead letters put back.
    pub restored: usize,
}

/// If Redis has lost its data, puts the dead letters back, enqueues everything else that is due, and marks Redis with a new
/// generation id.
///
/// # Errors
/// Store and queue errors; the next call begins again.
pub async fn rebuild_deliveries(
    billing: &Billing,
    fresh_generation: &str,
    wall: Timestamp,
) -> Result<Option<Sweep>, BillingError> {
    let stored = billing.store.delivery_generation().await?;
    if stored.is_some() && billing.queue.generation().await? == stored {
        return Ok(None);
    }
    billing.store.set_delivery_generation(fresh_generation).await?;
    let restored = restore_dead_letters(billing).await?;
    let sweep = Sweep { restored, ..sweep_due(billing, wall).await? };
    // Another scheduler may have stored its own id meanwhile; both end by marking Redis with the stored one.
    if let Some(generation) = billing.store.delivery_generation().await? {
        billing.queue.set_generation(&generation).await?;
    }
    Ok(Some(sweep))
}

/// Enqueues what has been due for minutes and is not dead.
///
/// # Errors
/// Store and queue errors.
pub async fn sweep_overdue(billing: &Billing, wall: Timestamp) -> Result<Sweep, BillingError> {
    sweep_due(billing, wall - OVERDUE_AFTER).await
}

async fn sweep_due(billing: &Billing, until: Timestamp) -> Result<Sweep, BillingError> {
    let mut sweep = Sweep::default();
    sweep_chunks(billing, until, &mut sweep).await?;
    sweep_all::<BillingRun>(billing, until, &mut sweep, |due| {
        NewJob::of(&TriggerBillingCycle { tenant: due.tenant, run: due.id })
    })
    .await?;
    sweep_all::<Invoice>(billing, until, &mut sweep, collect_invoice).await?;
    sweep_drafts(billing, &mut sweep).await?;
    sweep_all::<UsageReport>(billing, until, &mut sweep, |due| {
        NewJob::of(&FinishUsageReport { tenant: due.tenant, report: due.id })
    })
    .await?;
    sweep_all::<Notification>(billing, until, &mut sweep, |due| {
        NewJob::of(&SendNotification::Notification { tenant: due.tenant, notification: due.id })
    })
    .await?;
    sweep_all::<WebhookDelivery>(billing, until, &mut sweep, |due| {
        NewJob::of(&DeliverWebhook { tenant: due.tenant, delivery: due.id })
    })
    .await?;
    sweep_all::<Operation>(billing, until, &mut sweep, |due| {
        NewJob::of(&AdvanceOperation { tenant: due.tenant, operation: due.id })
    })
    .await?;
    sweep_all::<Refund>(billing, until, &mut sweep, |due| {
        NewJob::of(&RefundPayment { tenant: due.tenant, refund: due.id })
    })
    .await?;
    sweep_all::<GatewayEventRecord>(billing, until, &mut sweep, |due| {
        NewJob::of(&ProcessGatewayEvent { tenant: due.tenant, event: due.id })
    })
    .await?;
    sweep_all::<EventDelivery>(billing, until, &mut sweep, |due| {
        NewJob::of(&DeliverEvent { tenant: due.tenant, delivery: due.id })
    })
    .await?;
    sweep_all::<TestClock>(billing, until, &mut sweep, |due| {
        NewJob::of(&AdvanceTestClock { tenant: due.tenant, clock: due.id })
    })
    .await?;
    sweep_tenants::<Event>(billing, until, &mut sweep, |tenant| NewJob::of(&DispatchEvents { tenant })).await?;
    sweep_tenants::<AuditEntry>(billing, until, &mut sweep, |tenant| NewJob::of(&SealAudit { tenant })).await?;
    Ok(sweep)
}

/// Offers a job for every due document of a collection, page by page.
async fn sweep_all<R: Record>(
    billing: &Billing,
    until: Timestamp,
    sweep: &mut Sweep,
    job: impl Fn(DueRef) -> Result<NewJob, QueueError>,
) -> Result<(), BillingError> {
    let mut last: Option<DueRef> = None;
    loop {
        let page = billing.store.due::<R>(until, last.as_ref(), PAGE).await?;
        let Some(end) = page.last().cloned() else { return Ok(()) };
        offer(billing, page.into_iter().map(&job).collect::<Result<_, _>>()?, sweep).await?;
        last = Some(end);
    }
}

/// Drafts of tenants on a test clock are final when that says so.
async fn sweep_drafts(billing: &Billing, sweep: &mut Sweep) -> Result<(), BillingError> {
    for clock in billing.store.test_clocks().await? {
        let due = billing.store.due_on::<Invoice>((&clock.id, clock.now), PAGE).await?;
        offer(billing, due.into_iter().map(collect_invoice).collect::<Result<_, _>>()?, sweep).await?;
    }
    Ok(())
}

fn collect_invoice(due: DueRef) -> Result<NewJob, QueueError> {
    NewJob::of(&CollectPayment::Invoice { tenant: due.tenant, invoice: due.id })
}

/// A chunk's job depends on how far it is; those of a paused run have none.
async fn sweep_chunks(billing: &Billing, until: Timestamp, sweep: &mut Sweep) -> Result<(), BillingError> {
    let mut last: Option<DueRef> = None;
    loop {
        let page = billing.store.due::<Chunk>(until, last.as_ref(), PAGE).await?;
        let Some(end) = page.last().cloned() else { return Ok(()) };
        let ids: Vec<String> = page.into_iter().map(|due| due.id).collect();
        let mut chunks = billing.store.chunk_summaries(&ids).await?;
        let runs: BTreeSet<String> = chunks.iter().map(|chunk| chunk.run.clone()).collect();
        let paused = billing.store.paused_runs(&Vec::from_iter(runs)).await?;
        chunks.retain(|chunk| !paused.contains(&chunk.run));
        let job = |chunk: &store::ChunkSummary| {
            chunk_stage::next_job(&chunk.tenant, &chunk.id, chunk.state, chunk.pass).transpose()
        };
        offer(billing, chunks.iter().filter_map(job).collect::<Result<_, _>>()?, sweep).await?;
        last = Some(end);
    }
}

/// Offers a job for every tenant that has due documents of a collection: it looks after all of them.
async fn sweep_tenants<R: Record>(
    billing: &Billing,
    until: Timestamp,
    sweep: &mut Sweep,
    job: impl Fn(String) -> Result<NewJob, QueueError>,
) -> Result<(), BillingError> {
    let mut tenants = BTreeSet::new();
    let mut last: Option<DueRef> = None;
    loop {
        let page = billing.store.due::<R>(until, last.as_ref(), PAGE).await?;
        let Some(end) = page.last().cloned() else { break };
        tenants.extend(page.into_iter().map(|due| due.tenant));
        last = Some(end);
    }
    offer(billing, tenants.into_iter().map(job).collect::<Result<_, _>>()?, sweep).await
}

async fn offer(billing: &Billing, jobs: Vec<NewJob>, sweep: &mut Sweep) -> Result<(), BillingError> {
    sweep.offered += jobs.len();
    if !jobs.is_empty() {
        billing.queue.enqueue_many(jobs.into_iter().map(NewJob::unless_dead).collect()).await?;
    }
    Ok(())
}
