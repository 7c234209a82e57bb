//! What the stories share: jobs that follow a script, the lab that watches them, and workers that end
//! with the test.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use queue::{
    Handler, Job, JobContext, JobError, LimitUse, NewJob, Outcome, QueueClient, QueueError, Registry, RetryPolicy,
    UniqueKey, WorkerConfig, WorkerHealth, Workers,
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The queue of most stories.
pub(crate) const QUEUE: &str = "acts";

/// How long a condition may take on a slow machine before a test fails.
const PATIENCE: Duration = Duration::from_secs(25);

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

/// A job that follows a script: the n-th run takes the n-th step, the last step repeats.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Act {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
    #[serde(default)]
    pub(crate) unique: Option<(String, Scope)>,
    #[serde(default)]
    pub(crate) tenant: Option<String>,
    #[serde(default)]
    pub(crate) limits: Vec<(String, u32)>,
}

/// What a run does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Step {
    Done,
    Snooze(u64),
    Cancel,
    Retry,
    RetryAfter(u64),
    Fatal,
    /// Fails for good with this message.
    FatalSaying(String),
    Panic,
    /// Never ends.
    Hang,
    /// Keeps its thread for so many milliseconds, as a handler should not.
    Block(u64),
    /// Waits until the lab opens the gate of this number; gates open in order.
    Gate(u32),
    /// Waits like [`Step::Gate`], then fails for good.
    FatalAtGate(u32),
    /// Waits until the worker drains, and asks to be run again.
    UntilDraining,
    /// Waits until it knows that its lease is lost.
    UntilLost,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Scope {
    Waiting,
    WaitingOrRunning,
}

impl Act {
    pub(crate) fn new(name: &str, steps: &[Step]) -> Self {
        Self { name: name.to_owned(), steps: steps.to_vec(), unique: None, tenant: None, limits: Vec::new() }
    }

    pub(crate) fn unique(mut self, key: &str, scope: Scope) -> Self {
        self.unique = Some((key.to_owned(), scope));
        self
    }

    pub(crate) fn tenant(mut self, tenant: &str) -> Self {
        self.tenant = Some(tenant.to_owned());
        self
    }

    /// Takes part in a limit at some cost.
    pub(crate) fn limit(mut self, key: &str, cost: u32) -> Self {
        self.limits.push((key.to_owned(), cost));
        self
    }

    pub(crate) fn job(&self) -> NewJob {
        NewJob::of(self).unwrap()
    }
}

impl Job for Act {
    const NAME: &'static str = "act";
    const QUEUE: &'static str = QUEUE;
    const RETRY: RetryPolicy = RetryPolicy::exponential(3, Duration::from_millis(5), Duration::from_millis(50));
    const TIMEOUT: Duration = Duration::from_secs(20);

    fn tenant(&self) -> Option<&str> {
        Some(self.tenant.as_deref().unwrap_or("acme"))
    }

    fn limits(&self) -> Vec<LimitUse> {
        self.limits.iter().map(|(key, cost)| LimitUse::new(key).cost(*cost)).collect()
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        self.unique.as_ref().map(|(key, scope)| match scope {
            Scope::Waiting => UniqueKey::waiting(key),
            Scope::WaitingOrRunning => UniqueKey::waiting_or_running(key),
        })
    }
}

/// A job that is not patient.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hasty;

impl Job for Hasty {
    const NAME: &'static str = "hasty";
    const QUEUE: &'static str = QUEUE;
    const RETRY: RetryPolicy = RetryPolicy::exponential(2, Duration::from_millis(5), Duration::from_millis(50));
    const TIMEOUT: Duration = Duration::from_millis(60);

    fn tenant(&self) -> Option<&str> {
        None
    }
}

/// A job of another type, done at once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Cameo {
    pub(crate) name: String,
}

impl Cameo {
    pub(crate) fn job(name: &str) -> NewJob {
        NewJob::of(&Self { name: name.to_owned() }).unwrap()
    }
}

impl Job for Cameo {
    const NAME: &'static str = "cameo";
    const QUEUE: &'static str = QUEUE;
    const RETRY: RetryPolicy = RetryPolicy::exponential(3, Duration::from_millis(5), Duration::from_millis(50));
    const TIMEOUT: Duration = Duration::from_secs(20);

    fn tenant(&self) -> Option<&str> {
        Some("acme")
    }
}

/// One run, seen from inside.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) name: String,
    pub(crate) attempt: u32,
    pub(crate) began: Instant,
    pub(crate) ended: Option<Instant>,
    pub(crate) context: JobContext,
}

/// Watches all runs of a test.
#[derive(Clone)]
pub(crate) struct Lab {
    runs: Arc<Mutex<Vec<Run>>>,
    gate: Arc<watch::Sender<u32>>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self { runs: Arc::default(), gate: Arc::new(watch::Sender::new(0)) }
    }

    pub(crate) fn open_gate(&self, number: u32) {
        self.gate.send_replace(number);
    }

    async fn gate_opens(&self, number: u32) {
        let mut gate = self.gate.subscribe();
        gate.wait_for(|open| *open >= number).await.unwrap();
    }

    /// All runs in the order they began.
    pub(crate) fn runs(&self) -> Vec<Run> {
        self.runs.lock().unwrap().clone()
    }

    /// The runs of one act.
    pub(crate) fn runs_of(&self, name: &str) -> Vec<Run> {
        let runs = self.runs.lock().unwrap();
        runs.iter().filter(|run| run.name == name).cloned().collect()
    }

    /// The attempt number of each run of one act.
    pub(crate) fn attempts_of(&self, name: &str) -> Vec<u32> {
        self.runs_of(name).iter().map(|run| run.attempt).collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.runs().into_iter().map(|run| run.name).collect()
    }

    /// How often each act ran.
    pub(crate) fn counts(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for run in self.runs.lock().unwrap().iter() {
            *counts.entry(run.name.clone()).or_default() += 1;
        }
        counts
    }

    /// Waits until an act has begun so many runs.
    pub(crate) async fn began(&self, name: &str, runs: usize) {
        let what = format!("{name} began {runs} runs");
        until(&what, async || self.runs_of(name).len() >= runs).await;
    }

    fn begin(&self, name: &str, job: &JobContext) -> (usize, usize) {
        let mut runs = self.runs.lock().unwrap();
        let earlier = runs.iter().filter(|run| run.name == name).count();
        runs.push(Run {
            name: name.to_owned(),
            attempt: job.attempt,
            began: Instant::now(),
            ended: None,
            context: job.clone(),
        });
        (runs.len() - 1, earlier)
    }

    fn end(&self, run: usize) {
        self.runs.lock().unwrap()[run].ended = Some(Instant::now());
    }

    /// Starts a worker with this lab as its context.
    pub(crate) fn work(&self, client: &QueueClient, config: WorkerConfig) -> Working {
        let stop = CancellationToken::new();
        let workers = Workers {
            client: client.clone(),
            registry: Registry::new().register::<Act>().register::<Hasty>().register::<Cameo>(),
            context: self.clone(),
            config,
            health: WorkerHealth::default(),
        };
        let task = tokio::spawn(workers.run(stop.clone()));
        Working { stop, task }
    }
}

/// A worker on [`QUEUE`].
pub(crate) fn worker(concurrency: usize) -> WorkerConfig {
    WorkerConfig::new("tester").queue(QUEUE, concurrency)
}

/// A worker at work; aborted with the test.
pub(crate) struct Working {
    stop: CancellationToken,
    task: JoinHandle<Result<(), QueueError>>,
}

impl Working {
    pub(crate) fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    /// Stops it in order.
    pub(crate) async fn stop(mut self) -> Result<(), QueueError> {
        self.stop.cancel();
        (&mut self.task).await.unwrap()
    }

    /// Waits for its end without asking for it.
    pub(crate) async fn ended(mut self) -> Result<(), QueueError> {
        (&mut self.task).await.unwrap()
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.task.is_finished()
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Handler<Lab> for Act {
    async fn run(&self, lab: &Lab, job: &JobContext) -> Result<Outcome, JobError> {
        let (run, earlier) = lab.begin(&self.name, job);
        let step = &self.steps[earlier.min(self.steps.len() - 1)];
        let outcome = step.take(lab, job).await;
        lab.end(run);
        outcome
    }
}

impl Step {
    async fn take(&self, lab: &Lab, job: &JobContext) -> Result<Outcome, JobError> {
        match self {
            Self::Done => Ok(Outcome::Done),
            Self::Snooze(ms) => Ok(Outcome::Snooze(Duration::from_millis(*ms))),
            Self::Cancel => Ok(Outcome::Cancel("not needed".to_owned())),
            Self::Retry => Err(JobError::retry("try_again", "did not work")),
            Self::RetryAfter(ms) => {
                let delay = Duration::from_millis(*ms);
                Err(JobError::retry_after(delay, "slow_down", "too fast"))
            }
            Self::Fatal => Err(JobError::fatal("hopeless", "will never work")),
            Self::FatalSaying(message) => Err(JobError::fatal("hopeless", message)),
            Self::Panic => panic!("the handler fell over"),
            Self::Hang => std::future::pending().await,
            Self::Block(ms) => {
                std::thread::sleep(Duration::from_millis(*ms));
                Ok(Outcome::Done)
            }
            Self::Gate(number) => {
                lab.gate_opens(*number).await;
                Ok(Outcome::Done)
            }
            Self::FatalAtGate(number) => {
                lab.gate_opens(*number).await;
                Err(JobError::fatal("hopeless", "will never work"))
            }
            Self::UntilDraining => {
                job.drained().await;
                assert!(job.is_draining() && job.cancelled());
                Ok(Outcome::Snooze(Duration::ZERO))
            }
            Self::UntilLost => {
                job.lost().await;
                Ok(Outcome::Done)
            }
        }
    }
}

impl Handler<Lab> for Cameo {
    async fn run(&self, lab: &Lab, job: &JobContext) -> Result<Outcome, JobError> {
        let (run, _) = lab.begin(&self.name, job);
        lab.end(run);
        Ok(Outcome::Done)
    }
}

impl Handler<Lab> for Hasty {
    async fn run(&self, lab: &Lab, job: &JobContext) -> Result<Outcome, JobError> {
        lab.begin("hasty", job);
        Step::Hang.take(lab, job).await
    }
}
