//! Running workers: [`Workers`] puts together registry, context, backend and driver, one apalis worker
//! per queue, and stops them in order.
//!
//! Owns the threads: handlers run on the caller's runtime, all drivers on one thread of their own, so
//! that a handler which blocks its thread cannot cost anyone a lease.

use std::sync::Arc;
use std::time::Duration;

use apalis::layers::WorkerBuilderExt;
use apalis_core::error::WorkerError;
use apalis_core::worker::builder::WorkerBuilder;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::info;
use uuid::Uuid;

use crate::backend::RedisBackend;
use crate::client::QueueClient;
use crate::driver::{Driver, Wiring};
use crate::error::QueueError;
use crate::health::WorkerHealth;
use crate::keys::check_name;
use crate::pace::{MAX_CONCURRENCY, Pace};
use crate::registry::Registry;
use crate::service::{JobService, Shop};
use crate::turn::Seat;
use crate::wake::Wake;

/// The shortest lease: renewals must fit into it with a slow network in between.
const SHORTEST_LEASE: Duration = Duration::from_millis(300);

/// Which queues to work on, and how patiently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    /// Name of the process, for logs and dead letters; same alphabet as queue names. A random part is
    /// added at each start.
    pub name: String,
    /// The queues, each with how many of its jobs run at once (1 to 1,000).
    pub queues: Vec<(String, usize)>,
    /// How long a claim holds without renewal. Jobs of a worker that died wait this long; below five
    /// seconds possibly up to that, until an idle worker looks.
    pub lease: Duration,
    /// How long running jobs may go on after a stop was asked for.
    pub grace: Duration,
}

impl WorkerConfig {
    /// Ten seconds: a crashed worker's jobs run again well within fifteen.
    pub const DEFAULT_LEASE: Duration = Duration::from_secs(10);
    /// Twenty seconds: below the thirty that container runtimes allow before they kill.
    pub const DEFAULT_GRACE: Duration = Duration::from_secs(20);

    /// A worker without queues, with the default lease and grace.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), queues: Vec::new(), lease: Self::DEFAULT_LEASE, grace: Self::DEFAULT_GRACE }
    }

    /// Adds a queue, `concurrency` of whose jobs run at once; where it is split, at least one of each partition.
    #[must_use]
    pub fn queue(mut self, name: impl Into<String>, concurrency: usize) -> Self {
        self.queues.push((name.into(), concurrency));
        self
    }

    /// Sets the lease; at least 300 ms.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets the grace period.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    fn check(&self) -> Result<(), QueueError> {
        check_name("worker", &self.name)?;
        if self.lease < SHORTEST_LEASE {
            return Err(QueueError::invalid(
                format!("lease of {:?}", self.lease),
                format!("must be at least {SHORTEST_LEASE:?}"),
            ));
        }
        for (index, (queue, concurrency)) in self.queues.iter().enumerate() {
            check_name("queue", queue)?;
            if !(1..=MAX_CONCURRENCY).contains(concurrency) {
                return Err(QueueError::invalid(
                    format!("concurrency {concurrency} of queue {queue}"),
                    format!("must be 1 to {MAX_CONCURRENCY}"),
                ));
            }
            if self.queues[..index].iter().any(|(other, _)| other == queue) {
                return Err(QueueError::invalid(format!("queue {queue}"), "is listed twice"));
            }
        }
        Ok(())
    }
}

/// Everything a worker process needs.
pub struct Workers<C> {
    /// Where the queues are.
    pub client: QueueClient,
    /// The jobs it can run.
    pub registry: Registry<C>,
    /// What handlers get.
    pub context: C,
    /// What to work on.
    pub config: WorkerConfig,
    /// Where it says how it fares.
    pub health: WorkerHealth,
}

impl<C: Send + Sync + 'static> Workers<C> {
    /// Works until `shutdown`, then drains: claims nothing more, lets running jobs finish within the
    /// grace period, aborts and gives back the rest without spending an attempt, hands in all outcomes.
    ///
    /// Trouble with Redis is waited out, never an error. Dropping the future aborts running jobs and
    /// gives them back.
    ///
    /// # Errors
    /// [`QueueError::Invalid`] for the configuration or the registry, before anything starts;
    /// [`QueueError::Worker`] if a worker loop fails, which only a defect makes happen.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), QueueError> {
        self.config.check()?;
        let grace = self.config.grace;
        // Ended whichever way this future ends.
        let stop = shutdown.child_token();
        let _stopped_on_drop = stop.clone().drop_guard();
        let abandon = CancellationToken::new();
        let (mut workers, drivers) = self.assemble(&stop, &abandon)?;
        let drivers_gone = CancellationToken::new();
        start_driver_thread(drivers, drivers_gone.clone().drop_guard())?;

        let all_done = finish(&mut workers);
        tokio::pin!(all_done);
        tokio::select! {
            result = &mut all_done => return result.and_then(|()| ended_early(&stop)),
            () = drivers_gone.cancelled() => ended_early(&stop)?,
            () = stop.cancelled() => info!(?grace, "draining"),
        }
        tokio::select! {
            result = &mut all_done => return result,
            () = tokio::time::sleep(grace) => abandon.cancel(),
        }
        all_done.await
    }

    /// The apalis workers, running, and their drivers, yet to be started.
    fn assemble(
        self,
        stop: &CancellationToken,
        abandon: &CancellationToken,
    ) -> Result<(JoinSet<WorkerEnd>, Vec<DriverStart>), QueueError> {
        let registry = Arc::new(self.registry.checked()?);
        let context = Arc::new(self.context);
        // Unique per start. All 32 digits, so that the name of a lease is longer than 64 bytes: Redis then keeps the
        // leases as a tree; as a compact list, adding and removing them would cost three times as much.
        let name = format!("{}-{}", self.config.name, Uuid::new_v4().simple());
        info!(worker = %name, queues = ?self.config.queues, "working");
        let mut drivers = Vec::new();
        let mut workers = JoinSet::new();
        for (queue, concurrency) in with_partitions(&self.client, self.config.queues) {
            let shop = Shop {
                queue: queue.clone(),
                worker: name.clone(),
                registry: Arc::clone(&registry),
                context: Arc::clone(&context),
                draining: stop.clone(),
                abandon: abandon.clone(),
            };
            let (deliveries, deliveries_end) = mpsc::unbounded_channel();
            let (settlements, settlements_end) = mpsc::unbounded_channel();
            let (done, driver_done) = oneshot::channel();
            drivers.push(DriverStart {
                client: self.client.clone(),
                queue: queue.clone(),
                worker: name.clone(),
                lease: self.config.lease,
                concurrency,
                wiring: Wiring {
                    deliveries,
                    settlements: settlements_end,
                    stop: stop.clone(),
                    health: self.health.queue(&queue),
                },
                done,
            });
            let backend = RedisBackend::new(deliveries_end, settlements, driver_done);
            let worker = run_worker(shop, backend, (concurrency, stop.clone()));
            workers.spawn(async move { (queue, worker.await) });
        }
        Ok((workers, drivers))
    }
}

/// The partitions of queues, each with its share of the queue's concurrency, at least one.
fn with_partitions(client: &QueueClient, queues: Vec<(String, usize)>) -> Vec<(String, usize)> {
    let split = |(queue, concurrency): (String, usize)| {
        let partitions = client.partitions(&queue);
        let (share, more) = (concurrency / partitions.len(), concurrency % partitions.len());
        let of = move |(number, name)| (name, (share + usize::from(number < more)).max(1));
        partitions.into_iter().enumerate().map(of)
    };
    queues.into_iter().flat_map(split).collect()
}

/// The queue of a worker, and how it ended.
type WorkerEnd = (String, Result<(), WorkerError>);

/// One apalis worker on one queue; ends after `stop`, when nothing runs and the driver has ended.
async fn run_worker<C: Send + Sync + 'static>(
    shop: Shop<C>,
    backend: RedisBackend,
    (concurrency, stop): (usize, CancellationToken),
) -> Result<(), WorkerError> {
    let name = format!("{}/{}", shop.worker, shop.queue);
    let stopped = async move {
        stop.cancelled().await;
        Ok::<(), WorkerError>(())
    };
    WorkerBuilder::new(name)
        .backend(backend)
        .concurrency(concurrency)
        .build(JobService::new(shop))
        .run_until(stopped)
        .await
}

/// Waits for all workers; the first failure ends the rest.
async fn finish(workers: &mut JoinSet<(String, Result<(), WorkerError>)>) -> Result<(), QueueError> {
    while let Some(joined) = workers.join_next().await {
        let failure = match joined {
            Ok((_, Ok(()))) => continue,
            Ok((queue, Err(error))) => (queue, error.to_string()),
            Err(error) => ("?".to_owned(), error.to_string()),
        };
        workers.abort_all();
        let (queue, reason) = failure;
        return Err(QueueError::Worker { queue, reason });
    }
    Ok(())
}

/// Workers and drivers that were not stopped only end when there are none, or after a panic.
fn ended_early(stop: &CancellationToken) -> Result<(), QueueError> {
    if stop.is_cancelled() {
        return Ok(());
    }
    Err(QueueError::Worker {
        queue: "all".to_owned(),
        reason: "ended without being asked to: no queues are configured, or a driver panicked".to_owned(),
    })
}

/// What a driver is started from, on its own thread: connections belong to the runtime they are made on.
struct DriverStart {
    client: QueueClient,
    queue: String,
    worker: String,
    lease: Duration,
    concurrency: usize,
    wiring: Wiring,
    done: oneshot::Sender<()>,
}

impl DriverStart {
    async fn run(self) {
        let keys = self.client.keys.queue(&self.queue);
        let connection = self.client.connection.apart();
        let wake = Wake::new(connection.clone(), Arc::clone(&keys));
        let seat = Seat { keys, worker: self.worker, lease_time: self.lease, connection };
        let pace = Pace::new(self.concurrency);
        Driver::new(self.queue, seat, self.wiring, wake, pace).run().await;
        // The worker may be gone already.
        let _nobody_waits = self.done.send(());
    }
}

/// Runs the drivers on one thread that ends with the last of them, and then drops `gone`.
fn start_driver_thread(drivers: Vec<DriverStart>, gone: DropGuard) -> Result<(), QueueError> {
    let failed = |source: std::io::Error| QueueError::Worker {
        queue: "all".to_owned(),
        reason: format!("starting the driver thread: {source}"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    std::thread::Builder::new()
        .name("queue-drivers".to_owned())
        .spawn(move || {
            let _gone = gone;
            let drivers = drivers.into_iter().map(DriverStart::run);
            runtime.block_on(futures::future::join_all(drivers));
        })
        .map_err(failed)?;
    Ok(())
}
