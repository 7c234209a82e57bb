//! Pauses, resumes and cancels a billing run, and has it retry what failed. The run notes what is wanted; its chunks ask it
//! before every step, so each takes effect within a chunk.

use domain::RunState;
use jiff::Timestamp;
use queue::NewJob;
use serde_json::json;
use store::{BillingRun, Due, RunTotals, Store, UnitOfWork};

use crate::{Actor, BillingError, Change, EventType, TenantTime, actor::Fact, jobs::TriggerBillingCycle};

/// What is wanted of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steering {
    /// Every stage holds still.
    Pause,
    /// It goes on from where it was.
    Resume,
    /// Nothing more is invoiced; what was is collected and mailed outside the run.
    Cancel,
    /// Subscriptions that could not be billed are tried again; nothing else is.
    RetryFailed,
}

impl Steering {
    fn event(self) -> EventType {
        match self {
            Self::Pause => EventType::BillingRunPaused,
            Self::Resume => EventType::BillingRunResumed,
            Self::Cancel => EventType::BillingRunCancelled,
            Self::RetryFailed => EventType::BillingRunRetried,
        }
    }
}

/// Decides what becomes of a run.
///
/// # Errors
/// `NotFound`; `State` for what its state does not allow, or when nothing failed that could be retried; store errors.
pub async fn steer_billing_run(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (id, steering): (&str, Steering),
) -> Result<Change<BillingRun>, BillingError> {
    let missing = || BillingError::not_found("billing_run", id);
    let mut run: BillingRun = store.find(&actor.tenant, id).await?.ok_or_else(missing)?;
    match steering {
        Steering::Pause => {
            move_to(&mut run, RunState::Paused)?;
            run.due = Due::never();
        }
        Steering::Resume => resume(&mut run, time.wall)?,
        Steering::Cancel => {
            move_to(&mut run, RunState::Cancelled)?;
            wake(&mut run, time.wall);
        }
        Steering::RetryFailed => retry_failed(store, &mut run, time.wall).await?,
    }
    let mut unit = UnitOfWork::default();
    unit.replace(&mut run)?;
    let fact = Fact { name: steering.event(), subject: &run.id, revision: run.revision, data: json!({}) };
    actor.record(&mut unit, time.wall, fact)?;
    let look = NewJob::of(&TriggerBillingCycle { tenant: run.tenant.clone(), run: run.id.clone() })?;
    Ok(Change { result: run, unit, follow_up: vec![look] })
}

fn move_to(run: &mut BillingRun, state: RunState) -> Result<(), BillingError> {
    let moved = run.state.transition_to(state);
    run.state = moved.map_err(|error| BillingError::state("invalid_state", error.to_string()))?;
    Ok(())
}

/// The state in which a run that moves is.
fn under_way(run: &BillingRun) -> RunState {
    if run.planned { RunState::Running } else { RunState::Planning }
}

/// The jobs of its chunks may have ended without doing anything.
fn wake(run: &mut BillingRun, wall: Timestamp) {
    run.wake_after = Some(String::new());
    run.due = Due::at(wall);
}

fn resume(run: &mut BillingRun, wall: Timestamp) -> Result<(), BillingError> {
    if run.state != RunState::Paused {
        let detail = format!("a billing run that is {} cannot be resumed", run.state.as_str());
        return Err(BillingError::state("invalid_state", detail));
    }
    move_to(run, under_way(run))?;
    wake(run, wall);
    Ok(())
}

async fn retry_failed(store: &Store, run: &mut BillingRun, wall: Timestamp) -> Result<(), BillingError> {
    if matches!(run.state, RunState::Paused | RunState::Cancelled) {
        let detail = format!("what failed in a billing run that is {} cannot be retried", run.state.as_str());
        return Err(BillingError::state("invalid_state", detail));
    }
    let failed = RunTotals::of(&store.chunks_of_run(&run.tenant, &run.id).await?).failed;
    if failed == 0 && run.state != RunState::Failed {
        return Err(BillingError::state("nothing_failed", "nothing failed in this billing run"));
    }
    if run.state != under_way(run) {
        move_to(run, under_way(run))?;
    }
    run.retries += 1;
    run.error = None;
    run.finished_at = None;
    run.due = Due::at(wall);
    Ok(())
}
