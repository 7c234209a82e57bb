//! `recovery`: a worker process with running jobs is killed with SIGKILL, and another has to do them all. Default
//! settings on both.
//!
//! The workers are this program again, as processes of their own ([`work`]). What they do leaves a trace in Redis, and
//! the time is taken until the trace of every job is there.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use queue::{
    Depth, Handler, Job, JobContext, JobError, NewJob, Outcome, QueueClient, Registry, RetryPolicy, WorkerConfig,
    WorkerHealth, Workers,
};
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use services::{DeathSignal, tied_to_parent};
use tokio_util::sync::CancellationToken;

use super::{Extent, machine};
use crate::report::{Report, Row, Target, Unit};
use crate::server::Server;
use crate::sides::Place;
use crate::statistics::median;

/// Jobs that run when their worker is killed.
const JOBS: usize = 50;

const ROUNDS: usize = 3;
const QUICK_ROUNDS: usize = 1;

/// The promise.
const TARGET_SECONDS: f64 = 15.0;

/// Where done jobs leave their trace.
const DONE: &str = "recovery:done";

/// What a worker process does with its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Begins them and never ends.
    Holds,
    /// Does them.
    Does,
}

#[derive(Debug, Serialize, Deserialize)]
struct Task {
    number: usize,
}

impl Job for Task {
    const NAME: &'static str = "task";
    const QUEUE: &'static str = "tasks";
    const RETRY: RetryPolicy = RetryPolicy::exponential(5, Duration::from_secs(1), Duration::from_secs(60));
    const TIMEOUT: Duration = Duration::from_secs(120);

    fn tenant(&self) -> Option<&str> {
        None
    }
}

struct Hands {
    part: Part,
    connection: MultiplexedConnection,
}

impl Handler<Hands> for Task {
    async fn run(&self, hands: &Hands, _: &JobContext) -> Result<Outcome, JobError> {
        if hands.part == Part::Holds {
            std::future::pending::<()>().await;
        }
        let mut trace = redis::cmd("SADD");
        trace.arg(DONE).arg(self.number);
        let left = trace.exec_async(&mut hands.connection.clone()).await;
        left.map_err(|error| JobError::retry("redis_unavailable", error.to_string()))?;
        Ok(Outcome::Done)
    }
}

/// Works until killed.
///
/// # Errors
/// Redis cannot be reached.
pub(crate) async fn work(place: &Place, part: Part) -> Result<()> {
    let client = QueueClient::connect(&place.url, &place.prefix).await?;
    let redis = redis::Client::open(&*place.url).context("reading the Redis URL")?;
    let connection = redis.get_multiplexed_async_connection().await.context("connecting to Redis")?;
    let workers = Workers {
        client,
        registry: Registry::new().register::<Task>(),
        context: Hands { part, connection },
        config: WorkerConfig::new("bench").queue(Task::QUEUE, JOBS),
        health: WorkerHealth::default(),
    };
    Ok(workers.run(CancellationToken::new()).await?)
}

/// A worker process, killed at the latest when dropped.
struct Worker(Child);

impl Worker {
    fn start(place: &Place, part: Part) -> Result<Self> {
        let this = std::env::current_exe().context("finding this program")?;
        let part = part.to_possible_value().context("every part has a name")?;
        let mut command: Command = tied_to_parent(this, DeathSignal::Kill);
        command.args(["recovery-worker", part.get_name()]);
        command.env("REDIS_URL", &place.url).env("REDIS_PREFIX", &place.prefix).stdin(Stdio::null());
        Ok(Self(command.spawn().context("starting a worker process")?))
    }

    fn kill9(&mut self) -> Result<()> {
        self.0.kill().and_then(|()| self.0.wait()).context("killing a worker process")?;
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already, and nothing else can be done about it here.
        let _ended = self.kill9();
    }
}

/// Measures it.
///
/// # Errors
/// Redis or a worker cannot be started, or fails.
pub(crate) async fn run(extent: Extent) -> Result<Report> {
    let rounds = extent.pick(ROUNDS, QUICK_ROUNDS);
    let mut server = Server::start().await?;
    let (mut seconds, mut lost) = (Vec::new(), 0);
    for round in 1..=rounds {
        let (took, missing) = recover(&mut server).await?;
        seconds.push(took.as_secs_f64());
        lost += missing;
        eprintln!("recovery: round {round} of {rounds} is done");
    }
    let setting = format!("{JOBS} jobs running on the killed worker; {}", machine(&mut server).await?);
    Ok(report((seconds, lost), setting))
}

/// Kills a worker once: the time until all of its jobs are done, and how many never were.
async fn recover(server: &mut Server) -> Result<(Duration, usize)> {
    let place = server.place();
    server.clear().await?;
    let client = QueueClient::connect(&place.url, &place.prefix).await?;
    let jobs = (0..JOBS).map(|number| NewJob::of(&Task { number })).collect::<Result<Vec<_>, _>>()?;
    client.enqueue_many(jobs).await?;
    let all = JOBS as u64;
    let mut first = Worker::start(&place, Part::Holds)?;
    server.until("all jobs run", async |_| Ok(client.depth(Task::QUEUE).await?.running == all)).await?;
    let second = Worker::start(&place, Part::Does)?;
    server
        .until("the other worker is there", async |_| Ok(client.status(Task::QUEUE).await?.workers.len() == 2))
        .await?;

    let killed = Instant::now();
    first.kill9()?;
    server.until("the queue is empty", async |_| Ok(client.depth(Task::QUEUE).await? == Depth::default())).await?;
    let took = killed.elapsed();
    drop(second);
    let done: BTreeSet<usize> = server.ask(&["SMEMBERS", DONE]).await?;
    ensure!(done.iter().all(|&number| number < JOBS), "jobs were done that were never enqueued");
    Ok((took, JOBS - done.len()))
}

fn report((seconds, lost): (Vec<f64>, usize), setting: String) -> Report {
    let row = |name: &str, ratchet| Row {
        name: name.to_owned(),
        unit: Unit::Seconds,
        ratchet,
        floor: None,
        stock: None,
        target: Target::Below(TARGET_SECONDS),
    };
    let worst = seconds.iter().copied().fold(0.0, f64::max);
    let lost = Row { unit: Unit::Jobs, target: Target::AtMost(0.0), ..row("lost jobs", lost as f64) };
    Report {
        benchmark: "recovery",
        title: "From kill -9 of a worker until all of its jobs are done",
        setting,
        rows: vec![row("median", median(seconds)), row("worst", worst), lost],
        notes: vec!["At default settings a lease holds ten seconds and is renewed three times in that time."],
    }
}
