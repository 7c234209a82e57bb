//! Ticks: made once each from a schedule's persisted cursor, started until their work has begun.

use std::time::Duration;

use app::App;
use jiff::Timestamp;
use store::{CatchUp, Due, Schedule as Stored, StoreError, Tick, UnitOfWork, tick_id};

use crate::table::{BILLING_CYCLE, Schedule};

/// Due ticks started per beat.
const START_LIMIT: i64 = 100;
/// Missed ticks of one schedule that are looked at in one beat: those of six weeks of hours. Earlier ones are not made up for.
const MISSED_LIMIT: usize = 1_000;
/// A tick made this late is one that nobody was there to make: some beats, so that a slow one misses nothing.
const LATE_AFTER: Duration = Duration::from_secs(60);

/// Stores the ticks of a schedule that have become due, and moves its cursor with them.
///
/// # Errors
/// Store errors, except those that mean that another scheduler came first.
pub(crate) async fn make_due(app: &App, schedule: &Schedule, wall: Timestamp) -> anyhow::Result<()> {
    let store = &app.billing.store;
    let Some(mut stored) = store.schedule(schedule.entry.name).await? else {
        return first_start(app, schedule, wall).await;
    };
    let due = schedule.cron.between(stored.cursor, wall, MISSED_LIMIT);
    let definition = schedule.entry.definition();
    if due.is_empty() && stored.definition == definition {
        return Ok(());
    }
    let made = if stored.paused_at.is_some() { Vec::new() } else { to_make(schedule.entry.catch_up, &due, wall) };
    stored.missed += i64::try_from(due.len() - made.len())?;
    stored.cursor = due.last().copied().unwrap_or(stored.cursor);
    stored.last_at = made.last().copied().or(stored.last_at);
    stored.next_at = schedule.cron.next(wall);
    stored.definition = definition;
    let mut unit = UnitOfWork::default();
    unit.replace(&mut stored)?;
    for at in made {
        unit.insert(&tick(schedule, at))?;
    }
    other_scheduler_is_welcome(store.commit(unit).await)
}

/// Which of the ticks that have become due are made, oldest first.
fn to_make(catch_up: CatchUp, due: &[Timestamp], wall: Timestamp) -> Vec<Timestamp> {
    match catch_up {
        CatchUp::All => due.to_vec(),
        CatchUp::Latest => due.last().copied().into_iter().collect(),
        CatchUp::Skip => due.iter().copied().filter(|at| *at + LATE_AFTER > wall).collect(),
    }
}

/// A new schedule begins now; it has missed nothing.
async fn first_start(app: &App, schedule: &Schedule, wall: Timestamp) -> anyhow::Result<()> {
    let mut unit = UnitOfWork::default();
    unit.insert(&Stored {
        id: schedule.entry.name.to_owned(),
        revision: 1,
        created: wall,
        definition: schedule.entry.definition(),
        cursor: wall,
        last_at: None,
        next_at: schedule.cron.next(wall),
        missed: 0,
        paused_at: None,
    })?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_makes_up_for_its_own_share() {
        let at = |text: &str| format!("2026-08-01T{text}Z").parse::<Timestamp>().unwrap();
        let due = [at("10:00:00"), at("11:00:00"), at("12:00:00")];
        let made = |policy, wall: &str| to_make(policy, &due, at(wall)).len();
        assert_eq!(made(CatchUp::All, "12:30:00"), 3);
        assert_eq!(to_make(CatchUp::Latest, &due, at("12:30:00")), [at("12:00:00")]);
        assert_eq!(made(CatchUp::Skip, "12:30:00"), 0);
        assert_eq!(to_make(CatchUp::Skip, &due, at("12:00:01")), [at("12:00:00")]);
        for policy in [CatchUp::All, CatchUp::Latest, CatchUp::Skip] {
            assert_eq!(to_make(policy, &[], at("12:00:00")), []);
        }
    }
}
