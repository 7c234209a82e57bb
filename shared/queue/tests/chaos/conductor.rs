//! Conducts the run: servers, workers, a producer, trouble for a while, then calm, and the account.
//!
//! Everything that it starts ends with it: processes are killed when they are dropped.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;
use queue::{Depth, Enqueued, Job, JobStateKind, Limit, PauseTarget, QueueClient, QueueError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::account::{Account, Known};
use crate::harness::until;
use crate::plan::{Held, LIMIT, Plan, QUEUE};
use crate::server::Redis;
use crate::wire::Wire;
use crate::worker;

/// How long the trouble lasts.
const CHAOS: Duration = Duration::from_secs(20);

/// Between two troubles, in ms.
const PAUSES: std::ops::Range<u64> = 150..450;

/// Worker processes at a time.
const WORKERS: usize = 3;

/// Jobs enqueued before the trouble begins, and then every so often, so that there is always work.
const FIRST_JOBS: u32 = 1_500;
const MORE_JOBS: u32 = 90;
const MORE_EVERY: Duration = Duration::from_millis(500);

/// The longest that a reply is held back: longer than a lease is renewed ahead, shorter than it lasts.
const LONGEST_DELAY: u64 = 500;

/// How long Redis is stopped at most, in ms: leases run out.
const LONGEST_STOP: u64 = 1_500;

/// How long what is left may take after the trouble.
const CALM: Duration = Duration::from_secs(90);

/// Between two looks at what is left.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// Between two attempts to enqueue while Redis is away.
const ENQUEUE_PAUSE: Duration = Duration::from_millis(30);

/// A worker process.
struct Worker {
    child: Child,
}

impl Worker {
    fn start(redis: &str, records: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let child = Command::new(program)
            .args([worker::MODE, redis, records])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child }
    }

    /// Whether it ended by itself: some jobs take their worker down.
    fn fell(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Asks it to stop in order.
    fn ask_to_stop(&mut self) {
        // A worker that a job has just taken down no longer listens.
        let _ = writeln!(self.child.stdin.as_mut().unwrap(), "{}", worker::STOP);
    }

    async fn ended(&mut self) {
        until("a worker ends", async || self.fell()).await;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already; nothing else can be done about a failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How often each trouble came.
#[derive(Debug, Default)]
struct Troubles {
    workers_killed: u32,
    workers_fallen: u32,
    workers_stopped: u32,
    redis_killed: u32,
    redis_paused: u32,
    cuts: u32,
    delays: u32,
}

/// All that takes part.
struct Stage {
    redis: Redis,
    records: Redis,
    wire: Wire,
    workers: Vec<Worker>,
    troubles: Troubles,
    rng: Rng,
}

impl Stage {
    fn hire(&self) -> Worker {
        Worker::start(&self.wire.url(), &self.records.url())
    }

    /// One trouble, and what it takes to go on after it.
    async fn trouble(&mut self) {
        let victim = self.rng.usize(0..WORKERS);
        match self.rng.u32(0..100) {
            0..35 => {
                self.workers[victim] = self.hire();
                self.troubles.workers_killed += 1;
            }
            35..45 => {
                self.workers[victim].ask_to_stop();
                self.workers[victim].ended().await;
                self.workers[victim] = self.hire();
                self.troubles.workers_stopped += 1;
            }
            45..55 => {
                self.redis.kill();
                tokio::time::sleep(Duration::from_millis(self.rng.u64(0..300))).await;
                self.redis.restart().await;
                self.troubles.redis_killed += 1;
            }
            55..60 => {
                self.redis.signal("STOP");
                tokio::time::sleep(Duration::from_millis(self.rng.u64(0..LONGEST_STOP))).await;
                self.redis.signal("CONT");
                self.troubles.redis_paused += 1;
            }
            60..80 => {
                self.wire.cut();
                self.troubles.cuts += 1;
            }
            _ => {
                self.wire.hold_back(Duration::from_millis(self.rng.u64(0..LONGEST_DELAY)));
                self.troubles.delays += 1;
            }
        }
    }

    /// Those that a job took down are started again, as any supervisor would.
    fn replace_the_fallen(&mut self) {
        for seat in 0..self.workers.len() {
            if self.workers[seat].fell() {
                self.workers[seat] = self.hire();
                self.troubles.workers_fallen += 1;
            }
        }
    }

    /// Waits until nothing is left that could run.
    async fn settle_down(&mut self, client: &QueueClient) -> Depth {
        let began = Instant::now();
        loop {
            self.replace_the_fallen();
            // A connection of before the last restart fails once.
            let look = look(client).await;
            if let Ok((depth, Work::None)) = look {
                return depth;
            }
            assert!(began.elapsed() < CALM, "still at work long after the trouble: {look:?}");
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    async fn dismiss(&mut self) {
        for worker in &mut self.workers {
            worker.ask_to_stop();
            worker.ended().await;
        }
    }
}

/// Whether anything is left that could run.
#[derive(Debug)]
enum Work {
    None,
    Some,
}

async fn look(client: &QueueClient) -> Result<(Depth, Work), QueueError> {
    let soonest = client.jobs(QUEUE, JobStateKind::Scheduled, 1).await?;
    let limited: u64 = client.limits(QUEUE).await?.iter().map(|status| status.parked).sum();
    let depth = client.depth(QUEUE).await?;
    let is_due_soon = soonest.iter().any(|job| job.run_at_ms - job.enqueued_at_ms < A_MINUTE_MS);
    let work = if depth.ready + depth.running + limited > 0 || is_due_soon { Work::Some } else { Work::None };
    Ok((depth, work))
}

/// Delays of back-off and naps are shorter, those of jobs that must not run are longer.
const A_MINUTE_MS: i64 = 60_000;

/// Enqueues until it is certain that the jobs are in the queue; those of a failed call may be there twice.
async fn enqueue(client: &QueueClient, plans: &[Plan], known: &Mutex<Known>) {
    let mut answers = client.enqueue_many(plans.iter().map(Plan::job).collect()).await;
    while answers.is_err() {
        known.lock().unwrap().doubt(plans);
        tokio::time::sleep(ENQUEUE_PAUSE).await;
        answers = client.enqueue_many(plans.iter().map(Plan::job).collect()).await;
    }
    let mut known = known.lock().unwrap();
    for (plan, answer) in plans.iter().zip(answers.unwrap_or_default()) {
        known.add(plan, answer == Enqueued::Duplicate);
    }
}

/// Keeps the queue busy until it is told to stop.
async fn produce(client: QueueClient, mut rng: Rng, (known, stop): (Arc<Mutex<Known>>, CancellationToken)) {
    let mut number = FIRST_JOBS;
    while !stop.is_cancelled() {
        let plans: Vec<Plan> = (number..number + MORE_JOBS).map(|number| Plan::draw(number, &mut rng)).collect();
        enqueue(&client, &plans, &known).await;
        number += MORE_JOBS;
        // Nothing once it is told to stop.
        let _waited = stop.run_until_cancelled(tokio::time::sleep(MORE_EVERY)).await;
    }
}

/// One run, which panics if it does not come out even.
pub(crate) async fn conduct(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let redis = Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let records = Redis::start().await;
    let wire = Wire::to(&redis).await;
    let client = redis.client().await;
    client.pause(QUEUE, PauseTarget::Job(Held::NAME), "conductor", "these wait").await.unwrap();
    client.set_limit(QUEUE, LIMIT, &Limit { concurrency: Some(3), rate: None }).await.unwrap();
    let known = Arc::new(Mutex::new(Known::default()));
    let first: Vec<Plan> = (0..FIRST_JOBS).map(|number| Plan::draw(number, &mut rng)).collect();
    enqueue(&client, &first, &known).await;

    let enough = CancellationToken::new();
    let producing = produce(client.clone(), rng.fork(), (Arc::clone(&known), enough.clone()));
    let producer = AbortOnDropHandle::new(tokio::spawn(producing));
    let mut stage = Stage { redis, records, wire, workers: Vec::new(), troubles: Troubles::default(), rng };
    stage.workers = (0..WORKERS).map(|_| stage.hire()).collect();
    let began = Instant::now();
    while began.elapsed() < CHAOS {
        tokio::time::sleep(Duration::from_millis(stage.rng.u64(PAUSES))).await;
        assert!(!producer.is_finished(), "the producer fell over");
        stage.replace_the_fallen();
        stage.trouble().await;
    }

    stage.wire.hold_back(Duration::ZERO);
    enough.cancel();
    producer.await.unwrap();
    let depth = stage.settle_down(&client).await;
    stage.dismiss().await;
    let account = Account::take(&stage.redis, &stage.records).await;
    println!("{:?}", stage.troubles);
    let known = known.lock().unwrap();
    println!("{}", account.balance(&known, depth));
}
