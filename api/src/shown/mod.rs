//! How billing runs, queues, jobs, dead letters and users are shown: the same fields in the API's answers and in the
//! terminal's `--json`.
//!
//! Owns names, units and what is hidden. Where the values come from, and who may see them, is decided by those who show.
//!
//! **Invariant:** a field that may hold a secret is never shown; see [`payload`].

mod billing_run;
mod dead_letter;
mod job;
pub mod payload;
mod queue;
mod schedule;
mod user;

use jiff::Timestamp;

pub use billing_run::{BillingRun, BillingRunAmount, BillingRunError, BillingRunTotals, Watched};
pub use dead_letter::{DeadLetter, DeadLetterGroup, DeadLetterState};
pub use job::{FailedAttempt, Held, Job, JobState, LimitShare};
pub use queue::{Limit, LimitRate, Milliseconds, Minute, PausedJob, PausedQueue, Queue, QueueDetail, Rates, Worker};
pub use schedule::Schedule;
pub use user::User;

/// What the ids of jobs, and so of dead letters, begin with; the queue knows them without it.
pub const JOB_PREFIX: &str = "job_";

/// A time of Redis's clock. One that no calendar has, which only bytes that were never ours can claim, is the epoch.
fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}

/// An id of the queue's as it is shown.
fn job_id(id: &str) -> String {
    format!("{JOB_PREFIX}{id}")
}
