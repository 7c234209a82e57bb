//! A Redis of the test's own, work that fails in a known way, and the binary.
//!
//! **Invariant:** a test shares nothing with another one, and nothing is left when it ends.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use queue::{
    DeadFilter, Handler, Job, JobContext, JobError, LimitUse, NewJob, Outcome, QueueClient, Registry, RetryPolicy,
    UniqueKey, WorkerConfig, WorkerHealth, Workers,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use services::Redis;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// How often a test looks whether what it waits for has happened.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(10);

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_ratchet");

/// A payment that is refused, unless it is not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Charge {
    pub tenant: String,
    pub invoice: String,
    pub payment_method: String,
}

impl Charge {
    pub(crate) fn of(tenant: &str, invoice: &str) -> Self {
        Self { tenant: tenant.to_owned(), invoice: invoice.to_owned(), payment_method: "pm_1".to_owned() }
    }
}

impl Job for Charge {
    const NAME: &'static str = "charge";
    const QUEUE: &'static str = "payments";
    const RETRY: RetryPolicy = RetryPolicy::exponential(2, Duration::from_millis(1), Duration::from_millis(1));
    const TIMEOUT: Duration = Duration::from_secs(10);

    fn tenant(&self) -> Option<&str> {
        Some(&self.tenant)
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        Some(UniqueKey::waiting_or_running(&self.invoice))
    }

    fn limits(&self) -> Vec<LimitUse> {
        vec![LimitUse::new("gateway:stripe")]
    }
}

impl Handler<()> for Charge {
    async fn run(&self, (): &(), _: &JobContext) -> Result<Outcome, JobError> {
        match self.tenant.as_str() {
            "ten_gone" => Err(JobError::retry("gateway_gone", "the gateway is gone")),
            "ten_fine" => Ok(Outcome::Done),
            _ => Err(JobError::fatal("card_refused", format!("invoice {:?} was refused", self.invoice))),
        }
    }
}

/// The queues of a test. Fields are dropped in order: the server before its files.
pub(crate) struct Platform {
    pub client: QueueClient,
    redis: Redis,
    _folder: TempDir,
}

/// What a command has printed.
#[derive(Debug)]
pub(crate) struct Printed {
    pub success: bool,
    pub out: String,
    pub err: String,
}

impl Printed {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self { success: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert!(self.success, "{self:?}");
        self.out
    }

    #[track_caller]
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.ok()).expect("JSON")
    }

    /// What is said of a failure.
    #[track_caller]
    pub(crate) fn refused(self) -> String {
        assert!(!self.success, "{self:?}");
        self.err
    }
}

impl Platform {
    pub(crate) async fn start() -> Self {
        let folder = TempDir::with_prefix("ratchet-cli-").expect("a folder");
        let redis = Redis::start(folder.path()).expect("Redis");
        let client = QueueClient::connect(&redis.url(), "ratchet").await.expect("a client");
        Self { client, redis, _folder: folder }
    }

    /// The binary with these arguments on this Redis; nothing else of the environment is passed on.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.within(Command::new(BINARY));
        command.args(arguments);
        command
    }

    /// A line of a shell, in which `ratchet` is the binary.
    pub(crate) fn shell(&self, line: &str) -> Printed {
        let mut shell = self.within(Command::new("sh"));
        shell.arg("-c").arg(format!("ratchet() {{ '{BINARY}' \"$@\"; }}; {line}"));
        Printed::of(shell.output().expect("a shell"))
    }

    fn within(&self, mut command: Command) -> Command {
        command.env_clear().env("REDIS_URL", self.redis.url()).env("USER", "ada").stdin(Stdio::null());
        command
    }

    /// What the binary prints.
    pub(crate) fn ratchet(&self, arguments: &[&str]) -> Printed {
        Printed::of(self.command(arguments).output().expect("the binary"))
    }

    /// Enqueues charges and gives their ids, as people know them.
    pub(crate) async fn enqueue(&self, charges: Vec<Charge>) -> Vec<String> {
        let jobs: Vec<_> = charges.iter().map(|charge| NewJob::of(charge).expect("a job")).collect();
        let ids = jobs.iter().map(|job| format!("job_{}", job.id())).collect();
        self.client.enqueue_many(jobs).await.expect("enqueued");
        ids
    }

    pub(crate) async fn dead(&self) -> u64 {
        self.client.count_dead(Charge::QUEUE, &DeadFilter::default()).await.expect("a count")
    }

    /// Lets workers run until nothing waits.
    pub(crate) async fn work(&self) {
        let stop = CancellationToken::new();
        let workers = Workers {
            client: self.client.clone(),
            registry: Registry::new().register::<Charge>(),
            context: (),
            config: WorkerConfig::new("test-worker").queue(Charge::QUEUE, 8),
            health: WorkerHealth::default(),
        };
        let running = tokio::spawn(workers.run(stop.clone()));
        loop {
            let depth = self.client.depth(Charge::QUEUE).await.expect("a depth");
            if depth.ready + depth.limited + depth.scheduled + depth.running == 0 {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        stop.cancel();
        running.await.expect("no panic").expect("workers");
    }

    /// Enqueues charges, lets them die, and gives their ids.
    pub(crate) async fn bury(&self, charges: Vec<Charge>) -> Vec<String> {
        let ids = self.enqueue(charges).await;
        self.work().await;
        ids
    }
}
