//! `ratchet schedules`: what ticks by itself; has a schedule tick now, pauses it, resumes it.
//!
//! Schedules are in the database alone, so this command needs MongoDB and no Redis.

use api::{http::page::List, shown::Schedule};
use app::Clock;
use billing::{Actor, Change, ScheduleAct, TenantTime, steer_schedule};
use clap::{Args, Subcommand};
use jiff::Timestamp;

use crate::{
    operator::DatabaseArgs,
    terminal::{Last, Tone, figure, fit, print_json, say, table, text, when, word},
};

/// Columns that go where there is little room: time zone, catch-up, missed.
const MAY_GO: [usize; 3] = [3, 4, 7];

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SchedulesArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(subcommand)]
    command: Option<SchedulesCommand>,
    /// Prints what `GET /v1/schedules` answers.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum SchedulesCommand {
    /// Has a schedule tick now, beside its own ticks.
    Run(OneArgs),
    /// Makes no tick from now on; those that fall into the pause are never made up for.
    Pause(OneArgs),
    /// Goes on with the next tick.
    Resume(OneArgs),
}

#[derive(Debug, Args)]
struct OneArgs {
    name: String,
    /// Who does it.
    #[arg(long, env = "USER", default_value = "operator")]
    by: String,
}

pub(crate) async fn run(args: SchedulesArgs) -> anyhow::Result<()> {
    let store = args.database.connect().await?;
    let wall = Clock.now();
    let (act, OneArgs { name, by }) = match args.command {
        None => {
            let schedules = store.schedules().await?.into_iter().map(Schedule::from).collect();
            return show(schedules, args.json, wall);
        }
        Some(SchedulesCommand::Run(one)) => (ScheduleAct::Run, one),
        Some(SchedulesCommand::Pause(one)) => (ScheduleAct::Pause, one),
        Some(SchedulesCommand::Resume(one)) => (ScheduleAct::Resume, one),
    };
    // Schedules belong to the deployment, and so does what is recorded of them: to no tenant.
    let actor = Actor { tenant: String::new(), id: by, request_id: None };
    let time = TenantTime { wall, now: wall, clock: None, advancing: false };
    let Change { result, unit, .. } = steer_schedule(&store, &actor, &time, (&name, act)).await?;
    store.commit(unit).await?;
    say(match act {
        ScheduleAct::Run => format!("schedule {} ticks now", result.id),
        ScheduleAct::Pause => format!("schedule {} is paused", result.id),
        ScheduleAct::Resume => format!("schedule {} goes on", result.id),
    })
}

fn show(schedules: Vec<Schedule>, json: bool, now: Timestamp) -> anyhow::Result<()> {
    if json {
        return print_json(&List::new("/v1/schedules", false, schedules));
    }
    let header = ["schedule", "state", "cron", "zone", "catch up", "last", "next", "missed"];
    let mut rows = table(header);
    for schedule in schedules {
        let state = match schedule.paused_at {
            Some(_) => word("paused", Tone::Attention),
            None => word("runs", Tone::Good),
        };
        let moment = |at: Option<Timestamp>| text(at.map_or_else(|| "-".to_owned(), |at| when(at, now)));
        rows.add_row([
            text(&schedule.id),
            state,
            text(&schedule.cron),
            text(&schedule.timezone),
            text(&schedule.catch_up),
            moment(schedule.last_tick_at),
            moment(schedule.next_tick_at),
            figure(Some(schedule.missed_ticks)),
        ]);
    }
    say(fit(rows, Last::Figure, &MAY_GO))
}
