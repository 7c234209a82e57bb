//! Carries an operation out: one bounded step on one queue at a time, as fast as its pace allows.
//!
//! **Invariant:** a step may be repeated, or be taken by two workers at once: what it has requeued or discarded is no dead
//! letter any more and is not found again. The cursor is stored after the step, so no letter is passed over.

use std::time::Duration;

use jiff::Timestamp;
use queue::{By, DeadAction, SweepCursor, SweepStep};
use serde_json::json;
use store::{Due, Operation, OperationCounts, OperationKind, OperationState, StoreError, UnitOfWork};

use crate::{
    Actor, Billing, BillingError, Change, EventType,
    actor::Fact,
    context::retry_conflicts,
    start_operation::{count_dead_letters, dead_filter},
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
        let expected = count_dead_letters(&billing.queue, tenant, &operation.filter).await?;
        operation.expected = Some(i64::try_from(expected).unwrap_or(i64::MAX));
    }
    let Some(at) = operation.queues.iter().position(|queue| !queue.finished) else {
        return complete(billing, operation, wall).await;
    };
    let step = sweep(billing, &operation, at).await?;
    let wait = pause(step.done + step.skipped, operation.pace);
    let progress = &mut operation.queues[at];
    progress.counts = progress.counts.plus(counts(&step));
    progress.finished = step.finished;
    progress.cursor = Some(write_cursor(&step.cursor)?);
    if operation.queues.iter().all(|queue| queue.finished) {
        return complete(billing, operation, wall).await;
    }
    let mut unit = UnitOfWork::default();
    unit.replace(&mut operation)?;
    billing.commit(Change { result: Advance::After(wait), unit, follow_up: Vec::new() }).await
}

async fn sweep(billing: &Billing, operation: &Operation, at: usize) -> Result<SweepStep, BillingError> {
    let progress = &operation.queues[at];
    let action = match operation.kind {
        OperationKind::RetryDeadLetters => DeadAction::Requeue,
        OperationKind::DiscardDeadLetters => DeadAction::Discard,
    };
    let filter = dead_filter(&operation.tenant, &operation.filter);
    let by = By { who: operation.by.clone(), reason: operation.reason.clone() };
    let limit = usize::try_from(operation.pace.clamp(1, STEP_LIMIT)).unwrap_or(1);
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

/// How long `letters` take at a pace of so many a second.
fn pause(letters: u64, pace: i32) -> Duration {
    let pace = u64::try_from(pace).unwrap_or(1).max(1);
    Duration::from_millis(letters.saturating_mul(1_000).div_ceil(pace))
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
