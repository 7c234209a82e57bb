//! A job that is not finished: where it is, what it carries, and what went wrong so far.

use jiff::Timestamp;
use queue::{Failure, JobRecord, LimitUse, Priority};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{instant, job_id, payload};

/// A job that is not finished.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Job {
    #[schema(example = "job_3kTMd9aQ0xPz1V")]
    pub id: String,
    /// Always `job`.
    #[schema(value_type = String, example = "job")]
    pub object: &'static str,
    /// When it was enqueued.
    pub created: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required)]
    pub livemode: Option<bool>,
    #[schema(example = "payments")]
    pub queue: String,
    /// Its type.
    #[schema(example = "collect_payment")]
    pub job: String,
    /// Whose work it is; null for work of the deployment.
    pub tenant: Option<String>,
    pub state: JobState,
    /// `high`, `normal` or `low`: high goes first.
    #[schema(value_type = String, example = "normal")]
    pub priority: &'static str,
    /// Attempts begun, a running one included.
    pub attempt: u32,
    /// When it could, or can, run: later than `created` if it was delayed or is tried again.
    pub run_at: Timestamp,
    /// What holds it back while it is `limited`: `limit:` and a key, or `job:` and a paused type.
    pub gate: Option<String>,
    /// Who runs it while it is `running`.
    pub running: Option<Held>,
    /// When it died, if it is `dead`.
    pub died_at: Option<Timestamp>,
    /// The key that only one such job may hold.
    pub unique_key: Option<String>,
    /// The limits that it takes part in.
    pub limits: Vec<LimitShare>,
    /// The request that caused it.
    pub request_id: Option<String>,
    /// W3C `traceparent` of what caused it.
    pub trace_parent: Option<String>,
    /// The job that enqueued it.
    pub parent: Option<String>,
    /// What it carries. Fields that hold secrets are shown as `***`.
    #[schema(value_type = Object)]
    pub payload: Value,
    /// Its failed attempts, first to last.
    pub history: Vec<FailedAttempt>,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Due and waiting for a worker.
    Ready,
    /// Due, and held back by a limit or because its type is paused.
    Limited,
    /// Waiting for its time.
    Scheduled,
    /// Held by a worker.
    Running,
    /// Given up until a person acts.
    Dead,
}

/// A job's worker.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Held {
    pub worker: String,
    /// When it took the job.
    pub since: Timestamp,
    /// When another worker takes over unless this one says that it goes on.
    pub lease_expires_at: Timestamp,
}

/// A job's share of a limit.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LimitShare {
    #[schema(example = "gateway:stripe")]
    pub key: String,
    /// What it takes of a rate.
    pub cost: u32,
}

/// An attempt that failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FailedAttempt {
    pub at: Timestamp,
    /// Which it was, from 1.
    pub attempt: u32,
    /// Stable name of the error.
    #[schema(example = "gateway_unavailable")]
    pub code: String,
    pub message: String,
    /// Where it ran.
    pub worker: String,
}

impl JobState {
    /// The wire name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Limited => "limited",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Dead => "dead",
        }
    }
}

impl Job {
    /// The job as the API shows it, of a tenant in live or in test mode.
    #[must_use]
    pub fn of_tenant(record: JobRecord, livemode: bool) -> Self {
        Self { livemode: Some(livemode), ..Self::from(record) }
    }
}

impl From<JobRecord> for Job {
    fn from(record: JobRecord) -> Self {
        let (mut gate, mut running, mut died_at) = (None, None, None);
        let state = match record.state {
            queue::JobState::Ready => JobState::Ready,
            queue::JobState::Limited { gate: name } => {
                gate = Some(name);
                JobState::Limited
            }
            queue::JobState::Scheduled { .. } => JobState::Scheduled,
            queue::JobState::Running { worker, since_ms, expires_ms, .. } => {
                running = Some(Held { worker, since: instant(since_ms), lease_expires_at: instant(expires_ms) });
                JobState::Running
            }
            queue::JobState::Dead { at_ms } => {
                died_at = Some(instant(at_ms));
                JobState::Dead
            }
        };
        Self {
            id: job_id(&record.id),
            object: "job",
            created: instant(record.enqueued_at_ms),
            livemode: None,
            queue: record.queue,
            job: record.job,
            tenant: record.tenant,
            state,
            priority: priority(record.priority),
            attempt: record.attempt,
            run_at: instant(record.run_at_ms),
            gate,
            running,
            died_at,
            unique_key: record.unique_key,
            limits: record.limits.into_iter().map(LimitShare::from).collect(),
            request_id: record.request_id,
            trace_parent: record.trace_parent,
            parent: record.parent.as_deref().map(job_id),
            payload: payload::shown(&record.payload),
            history: record.history.into_iter().map(FailedAttempt::from).collect(),
        }
    }
}

impl From<LimitUse> for LimitShare {
    fn from(share: LimitUse) -> Self {
        Self { key: share.key, cost: share.cost }
    }
}

impl From<Failure> for FailedAttempt {
    fn from(failure: Failure) -> Self {
        let Failure { at, attempt, code, message, worker } = failure;
        Self { at: instant(at), attempt, code, message, worker }
    }
}

fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::High => "high",
        Priority::Normal => "normal",
        Priority::Low => "low",
    }
}
