//! Carries an operation out: one bounded step on one queue at a time, as fast as its pace allows.
//!
//! **Invariant:** a step may be repeated, or be taken by two workers at once: what it has requeued or discarded is no dead
//! letter any more and is not found again, and what it has sent again commits with its cursor. The cursor is stored after the
//! step, so nothing is passed over.

use std::time::Duration;

use jiff::Timestamp;
use queue::{By, DeadAction, NewJob, SweepCursor, SweepStep};
use serde_json::json;
use store::{Due, Operation, OperationCounts, OperationKind, OperationState, StoreError, UnitOfWork};

use crate::{
    Actor, Billing, BillingError, Change, EventType,
    actor::Fact,
    context::retry_conflicts,
    start_operation::{count_dead_letters, dead_filter},
    webhooks::replay_many::replay_step,
};

/// Letters of one step: a fraction of a second of Redis's time, and well inside the job's time-out.
const STEP_LIMIT: i32 = 500;

/// How an operation goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// Nothing is left of it.
    Completed,
    /// The next step may be taken after this long.
    After(Duration),
}

/// What one step did, and what is still to be written with its cursor.
pub(crate) struct Step {
    pub counts: OperationCounts,
    pub finished: bool,
    pub cursor: String,
    pub unit: UnitOfWork,
    pub follow_up: Vec<NewJob>,
}

/// Takes an operation one step further.
///
/// # Errors
/// `NotFound` for an unknown operation; store and queue errors.
pub async fn advance_operation(
    billing: &Billing,
    (tenant, id): (&str, &str),
    wall: Timestamp,
) -> Result<Advance, BillingError> {
    retry_conflicts(|| advance(billing, (tenant, id), wall)).await
}

async fn advance(billing: &Billing, (tenant, id): (&str, &str), wall: Timestamp) -> Result<Advance, BillingError> {
    let mut operation: Operation =
        billing.store.find(tenant, id).await?.ok_or_else(|| BillingError::not_found("operation", id))?;
    if operation.state == OperationState::Completed {
        return Ok(Advance::Completed);
    }
    if operation.expected.is_none() {
        operation.expected = Some(count(billing, &operation).await?);
    }
    let Some(at) = operation.queues.iter().position(|queue| !queue.finished) else {
        return complete(billing, operation, wall).await;
    };
    let Step { counts, finished, cursor, mut unit, follow_up } = step(billing, &operation, at, wall).await?;
    let wait = pause(counts.done + counts.skipped, operation.pace);
    let progress = &mut operation.queues[at];
    progress.counts = progress.counts.plus(counts);
    progress.finished = finished;
    progress.cursor = Some(cursor);
    unit.replace(&mut operation)?;
    billing.commit(Change { result: Advance::After(wait), unit, follow_up }).await
}

async fn count(billing: &Billing, operation: &Operation) -> Result<i64, BillingError> {
    if let Some(scope) = &operation.replay {
        return Ok(billing.store.count_replayable(&operation.tenant, scope).await?);
    }
    let letters = count_dead_letters(&billing.queue, &operation.tenant, &operation.filter).await?;
    Ok(i64::try_from(letters).unwrap_or(i64::MAX))
}

async fn step(billing: &Billing, operation: &Operation, at: usize, wall: Timestamp) -> Result<Step, BillingError> {
    let limit = operation.pace.clamp(1, STEP_LIMIT);
    let action = match operation.kind {
        OperationKind::RetryDeadLetters => DeadAction::Requeue,
        OperationKind::DiscardDeadLetters => DeadAction::Discard,
        OperationKind::ReplayWebhooks => {
            let missing = || StoreError::Corrupt(format!("{} does not say which webhooks", operation.id));
            let scope = operation.replay.as_ref().ok_or_else(missing)?;
            let after = operation.queues[at].cursor.as_deref();
            return replay_step(billing, (&operation.tenant, scope), (after, limit), wall).await;
        }
    };
    let swept = sweep(billing, (operation, at), action, limit).await?;
    Ok(Step {
        counts: counts(&swept),
        finished: swept.finished,
        cursor: write_cursor(&swept.cursor)?,
        unit: UnitOfWork::default(),
        follow_up: Vec::new(),
    })
}

async fn sweep(
    billing: &Billing,
    (operation, at): (&Operation, usize),
    action: DeadAction,
    limit: i32,
) -> Result<SweepStep, BillingError> {
    let progress = &operation.queues[at];
    let filter = dead_filter(&operation.tenant, &operation.filter);
    let by = By { who: operation.by.clone(), reason: operation.reason.clone() };
    let limit = usize::try_from(limit).unwrap_or(1);
    let cursor = read_cursor(progress.cursor.as_deref())?;
    Ok(billing.queue.sweep_dead(&progress.queue, action, &filter, &by, cursor, limit).await?)
}

/// Completes an operation of which nothing is left.
async fn complete(billing: &Billing, mut operation: Operation, wall: Timestamp) -> Result<Advance, BillingError> {
    operation.state = OperationState::Completed;
    operation.finished_at = Some(wall);
    operation.due = Due::never();
    let mut unit = UnitOfWork::default();
    unit.replace(&mut operation)?;
    let OperationCounts { matched, done, skipped } = operation.totals();
    let fact = Fact {
        name: EventType::OperationCompleted,
        subject: &operation.id,
        revision: operation.revision,
        data: json!({ "matched": matched, "done": done, "skipped": skipped }),
    };
    Actor::system(&operation.tenant).record(&mut unit, wall, fact)?;
    billing.commit(Change { result: Advance::Completed, unit, follow_up: Vec::new() }).await
}

/// How long so many take at a pace of so many a second.
fn pause(count: i64, pace: i32) -> Duration {
    let count = u64::try_from(count).unwrap_or_default();
    let pace = u64::try_from(pace).unwrap_or(1).max(1);
    Duration::from_millis(count.saturating_mul(1_000).div_ceil(pace))
}

fn counts(step: &SweepStep) -> OperationCounts {
    let count = |letters: u64| i64::try_from(letters).unwrap_or(i64::MAX);
    OperationCounts { matched: count(step.matched), done: count(step.done), skipped: count(step.skipped) }
}

fn read_cursor(stored: Option<&str>) -> Result<SweepCursor, StoreError> {
    let Some(stored) = stored else { return Ok(SweepCursor::default()) };
    serde_json::from_str(stored).map_err(|error| StoreError::Corrupt(format!("an operation's cursor: {error}")))
}

fn write_cursor(cursor: &SweepCursor) -> Result<String, StoreError> {
    serde_json::to_string(cursor).map_err(|error| StoreError::Corrupt(format!("an operation's cursor: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_followed_by_the_time_it_may_take() {
        assert_eq!(pause(100, 100), Duration::from_secs(1));
        assert_eq!(pause(500, 1_000), Duration::from_millis(500));
        assert_eq!(pause(1, 3), Duration::from_millis(334));
        assert_eq!(pause(0, 100), Duration::ZERO);
    }
}
