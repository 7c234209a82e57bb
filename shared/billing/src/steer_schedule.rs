//! Steers a schedule of the deployment: has it tick now, pauses it, resumes it.

use serde_json::{Value, json};
use store::{Due, Schedule, Store, Tick, UnitOfWork, tick_id};

use crate::{Actor, BillingError, Change, EventType, TenantTime, actor::Fact};

/// What is done with a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleAct {
    /// One tick is made now, beside those of the schedule, also while that is paused.
    Run,
    /// No tick is made from now on; those that fall into the pause are never made up for.
    Pause,
    Resume,
}

/// Decides an act on a schedule, recorded with whoever acts. A pause of what is paused changes nothing, and so on.
///
/// # Errors
/// `NotFound` for a schedule that no scheduler has seen; `State` when a tick of this second exists already; store errors.
pub async fn steer_schedule(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (name, act): (&str, ScheduleAct),
) -> Result<Change<Schedule>, BillingError> {
    let missing = || BillingError::not_found("schedule", name);
    let mut schedule = store.schedule(name).await?.ok_or_else(missing)?;
    let mut unit = UnitOfWork::default();
    let (event, data) = match act {
        ScheduleAct::Run => (EventType::ScheduleRun, run(store, &mut unit, (&mut schedule, time)).await?),
        ScheduleAct::Pause if schedule.paused_at.is_none() => {
            schedule.paused_at = Some(time.wall);
            (EventType::SchedulePaused, json!({}))
        }
        ScheduleAct::Resume if schedule.paused_at.is_some() => {
            schedule.paused_at = None;
            (EventType::ScheduleResumed, json!({}))
        }
        ScheduleAct::Pause | ScheduleAct::Resume => {
            return Ok(Change { result: schedule, unit, follow_up: Vec::new() });
        }
    };
    unit.replace(&mut schedule)?;
    let fact = Fact { name: event, subject: &schedule.id, revision: schedule.revision, data };
    actor.audit(&mut unit, time.wall, &fact)?;
    Ok(Change { result: schedule, unit, follow_up: Vec::new() })
}

async fn run(
    store: &Store,
    unit: &mut UnitOfWork,
    (schedule, time): (&mut Schedule, &TenantTime),
) -> Result<Value, BillingError> {
    let id = tick_id(&schedule.id, time.wall);
    if store.tick(&id).await?.is_some() {
        return Err(BillingError::state("ticks_already", "the schedule ticks at this very second"));
    }
    let (tenant, schedule_id) = (String::new(), schedule.id.clone());
    let due = Due::at(time.wall);
    unit.insert(&Tick { id: id.clone(), tenant, revision: 1, schedule: schedule_id, at: time.wall, due })?;
    schedule.last_at = Some(time.wall);
    Ok(json!({ "tick": id }))
}
