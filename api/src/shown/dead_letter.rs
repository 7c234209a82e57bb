//! A dead letter, and dead letters of one cause together.

use jiff::Timestamp;
use queue::DeadGroup;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{FailedAttempt, instant, job_id, payload};

/// A job that was given up and waits for a person.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeadLetter {
    /// The job's.
    #[schema(example = "job_3kTMd9aQ0xPz1V")]
    pub id: String,
    /// Always `dead_letter`.
    #[schema(value_type = String, example = "dead_letter")]
    pub object: &'static str,
    /// When it died.
    pub created: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required)]
    pub livemode: Option<bool>,
    pub state: DeadLetterState,
    #[schema(example = "payments")]
    pub queue: String,
    /// The job's type.
    #[schema(example = "collect_payment")]
    pub job: String,
    /// Whose work it was; null for work of the deployment.
    pub tenant: Option<String>,
    /// How many attempts were spent.
    pub attempts: u32,
    /// Stable name of the error that it died of.
    #[schema(example = "gateway_unavailable")]
    pub code: String,
    /// That error's message.
    pub message: String,
    /// Letters with the same fingerprint died of the same cause.
    #[schema(example = "9f1c02ab77de")]
    pub fingerprint: String,
    /// The key that only one such job may hold.
    pub unique_key: Option<String>,
    /// The request that caused the job.
    pub request_id: Option<String>,
    /// The job that enqueued it.
    pub parent: Option<String>,
    /// What it carries. Fields that hold secrets are shown as `***`.
    #[schema(value_type = Object)]
    pub payload: Value,
    /// Its failed attempts, first to last; the last one is the cause of death.
    pub history: Vec<FailedAttempt>,
    /// Other for every content of the payload, hidden fields included.
    #[serde(skip)]
    pub revision: i64,
}

/// What became of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterState {
    /// It waits for a person.
    Dead,
    /// It is back in its queue, with all attempts ahead of it.
    Requeued,
    /// It was given up for good.
    Discarded,
}

/// The dead letters of one cause.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeadLetterGroup {
    #[schema(example = "9f1c02ab77de")]
    pub fingerprint: String,
    /// Always `dead_letter_group`.
    #[schema(value_type = String, example = "dead_letter_group")]
    pub object: &'static str,
    #[schema(example = "payments")]
    pub queue: String,
    /// The jobs' type.
    #[schema(example = "collect_payment")]
    pub job: String,
    #[schema(example = "gateway_unavailable")]
    pub code: String,
    /// Message of the latest.
    pub message: String,
    /// How many there are.
    pub count: u64,
    /// How many tenants are hit.
    pub tenants: u64,
    /// When the first died.
    pub first_at: Timestamp,
    /// When the latest died.
    pub last_at: Timestamp,
    /// Id of the latest.
    pub latest: String,
}

impl DeadLetter {
    /// The letter as the API shows it, of a tenant in live or in test mode.
    #[must_use]
    pub fn of_tenant(letter: queue::DeadLetter, livemode: bool) -> Self {
        Self { livemode: Some(livemode), ..Self::from(letter) }
    }
}

impl From<queue::DeadLetter> for DeadLetter {
    fn from(letter: queue::DeadLetter) -> Self {
        let last = letter.history.last();
        Self {
            id: job_id(&letter.id),
            object: "dead_letter",
            created: instant(letter.died_at_ms),
            livemode: None,
            state: DeadLetterState::Dead,
            code: last.map(|failure| failure.code.clone()).unwrap_or_default(),
            message: last.map(|failure| failure.message.clone()).unwrap_or_default(),
            queue: letter.queue,
            job: letter.job,
            tenant: letter.tenant,
            attempts: letter.attempts,
            fingerprint: letter.fingerprint,
            unique_key: letter.unique_key,
            request_id: letter.request_id,
            parent: letter.parent.as_deref().map(job_id),
            payload: payload::shown(&letter.payload),
            revision: revision(&letter.payload),
            history: letter.history.into_iter().map(FailedAttempt::from).collect(),
        }
    }
}

/// 63 bits of the payload's SHA-256: enough to tell its edits apart.
fn revision(payload: &str) -> i64 {
    let digest = Sha256::digest(payload.as_bytes());
    digest.iter().take(8).fold(0_i64, |number, byte| (number << 8) | i64::from(*byte)) & i64::MAX
}

impl DeadLetterGroup {
    /// A group of this queue's.
    #[must_use]
    pub fn of(queue: &str, group: DeadGroup) -> Self {
        Self {
            fingerprint: group.fingerprint,
            object: "dead_letter_group",
            queue: queue.to_owned(),
            job: group.job,
            code: group.code,
            message: group.message,
            count: group.count,
            tenants: group.tenants,
            first_at: instant(group.first_ms),
            last_at: instant(group.last_ms),
            latest: job_id(&group.latest_id),
        }
    }
}
