//! `ratchet jobs`: what waits, what runs, and the story of one job.

use anyhow::bail;
use api::{
    http::page::List,
    shown::{FailedAttempt, Job, JobState},
};
use app::Clock;
use billing::jobs::queues;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use queue::{JobStateKind, QueueClient};

use crate::{
    operator::{RedisArgs, bare, queue_name},
    terminal::{Last, Tone, figure, fit, instant, one_line, print_json, say, table, text, when, word},
};

/// Jobs of one state and queue that are listed unless somebody asks for more.
const DEFAULT_LIMIT: u16 = 10;

/// Most jobs of one state and queue: what the queue gives at once.
const MAX_LIMIT: i64 = 100;

/// Columns that go where there is little room: tenant, attempt, queue, since.
const MAY_GO: [usize; 4] = [3, 5, 1, 6];

#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    #[command(flatten)]
    redis: RedisArgs,
    /// The story of this job; the first jobs of each state if left out.
    #[arg(conflicts_with_all = ["queue", "state", "limit"])]
    id: Option<String>,
    /// Only of this queue.
    #[arg(long, value_parser = queue_name)]
    queue: Option<String>,
    /// Only in this state.
    #[arg(long, value_enum)]
    state: Option<State>,
    /// Jobs of each state and queue, at most 100.
    #[arg(long, default_value_t = DEFAULT_LIMIT, value_parser = clap::value_parser!(u16).range(1..=MAX_LIMIT))]
    limit: u16,
    /// Prints JSON, one job as `GET /v1/jobs/{id}` answers it.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Ready,
    Limited,
    Scheduled,
    Running,
    Dead,
}

impl From<State> for JobStateKind {
    fn from(state: State) -> Self {
        match state {
            State::Ready => Self::Ready,
            State::Limited => Self::Limited,
            State::Scheduled => Self::Scheduled,
            State::Running => Self::Running,
            State::Dead => Self::Dead,
        }
    }
}

pub(crate) async fn run(args: JobsArgs) -> anyhow::Result<()> {
    let client = args.redis.connect().await?;
    match &args.id {
        Some(id) => tell(&client, id, args.json).await,
        None => list(&client, &args).await,
    }
}

async fn list(client: &QueueClient, args: &JobsArgs) -> anyhow::Result<()> {
    let states = args.state.map_or_else(|| JobStateKind::ALL.to_vec(), |state| vec![state.into()]);
    let mut jobs: Vec<Job> = Vec::new();
    for queue in queues::partitions(client, args.queue.as_deref()) {
        for state in &states {
            jobs.extend(client.jobs(&queue, *state, args.limit.into()).await?.into_iter().map(Job::from));
        }
    }
    if args.json {
        // Of each state the first ones: whether there are more, the queue's figures tell.
        let has_more = false;
        return print_json(&List::new("/v1/jobs", has_more, jobs));
    }
    if jobs.is_empty() {
        say("no jobs")?;
        return Ok(());
    }
    let now = Clock.now();
    let mut rows = table(["job", "queue", "type", "tenant", "state", "attempt", "since", "worker, gate or error"]);
    for job in &jobs {
        rows.add_row([
            text(&job.id),
            text(&job.queue),
            text(&job.job),
            text(job.tenant.as_deref().unwrap_or("-")),
            word(job.state.as_str(), tone(job.state)),
            figure(Some(job.attempt)),
            text(when(since(job), now)),
            text(one_line(&note(job))),
        ]);
    }
    say(fit(rows, Last::Text, &MAY_GO))?;
    Ok(())
}

fn tone(state: JobState) -> Tone {
    match state {
        JobState::Running => Tone::Good,
        JobState::Limited => Tone::Attention,
        JobState::Dead => Tone::Bad,
        JobState::Ready | JobState::Scheduled => Tone::Plain,
    }
}

/// When it came to where it is, or is to leave it.
fn since(job: &Job) -> Timestamp {
    let held = job.running.as_ref().map(|held| held.since);
    held.or(job.died_at).unwrap_or(job.run_at)
}

fn note(job: &Job) -> String {
    let failed = job.history.last().map(|failure| format!("{}: {}", failure.code, failure.message));
    let worker = job.running.as_ref().map(|held| held.worker.clone());
    worker.or_else(|| job.gate.clone()).or(failed).unwrap_or_default()
}

async fn tell(client: &QueueClient, id: &str, as_json: bool) -> anyhow::Result<()> {
    for queue in queues::partitions(client, None) {
        let Some(record) = client.job(&queue, bare(id)).await? else { continue };
        let job = Job::from(record);
        if as_json {
            return print_json(&job);
        }
        return print_story(&job, Clock.now());
    }
    bail!("no such job: {id}; one that is finished leaves nothing behind")
}

fn print_story(job: &Job, now: Timestamp) -> anyhow::Result<()> {
    say(format!("{}  {} on queue {}, {} priority", job.id, job.job, job.queue, job.priority))?;
    let facts = [
        ("tenant", job.tenant.clone()),
        ("unique key", job.unique_key.clone()),
        ("limits", joined(job)),
        ("request", job.request_id.clone()),
        ("trace", job.trace_parent.clone()),
        ("parent", job.parent.clone()),
    ];
    for (name, fact) in facts {
        if let Some(fact) = fact {
            say(format!("  {name:<11}{fact}"))?;
        }
    }
    let mut story = table(["when", "", "what", ""]);
    story.add_row([text(instant(job.created)), text(when(job.created, now)), text("enqueued"), text("")]);
    attempts(&mut story, &job.history, now);
    let (at, what) = current(job);
    story.add_row([
        text(instant(at)),
        text(when(at, now)),
        word(&format!("now {}", job.state.as_str()), tone(job.state)),
        text(what),
    ]);
    say(format!("\n{story}\n"))?;
    say(format!("payload\n{}", serde_json::to_string_pretty(&job.payload)?))?;
    Ok(())
}

fn joined(job: &Job) -> Option<String> {
    let limits: Vec<_> = job.limits.iter().map(|share| format!("{} (cost {})", share.key, share.cost)).collect();
    (!limits.is_empty()).then(|| limits.join(", "))
}

/// Adds a row for each attempt that failed.
pub(crate) fn attempts(story: &mut comfy_table::Table, history: &[FailedAttempt], now: Timestamp) {
    for failure in history {
        story.add_row([
            text(instant(failure.at)),
            text(when(failure.at, now)),
            word(&format!("attempt {} failed", failure.attempt), Tone::Bad),
            text(format!("{}: {} (on {})", failure.code, failure.message, failure.worker)),
        ]);
    }
}

fn current(job: &Job) -> (Timestamp, String) {
    match (job.state, &job.running) {
        (JobState::Running, Some(held)) => (
            held.since,
            format!("attempt {} on {}, lease until {}", job.attempt, held.worker, instant(held.lease_expires_at)),
        ),
        (JobState::Limited, _) => (job.run_at, format!("held back by {}", job.gate.as_deref().unwrap_or("a gate"))),
        (JobState::Scheduled, _) => (job.run_at, "waits for its time".to_owned()),
        (JobState::Dead, _) => {
            (job.died_at.unwrap_or(job.run_at), format!("`ratchet dlq retry {} --reason ...` tries it again", job.id))
        }
        (JobState::Ready | JobState::Running, _) => (job.run_at, "waits for a worker".to_owned()),
    }
}
