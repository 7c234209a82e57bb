//! The numbers this crate reports through the `metrics` facade, under names that dashboards rely on.
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `queue_jobs_enqueued_total` | counter | `queue`, `job`, `result` = added, duplicate |
//! | `queue_jobs_claimed_total` | counter | `queue` |
//! | `queue_jobs_settled_total` | counter | `queue`, `outcome` = done, cancelled, snoozed, retried, dead, released, refused |
//! | `queue_leases_reclaimed_total` | counter | `queue` |
//! | `queue_job_wait_seconds` | histogram | `queue`: due until claimed |
//! | `queue_job_run_seconds` | histogram | `queue`, `job` |
//! | `queue_jobs` | gauge | `queue`, `state` = ready, limited, scheduled, running, dead |
//! | `queue_oldest_ready_seconds` | gauge | `queue` |
//! | `queue_paused` | gauge | `queue` |
//! | `queue_workers` | gauge | `queue`, `state` = working, silent, starving |
//! | `queue_redis_up` | gauge | |
//!
//! Counters and histograms are of this process: add them up. The gauges are of the whole queue and the same
//! wherever they are asked for ([`crate::QueueClient::export`]): take the maximum, not the sum.

use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

use crate::insight::{QueueStatus, WorkerState};
use crate::new_job::{Enqueued, NewJob};
use crate::record::JobStateKind;

/// Upper bounds, in seconds, that an exporter is to use for this crate's histograms: from a pickup within a
/// millisecond to a backlog of an hour, two or three to the decade.
pub const DURATION_BUCKETS: [f64; 17] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];

/// Gives the recorder unit and help of every metric of this crate. Call once, after installing it.
pub fn describe_metrics() {
    describe_counter!("queue_jobs_enqueued_total", Unit::Count, "Jobs handed in, by whether they were added.");
    describe_counter!("queue_jobs_claimed_total", Unit::Count, "Jobs that workers of this process claimed.");
    describe_counter!("queue_jobs_settled_total", Unit::Count, "Claimed jobs by how their run ended.");
    describe_counter!(
        "queue_leases_reclaimed_total",
        Unit::Count,
        "Jobs taken back because their worker let the lease expire."
    );
    describe_histogram!("queue_job_wait_seconds", Unit::Seconds, "Time from when a job was due until it was claimed.");
    describe_histogram!("queue_job_run_seconds", Unit::Seconds, "Time that the handler of a job took.");
    describe_gauge!("queue_jobs", Unit::Count, "Jobs in a queue by state; the same from every process.");
    describe_gauge!(
        "queue_oldest_ready_seconds",
        Unit::Seconds,
        "How long the oldest job has been due that waits for a worker; 0 if none waits."
    );
    describe_gauge!("queue_paused", Unit::Count, "1 if the whole queue is paused, otherwise 0.");
    describe_gauge!("queue_workers", Unit::Count, "Workers of a queue by how they fare; the same from every process.");
    describe_gauge!("queue_redis_up", Unit::Count, "1 if the queues could be read when last asked for, otherwise 0.");
}

pub(crate) fn enqueued(job: &NewJob, result: Enqueued) {
    let result = match result {
        Enqueued::Added => "added",
        Enqueued::Duplicate => "duplicate",
    };
    metrics::counter!(
        "queue_jobs_enqueued_total",
        "queue" => job.queue(), "job" => job.name(), "result" => result
    )
    .increment(1);
}

pub(crate) fn claimed(queue: &str, count: usize) {
    metrics::counter!("queue_jobs_claimed_total", "queue" => queue.to_owned()).increment(count as u64);
}

pub(crate) fn settled(queue: &str, outcome: &'static str) {
    metrics::counter!(
        "queue_jobs_settled_total",
        "queue" => queue.to_owned(), "outcome" => outcome
    )
    .increment(1);
}

pub(crate) fn reclaimed(queue: &str, count: u64) {
    metrics::counter!("queue_leases_reclaimed_total", "queue" => queue.to_owned()).increment(count);
}

pub(crate) fn waited(queue: &str, wait: Duration) {
    metrics::histogram!("queue_job_wait_seconds", "queue" => queue.to_owned()).record(wait);
}

pub(crate) fn ran(queue: &str, job: &'static str, time: Duration) {
    metrics::histogram!("queue_job_run_seconds", "queue" => queue.to_owned(), "job" => job).record(time);
}

/// Whether the last look at the queues went through.
pub(crate) fn redis_up(up: bool) {
    metrics::gauge!("queue_redis_up").set(f64::from(u8::from(up)));
}

/// Sets the gauges of a queue.
pub(crate) fn status(status: &QueueStatus) {
    let queue = || status.queue.clone();
    for state in JobStateKind::ALL {
        let jobs = match state {
            JobStateKind::Ready => status.depth.ready,
            JobStateKind::Limited => status.depth.limited,
            JobStateKind::Scheduled => status.depth.scheduled,
            JobStateKind::Running => status.depth.running,
            JobStateKind::Dead => status.depth.dead,
        };
        metrics::gauge!("queue_jobs", "queue" => queue(), "state" => state.name()).set(jobs as f64);
    }
    let oldest = status.oldest_ready.unwrap_or_default();
    metrics::gauge!("queue_oldest_ready_seconds", "queue" => queue()).set(oldest);
    let paused = status.paused.iter().any(|(job, _)| job.is_none());
    metrics::gauge!("queue_paused", "queue" => queue()).set(f64::from(u8::from(paused)));
    for state in [WorkerState::Working, WorkerState::Silent, WorkerState::Starving] {
        let workers = status.workers.iter().filter(|worker| worker.health == state).count();
        metrics::gauge!("queue_workers", "queue" => queue(), "state" => state.name()).set(workers as f64);
    }
}
