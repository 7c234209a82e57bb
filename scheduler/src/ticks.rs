//! Ticks: made once each from a schedule's persisted cursor, started until their work has begun.

use app::App;
use jiff::Timestamp;
use store::{Due, Schedule as Cursor, StoreError, Tick, UnitOfWork, tick_id};

use crate::table::{BILLING_CYCLE, CatchUp, Schedule};

/// Due ticks started per beat.
const START_LIMIT: i64 = 100;

/// Stores the ticks of a schedule that have become due, and moves its cursor with them.
///
/// # Errors
/// Store errors, except those that mean that another scheduler came first.
pub(crate) async fn make_due(app: &App, schedule: &Schedule, wall: Timestamp) -> anyhow::Result<()> {
    let store = &app.billing.store;
    let Some(mut cursor) = store.schedule(schedule.entry.name).await? else {
        return first_start(app, schedule, wall).await;
    };
    let limit = match schedule.entry.catch_up {
        CatchUp::Latest => 1,
    };
    let due = schedule.cron.between(cursor.cursor, wall, limit);
    let Some(last) = due.last() else { return Ok(()) };
    cursor.cursor = *last;
    let mut unit = UnitOfWork::default();
    unit.replace(&mut cursor)?;
    for at in due {
        unit.insert(&tick(schedule, at))?;
    }
    other_scheduler_is_welcome(store.commit(unit).await)
}

/// A new schedule begins now; it has missed nothing.
async fn first_start(app: &App, schedule: &Schedule, wall: Timestamp) -> anyhow::Result<()> {
    let mut unit = UnitOfWork::default();
    unit.insert(&Cursor { id: schedule.entry.name.to_owned(), revision: 1, cursor: wall })?;
    other_scheduler_is_welcome(app.billing.store.commit(unit).await)
}

fn tick(schedule: &Schedule, at: Timestamp) -> Tick {
    Tick {
        id: tick_id(schedule.entry.name, at),
        tenant: String::new(),
        revision: 1,
        schedule: schedule.entry.name.to_owned(),
        at,
        due: Due::at(at),
    }
}

fn other_scheduler_is_welcome(outcome: Result<(), StoreError>) -> anyhow::Result<()> {
    match outcome {
        Ok(()) | Err(StoreError::Conflict(_) | StoreError::Duplicate(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Starts the work of every tick that is still due, and marks the tick as done.
///
/// # Errors
/// Store and queue errors; the tick stays due and is started again.
pub(crate) async fn start_due(app: &App, wall: Timestamp) -> anyhow::Result<()> {
    let store = &app.billing.store;
    for due in store.due::<Tick>(wall, None, START_LIMIT).await? {
        let Some(mut tick) = store.tick(&due.id).await? else { continue };
        match tick.schedule.as_str() {
            BILLING_CYCLE => {
                let tenants = billing::start_due_runs(&app.billing, &tick.id, wall).await?;
                tracing::debug!(tick = tick.id, tenants, "billing cycle");
            }
            unknown => tracing::warn!(tick = tick.id, schedule = unknown, "a tick of a schedule that is gone"),
        }
        tick.due = Due::never();
        let mut unit = UnitOfWork::default();
        unit.replace(&mut tick)?;
        other_scheduler_is_welcome(store.commit(unit).await)?;
    }
    Ok(())
}
