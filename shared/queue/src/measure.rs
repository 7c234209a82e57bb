//! The numbers this crate reports through the `metrics` facade, under names that dashboards rely on.
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `queue_jobs_enqueued_total` | counter | `queue`, `job`, `result` = added, duplicate |
//! | `queue_jobs_claimed_total` | counter | `queue` |
//! | `queue_jobs_settled_total` | counter | `queue`, `outcome` = done, cancelled, snoozed, retried, dead, released, refused |
//! | `queue_leases_reclaimed_total` | counter | `queue` |
//! | `queue_job_wait_seconds` | histogram | `queue`: enqueued until first claimed |
//! | `queue_job_run_seconds` | histogram | `queue`, `job` |

use std::time::Duration;

use crate::new_job::{Enqueued, NewJob};

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
