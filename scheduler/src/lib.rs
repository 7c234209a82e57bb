//! Time's hand: makes the ticks of the cron table, starts what they start, mirrors dead letters into the database, and
//! sweeps up what Redis has lost.
//!
//! **Invariant:** any number of schedulers at once do no harm: a tick is a unique record, what it starts has an id made of the
//! tick, sweeping enqueues uniquely, and the mirror applies a change once. Losing every scheduler for a while delays work and
//! loses none: missed ticks are made from the persisted cursor, and the queues' journals wait.

mod civil_cron;
mod table;
mod ticks;

use std::time::Duration;

use app::{App, Shutdown};
use jiff::Timestamp;

pub use civil_cron::{CivilCron, CronError};
pub use table::{Entry, TABLE};

/// How often the scheduler looks at clock and Redis: the delay that losing all of Redis costs.
const BEAT: Duration = Duration::from_secs(1);
/// Beats between two sweeps for overdue work.
const BEATS_PER_SWEEP: u64 = 30;

/// Runs the scheduler until shutdown. A failing beat is logged and the next one tries again.
///
/// # Errors
/// When an entry of the cron table cannot be parsed.
pub async fn run(app: App, shutdown: Shutdown) -> anyhow::Result<()> {
    let schedules = table::parse()?;
    let mut beats: u64 = 0;
    let mut interval = tokio::time::interval(BEAT);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = interval.tick() => {}
        }
        if let Err(error) = beat(&app, &schedules, beats).await {
            tracing::warn!(%error, "the scheduler's beat failed; the next one tries again");
        }
        beats += 1;
    }
}

async fn beat(app: &App, schedules: &[table::Schedule], beats: u64) -> anyhow::Result<()> {
    let wall = app.clock.now();
    rebuild(app, wall).await?;
    billing::mirror_dead_letters(&app.billing).await?;
    for schedule in schedules {
        ticks::make_due(app, schedule, wall).await?;
    }
    ticks::start_due(app, wall).await?;
    if beats.is_multiple_of(BEATS_PER_SWEEP) {
        billing::sweep_overdue(&app.billing, wall).await?;
    }
    Ok(())
}

async fn rebuild(app: &App, wall: Timestamp) -> anyhow::Result<()> {
    let generation = app.ids.new_id("gen");
    if let Some(sweep) = billing::rebuild_deliveries(&app.billing, &generation, wall).await? {
        let (jobs, dead_letters) = (sweep.offered, sweep.restored);
        tracing::info!(jobs, dead_letters, "Redis held no work of this deployment; rebuilt it from the database");
    }
    Ok(())
}
