//! What a running handler may know about its own run: [`JobContext`].
//!
//! Owns no state of the queue; the signals in it are set by the driver and the worker.

use tokio_util::sync::CancellationToken;

use crate::delivery::Delivery;

/// The run a handler is in. Passed to [`crate::Handler::run`].
#[derive(Debug, Clone)]
pub struct JobContext {
    /// The job's id, the same over all attempts.
    pub id: String,
    /// The job's wire name.
    pub name: &'static str,
    /// The queue it came from.
    pub queue: String,
    /// Which attempt this is; 1 is the first.
    pub attempt: u32,
    /// How many attempts there are in total; if this one is the last, failing makes a dead letter.
    pub max_attempts: u32,
    /// The tenant the job was enqueued for.
    pub tenant: Option<String>,
    /// The request that caused the job, for logs.
    pub request_id: Option<String>,
    /// W3C `traceparent` of what caused the job.
    pub trace_parent: Option<String>,
    /// Id of the job that enqueued this one.
    pub parent: Option<String>,
    draining: CancellationToken,
    lost: CancellationToken,
}

impl JobContext {
    pub(crate) fn new(
        delivery: &Delivery,
        policy: (&'static str, u32),
        queue: &str,
        draining: CancellationToken,
    ) -> Self {
        let Delivery { id, attempt, entry, lost, .. } = delivery;
        Self {
            id: id.clone(),
            name: policy.0,
            queue: queue.to_owned(),
            attempt: *attempt,
            max_attempts: policy.1,
            tenant: entry.tenant.clone(),
            request_id: entry.meta.request_id.clone(),
            trace_parent: entry.meta.trace_parent.clone(),
            parent: entry.meta.parent.clone(),
            draining,
            lost: lost.clone(),
        }
    }

    /// Whether the worker was asked to stop: a long run should come to a good point and return
    /// `Snooze(Duration::ZERO)`. What runs on past the grace period is aborted and given back.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Resolves when the worker is asked to stop; see [`JobContext::is_draining`].
    pub async fn drained(&self) {
        self.draining.cancelled().await;
    }

    /// Whether the queue gave this run up (its lease expired or Redis lost it). The outcome will be
    /// refused and the job may be running elsewhere; carrying on is allowed, and often pointless.
    pub fn lease_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Resolves when this run is known to be given up; see [`JobContext::lease_lost`].
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Whether there is no point in going on: draining, or the lease is lost.
    pub fn cancelled(&self) -> bool {
        self.is_draining() || self.lease_lost()
    }
}
