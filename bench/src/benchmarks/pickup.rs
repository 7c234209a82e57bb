//! `pickup`: how long a job waits for an idle worker, from the call that enqueues it to the start of its handler.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use queue::{
    Handler, Job, JobContext, JobError, NewJob, Outcome, QueueClient, Registry, RetryPolicy, WorkerConfig,
    WorkerHealth, Workers,
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use super::{Extent, machine};
use crate::report::{Report, Row, Target, Unit, grouped};
use crate::server::Server;
use crate::statistics::percentile;

const JOBS: usize = 2_000;
const QUICK_JOBS: usize = 50;

/// The promise, in milliseconds.
const TARGET_MS: f64 = 10.0;

/// A job that says when it was begun.
#[derive(Debug, Serialize, Deserialize)]
struct Call;

impl Job for Call {
    const NAME: &'static str = "call";
    const QUEUE: &'static str = "calls";
    const RETRY: RetryPolicy = RetryPolicy::exponential(1, Duration::from_secs(1), Duration::from_secs(1));
    const TIMEOUT: Duration = Duration::from_secs(60);

    fn tenant(&self) -> Option<&str> {
        None
    }
}

impl Handler<UnboundedSender<Instant>> for Call {
    async fn run(&self, begun: &UnboundedSender<Instant>, _: &JobContext) -> Result<Outcome, JobError> {
        // Whoever measures may have given up; then it does not matter.
        let _nobody_listens = begun.send(Instant::now());
        Ok(Outcome::Done)
    }
}

/// What was measured: the waits, and the round trips in between.
type Waits = (Vec<Duration>, Vec<Duration>);

/// Measures it.
///
/// # Errors
/// Redis cannot be started or fails.
pub(crate) async fn run(extent: Extent) -> Result<Report> {
    let jobs = extent.pick(JOBS, QUICK_JOBS);
    let mut server = Server::start().await?;
    let place = server.place();
    let client = QueueClient::connect(&place.url, &place.prefix).await?;
    let (begun, begun_end) = unbounded_channel();
    let stop = CancellationToken::new();
    let workers = Workers {
        client: client.clone(),
        registry: Registry::new().register::<Call>(),
        context: begun,
        config: WorkerConfig::new("bench").queue(Call::QUEUE, 10),
        health: WorkerHealth::default(),
    };
    let working = tokio::spawn(workers.run(stop.clone()));
    let measured = measure((&mut server, &client), begun_end, jobs).await;
    stop.cancel();
    working.await.context("the worker panicked")??;
    let setting =
        format!("{} jobs, one at a time to an idle worker; {}", grouped(jobs as f64), machine(&mut server).await?);
    Ok(report(measured?, setting))
}

async fn measure(
    (server, client): (&mut Server, &QueueClient),
    mut begun: UnboundedReceiver<Instant>,
    jobs: usize,
) -> Result<Waits> {
    let (mut waits, mut round_trips) = (Vec::with_capacity(jobs), Vec::with_capacity(jobs));
    for _ in 0..jobs {
        server.until_a_worker_idles().await?;
        let job = NewJob::of(&Call)?;
        let called = Instant::now();
        client.enqueue(job).await?;
        let begun = begun.recv().await.context("the worker ended early")?;
        waits.push(begun - called);
        round_trips.push(server.round_trip().await?);
    }
    Ok((waits, round_trips))
}

fn report((waits, round_trips): Waits, setting: String) -> Report {
    let row = |percent: usize| Row {
        name: format!("{percent} of 100 within"),
        unit: Unit::Milliseconds,
        ratchet: millis(percentile(waits.clone(), percent)),
        floor: Some(millis(percentile(round_trips.clone(), percent))),
        stock: None,
        target: Target::Below(TARGET_MS),
    };
    Report {
        benchmark: "pickup",
        title: "From enqueueing to the start of the handler",
        setting,
        rows: vec![row(50), row(99)],
        notes: vec![
            "The floor is one round trip to Redis; a pickup takes three, one after the other: enqueue, wake, claim.",
        ],
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
