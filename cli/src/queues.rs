//! `ratchet queues`: how the queues fare, and what holds them back.

use std::{io::Write as _, time::Duration};

use anyhow::{anyhow, ensure};
use api::{
    http::page::List,
    shown::{Limit, PausedQueue, Queue, QueueDetail, Worker},
};
use app::Clock;
use billing::jobs::queues;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use queue::{PauseTarget, QueueClient, Rate};

use crate::{
    operator::{ByArgs, RedisArgs, queue_name},
    terminal::{Last, Tone, chart, figure, fit, print_json, say, span, table, text, when, word},
};

/// How often a watched table is renewed.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// Puts the cursor at the top and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Columns of the overview that go where there is little room: durations, rates, scheduled, workers, limited.
const MAY_GO: [usize; 7] = [11, 12, 8, 9, 4, 13, 3];

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct QueuesArgs {
    #[command(flatten)]
    redis: RedisArgs,
    #[command(subcommand)]
    command: Option<QueuesCommand>,
    #[command(flatten)]
    show: ShowArgs,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// One queue or partition of a queue, with its workers, its limits and its last hour; all if left out.
    name: Option<String>,
    /// Goes on showing until Ctrl-C.
    #[arg(long)]
    watch: bool,
    /// Prints what `GET /v1/queues` answers; one line each time when watching.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum QueuesCommand {
    /// Holds a queue or a job type back until it is resumed; what runs runs on.
    Pause(PauseArgs),
    /// Ends a pause; what waited goes on at once.
    Resume(ResumeArgs),
    /// Limits what jobs that declare a key may take, across the whole fleet.
    Limit(LimitArgs),
}

#[derive(Debug, Args)]
struct PauseArgs {
    #[arg(value_parser = queue_name)]
    name: String,
    /// The job type; the whole queue if left out.
    #[arg(long)]
    job: Option<String>,
    #[command(flatten)]
    by: ByArgs,
}

#[derive(Debug, Args)]
struct ResumeArgs {
    #[arg(value_parser = queue_name)]
    name: String,
    /// The job type that is paused; the whole queue if left out.
    #[arg(long)]
    job: Option<String>,
}

#[derive(Debug, Args)]
struct LimitArgs {
    #[arg(value_parser = queue_name)]
    name: String,
    /// The key that jobs declare, such as `gateway:stripe`.
    key: String,
    /// Jobs running at once; 0 lets none begin.
    #[arg(long)]
    concurrency: Option<u32>,
    /// Units a time, such as 100/60 for a hundred a minute.
    #[arg(long, value_name = "UNITS/SECONDS", value_parser = units_a_time)]
    rate: Option<(u32, u32)>,
    /// Units that can be taken at once after a quiet time; as many as the rate's if left out.
    #[arg(long, requires = "rate")]
    burst: Option<u32>,
    /// Takes the limit away.
    #[arg(long, conflicts_with_all = ["concurrency", "rate"])]
    remove: bool,
}

fn units_a_time(text: &str) -> anyhow::Result<(u32, u32)> {
    let parts = text.split_once('/').and_then(|(units, seconds)| Some((units.parse().ok()?, seconds.parse().ok()?)));
    parts.ok_or_else(|| anyhow!("expected units and seconds, such as 100/60"))
}

pub(crate) async fn run(args: QueuesArgs) -> anyhow::Result<()> {
    let QueuesArgs { redis, command, show } = args;
    let client = redis.connect().await?;
    match command {
        None => look(&client, &show).await,
        Some(QueuesCommand::Pause(args)) => pause(&client, args).await,
        Some(QueuesCommand::Resume(args)) => resume(&client, args).await,
        Some(QueuesCommand::Limit(args)) => limit(&client, args).await,
    }
}

async fn pause(client: &QueueClient, args: PauseArgs) -> anyhow::Result<()> {
    let PauseArgs { name, job, by: ByArgs { reason, by } } = args;
    client.pause(&name, target(job.as_ref()), &by, &reason).await?;
    say(format!("{} is paused", said(&name, job.as_ref())))?;
    Ok(())
}

async fn resume(client: &QueueClient, args: ResumeArgs) -> anyhow::Result<()> {
    let ResumeArgs { name, job } = args;
    let resumed = client.resume(&name, target(job.as_ref())).await?;
    ensure!(resumed, "{} is not paused", said(&name, job.as_ref()));
    say(format!("{} goes on", said(&name, job.as_ref())))?;
    Ok(())
}

fn target(job: Option<&String>) -> PauseTarget<'_> {
    job.map_or(PauseTarget::Queue, |job| PauseTarget::Job(job))
}

fn said(queue: &str, job: Option<&String>) -> String {
    job.map_or_else(|| format!("queue {queue}"), |job| format!("job {job} of queue {queue}"))
}

async fn limit(client: &QueueClient, args: LimitArgs) -> anyhow::Result<()> {
    let LimitArgs { name, key, concurrency, rate, burst, remove } = args;
    if remove {
        ensure!(client.remove_limit(&name, &key).await?, "no limit is set for {key} on queue {name}");
        say(format!("{key} is no longer limited on queue {name}"))?;
        return Ok(());
    }
    ensure!(concurrency.is_some() || rate.is_some(), "say --concurrency, --rate or --remove");
    let rate = rate.map(|(units, seconds)| {
        let per = Duration::from_secs(seconds.into());
        Rate { units, per, burst: burst.unwrap_or(units) }
    });
    client.set_limit(&name, &key, &queue::Limit { concurrency, rate }).await?;
    say(format!("{key} is limited on queue {name}"))?;
    Ok(())
}

async fn look(client: &QueueClient, args: &ShowArgs) -> anyhow::Result<()> {
    if !args.watch {
        return print(client, args).await;
    }
    let mut ticks = tokio::time::interval(WATCH_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            stopped = tokio::signal::ctrl_c() => return Ok(stopped?),
        }
        if !args.json {
            write!(std::io::stdout(), "{CLEAR}")?;
        }
        print(client, args).await?;
    }
}

async fn print(client: &QueueClient, args: &ShowArgs) -> anyhow::Result<()> {
    if let Some(name) = &args.name {
        let known = queues::partitions(client, None);
        ensure!(known.contains(name), "there is no such queue; there are {}", known.join(", "));
        let detail = QueueDetail::from(&client.status(name).await?);
        match (args.json, args.watch) {
            (true, true) => say(serde_json::to_string(&detail)?)?,
            (true, false) => print_json(&detail)?,
            (false, _) => print_detail(&detail, Clock.now())?,
        }
        return Ok(());
    }
    let mut rows = Vec::new();
    for name in queues::partitions(client, None) {
        rows.push(Queue::from(&client.status(&name).await?));
    }
    let has_more = false;
    match (args.json, args.watch) {
        (true, true) => say(serde_json::to_string(&List::new("/v1/queues", has_more, rows))?)?,
        (true, false) => print_json(&List::new("/v1/queues", has_more, rows))?,
        (false, _) => print_overview(&rows, Clock.now())?,
    }
    Ok(())
}

fn print_overview(queues: &[Queue], now: Timestamp) -> anyhow::Result<()> {
    let mut overview = table([
        "queue",
        "state",
        "ready",
        "limited",
        "scheduled",
        "running",
        "dead",
        "oldest",
        "in/s",
        "out/s",
        "drains in",
        "wait p95",
        "run p95",
        "workers",
    ]);
    for queue in queues {
        let (state, tone) = state(queue);
        overview.add_row([
            text(&queue.name),
            word(state, tone),
            figure(Some(queue.ready)),
            figure(Some(queue.limited)),
            figure(Some(queue.scheduled)),
            figure(Some(queue.running)),
            figure(Some(queue.dead)),
            figure(queue.oldest_ready_seconds.map(seconds)),
            figure(Some(queue.rates.added_per_second)),
            figure(Some(queue.rates.finished_per_second)),
            figure(queue.time_to_drain_seconds.map(seconds)),
            figure(queue.wait_ms.p95.map(millis)),
            figure(queue.run_ms.p95.map(millis)),
            figure(Some(queue.workers.len())),
        ]);
    }
    say(fit(overview, Last::Figure, &MAY_GO))?;
    for queue in queues {
        print_pauses(queue, now)?;
    }
    Ok(())
}

/// The one word that says how a queue is, worst first.
fn state(queue: &Queue) -> (&'static str, Tone) {
    let any = |state: &str| queue.workers.iter().any(|worker| worker.state == state);
    if queue.paused.is_some() {
        ("paused", Tone::Attention)
    } else if queue.workers.is_empty() && queue.ready + queue.limited > 0 {
        ("no workers", Tone::Bad)
    } else if any("starving") {
        ("starving", Tone::Bad)
    } else if any("silent") {
        ("worker lost", Tone::Attention)
    } else if !queue.paused_jobs.is_empty() {
        ("job paused", Tone::Attention)
    } else if queue.ready + queue.limited + queue.running > 0 {
        ("working", Tone::Good)
    } else {
        ("idle", Tone::Plain)
    }
}

fn print_pauses(queue: &Queue, now: Timestamp) -> anyhow::Result<()> {
    let told = |what: String, pause: &PausedQueue| {
        say(format!("{what} was paused by {} {}: {}", pause.by, when(pause.at, now), pause.reason))
    };
    if let Some(pause) = &queue.paused {
        told(format!("queue {}", queue.name), pause)?;
    }
    for paused in &queue.paused_jobs {
        told(format!("job {} of queue {}", paused.job, queue.name), &paused.pause)?;
    }
    Ok(())
}

fn print_detail(detail: &QueueDetail, now: Timestamp) -> anyhow::Result<()> {
    let queue = &detail.queue;
    print_overview(std::slice::from_ref(queue), now)?;
    let percentiles = |figures: api::shown::Milliseconds| {
        let said = |figure: Option<u64>| figure.map_or_else(|| "-".to_owned(), millis);
        format!("p50 {}, p95 {}", said(figures.p50), said(figures.p95))
    };
    say(format!("\nwait   {}", percentiles(queue.wait_ms)))?;
    say(format!("run    {}", percentiles(queue.run_ms)))?;
    say(format!("failed {} a second", queue.rates.failed_per_second))?;
    print_history(detail)?;
    if !detail.limits.is_empty() {
        say(format!("\n{}", limits(&detail.limits)))?;
    }
    if !queue.workers.is_empty() {
        say(format!("\n{}", workers(&queue.workers)))?;
    }
    Ok(())
}

/// The last hour, a sign a minute.
fn print_history(detail: &QueueDetail) -> anyhow::Result<()> {
    say(format!("\nlast {} minutes", detail.history.len()))?;
    let row = |name: &str, figures: Vec<u64>| {
        let sum: u64 = figures.iter().sum();
        say(format!("  {name:<9}|{}| {sum}", chart(&figures)))
    };
    row("added", detail.history.iter().map(|minute| minute.added).collect())?;
    row("finished", detail.history.iter().map(|minute| minute.finished).collect())?;
    row("failed", detail.history.iter().map(|minute| minute.failed).collect())
}

fn limits(limits: &[Limit]) -> comfy_table::Table {
    let mut table = table(["limit", "at once", "rate", "burst", "in use", "waiting"]);
    for limit in limits {
        let rate = limit.rate.as_ref();
        table.add_row([
            text(&limit.key),
            figure(limit.concurrency),
            figure(rate.map(|rate| format!("{} per {} s", rate.units, rate.per_seconds))),
            figure(rate.map(|rate| rate.burst)),
            figure(Some(limit.in_use)),
            figure(Some(limit.parked)),
        ]);
    }
    table
}

fn workers(workers: &[Worker]) -> comfy_table::Table {
    let mut table = table(["worker", "state", "running", "of", "seen", "last took a job"]);
    for worker in workers {
        let tone = match worker.state {
            "working" => Tone::Good,
            "silent" => Tone::Attention,
            _ => Tone::Bad,
        };
        table.add_row([
            text(&worker.name),
            word(worker.state, tone),
            figure(Some(worker.running)),
            figure(Some(worker.capacity)),
            text(format!("{} ago", millis(worker.seen_ms_ago))),
            text(worker.last_claim_ms_ago.map_or_else(|| "never".to_owned(), |ms| format!("{} ago", millis(ms)))),
        ]);
    }
    table
}

fn seconds(seconds: u64) -> String {
    span(Duration::from_secs(seconds))
}

fn millis(ms: u64) -> String {
    span(Duration::from_millis(ms))
}
