//! Work of a test's own on the product's queues: jobs that fail in a known way, and workers that let them.

use std::time::Duration;

use app::App;
use queue::{
    DeadFilter, Handler, Job, JobContext, JobError, LimitUse, NewJob, Outcome, Registry, RetryPolicy, UniqueKey,
    WorkerConfig, WorkerHealth, Workers,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// How often a test looks whether what it waits for has happened.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A payment that is refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Charge {
    pub tenant: String,
    pub invoice: String,
    pub payment_method: String,
    /// The error's code it fails with.
    pub fails: Failing,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Failing {
    CardRefused,
    GatewayGone,
}

impl Charge {
    pub(crate) fn of(tenant: &str, invoice: &str, fails: Failing) -> Self {
        let payment_method = format!("pm_of_{invoice}");
        Self { tenant: tenant.to_owned(), invoice: invoice.to_owned(), payment_method, fails }
    }
}

impl Job for Charge {
    const NAME: &'static str = "charge";
    const QUEUE: &'static str = "payments";
    const RETRY: RetryPolicy = RetryPolicy::exponential(3, Duration::from_millis(1), Duration::from_millis(1));
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
        match self.fails {
            Failing::CardRefused => {
                Err(JobError::fatal("card_refused", format!("invoice {:?} was refused", self.invoice)))
            }
            Failing::GatewayGone => Err(JobError::fatal("gateway_gone", "the gateway is gone")),
        }
    }
}

/// Enqueues charges and gives their ids, as clients know them.
pub(crate) async fn enqueue(app: &App, charges: &[Charge]) -> Vec<String> {
    let mut ids = Vec::new();
    for charge in charges {
        let job = NewJob::of(charge).expect("a job").request_id("req_of_the_test");
        ids.push(format!("job_{}", job.id()));
        app.billing.queue.enqueue(job).await.expect("enqueued");
    }
    ids
}

/// Enqueues charges, one after the other has died, and gives their ids.
pub(crate) async fn bury(app: &App, charges: &[Charge]) -> Vec<String> {
    let queue = &app.billing.queue;
    let stop = CancellationToken::new();
    let workers = Workers {
        client: queue.clone(),
        registry: Registry::new().register::<Charge>(),
        context: (),
        config: WorkerConfig::new("test-worker").queue(Charge::QUEUE, 4),
        health: WorkerHealth::default(),
    };
    let running = tokio::spawn(workers.run(stop.clone()));
    let mut ids = Vec::new();
    for charge in charges {
        let before = queue.count_dead(Charge::QUEUE, &DeadFilter::default()).await.expect("a count");
        ids.append(&mut enqueue(app, std::slice::from_ref(charge)).await);
        while queue.count_dead(Charge::QUEUE, &DeadFilter::default()).await.expect("a count") == before {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    stop.cancel();
    running.await.expect("no panic").expect("workers");
    ids
}
