//! One job as it is now: [`JobRecord`], looked up by id or listed from the head of a state.
//!
//! Owns nothing that lasts; a finished job has left nothing to show. Bounded: a list is a page at most, a look-up
//! a few searches in Redis.

use std::sync::LazyLock;

use redis::Script;

use crate::client::QueueClient;
use crate::entry::{Entry, Failure};
use crate::error::QueueError;
use crate::job::{LimitUse, Priority};

/// Most jobs of one list: a screen or two, with whole payloads.
const MAX_LISTED: usize = 100;

/// The token of a lease is the time of its claim in microseconds.
const TOKEN_PER_MS: i64 = 1_000;

/// The lease's parts, the worker last: its name may hold anything.
const LEASE_PARTS: usize = 4;

static JOB: LazyLock<Script> = LazyLock::new(|| {
    let source =
        concat!("#!lua flags=no-writes,allow-oom\n", include_str!("lua/lines.lua"), include_str!("lua/job.lua"));
    Script::new(source)
});

static JOBS: LazyLock<Script> = LazyLock::new(|| {
    let source =
        concat!("#!lua flags=no-writes,allow-oom\n", include_str!("lua/lines.lua"), include_str!("lua/jobs.lua"));
    Script::new(source)
});

/// A job that is not finished. Times are Redis's, in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    /// Its id.
    pub id: String,
    /// The queue it is in.
    pub queue: String,
    /// Its wire name; empty if the entry is malformed.
    pub job: String,
    /// The tenant it works for.
    pub tenant: Option<String>,
    /// Where it is now.
    pub state: JobState,
    /// Which waiting jobs it goes before.
    pub priority: Priority,
    /// Attempts begun and counted, a running one included.
    pub attempt: u32,
    /// When it was enqueued.
    pub enqueued_at_ms: i64,
    /// When it could, or can, run: later than enqueued if delayed, snoozed or tried again.
    pub run_at_ms: i64,
    /// The key that only one such job may hold.
    pub unique_key: Option<String>,
    /// The limits it takes part in.
    pub limits: Vec<LimitUse>,
    /// The request that caused it.
    pub request_id: Option<String>,
    /// W3C `traceparent` of what caused it.
    pub trace_parent: Option<String>,
    /// The job that enqueued it.
    pub parent: Option<String>,
    /// The payload as JSON; of a malformed entry, all there is.
    pub payload: String,
    /// Its failed attempts, first to last.
    pub history: Vec<Failure>,
}

/// Where a job is: in exactly one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// Due, waiting for a worker.
    Ready,
    /// Due, set aside at a gate.
    Limited {
        /// `limit:<key>` or `job:<name>` of a paused job type.
        gate: String,
    },
    /// Waiting for its time.
    Scheduled {
        /// When it is due.
        due_ms: i64,
    },
    /// Held by a worker.
    Running {
        /// Its name.
        worker: String,
        /// When it was claimed.
        since_ms: i64,
        /// When the lease ends unless it is renewed.
        expires_ms: i64,
        /// Which attempt this is.
        attempt: u32,
    },
    /// Given up; see [`crate::DeadLetter`].
    Dead {
        /// When it died.
        at_ms: i64,
    },
}

/// The states to list by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStateKind {
    /// See [`JobState::Ready`]; in turns among tenants, as they are claimed.
    Ready,
    /// See [`JobState::Limited`]; gate by gate, those that open next first.
    Limited,
    /// See [`JobState::Scheduled`]; the next due first.
    Scheduled,
    /// See [`JobState::Running`]; those whose lease ends next first.
    Running,
    /// See [`JobState::Dead`]; the latest first.
    Dead,
}

impl JobStateKind {
    /// All of them, in the order of a job's way.
    pub const ALL: [Self; 5] = [Self::Ready, Self::Limited, Self::Scheduled, Self::Running, Self::Dead];

    /// The name in output and in scripts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Limited => "limited",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Dead => "dead",
        }
    }
}

impl JobState {
    /// Without the particulars.
    pub const fn kind(&self) -> JobStateKind {
        match self {
            Self::Ready => JobStateKind::Ready,
            Self::Limited { .. } => JobStateKind::Limited,
            Self::Scheduled { .. } => JobStateKind::Scheduled,
            Self::Running { .. } => JobStateKind::Running,
            Self::Dead { .. } => JobStateKind::Dead,
        }
    }

    fn read(name: &str, word: String, time: i64) -> Self {
        match name {
            "limited" => Self::Limited { gate: word },
            "scheduled" => Self::Scheduled { due_ms: time },
            "running" => Self::running(&word, time),
            "dead" => Self::Dead { at_ms: time },
            _ => Self::Ready,
        }
    }

    fn running(lease: &str, expires_ms: i64) -> Self {
        let parts: Vec<&str> = lease.splitn(LEASE_PARTS, ':').collect();
        let part = |at: usize| parts.get(at).copied().unwrap_or_default();
        Self::Running {
            worker: part(3).to_owned(),
            since_ms: part(0).parse::<i64>().unwrap_or_default() / TOKEN_PER_MS,
            expires_ms,
            attempt: part(2).parse().unwrap_or_default(),
        }
    }
}

/// A job as the scripts tell it: id, state, gate or lease, time, entry.
type Row = (String, String, String, i64, Vec<u8>);

impl QueueClient {
    /// A job of a queue by its id; nothing if it is finished or was never there.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn job(&self, queue: &str, id: &str) -> Result<Option<JobRecord>, QueueError> {
        let rows: Vec<Row> = JOB
            .key(&self.keys.queue(queue).base)
            .arg(id)
            .invoke_async(&mut self.connection.clone())
            .await
            .map_err(QueueError::redis("looking a job up"))?;
        Ok(rows.into_iter().next().map(|row| JobRecord::read(queue, row)))
    }

    /// The first jobs of a state, `limit` of them (at most 100).
    ///
    /// # Errors
    /// [`QueueError::Unavailable`].
    pub async fn jobs(&self, queue: &str, kind: JobStateKind, limit: usize) -> Result<Vec<JobRecord>, QueueError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let rows: Vec<Row> = JOBS
            .key(&self.keys.queue(queue).base)
            .arg(kind.name())
            .arg(limit.min(MAX_LISTED))
            .invoke_async(&mut self.connection.clone())
            .await
            .map_err(QueueError::redis("listing jobs"))?;
        Ok(rows.into_iter().map(|row| JobRecord::read(queue, row)).collect())
    }
}

impl JobRecord {
    fn read(queue: &str, (id, state, word, time, bytes): Row) -> Self {
        let state = JobState::read(&state, word, time);
        let text = String::from_utf8_lossy(&bytes);
        let Ok(entry) = Entry::parse(&text) else {
            return Self::malformed((queue, id), state, text.into_owned());
        };
        let attempt = match &state {
            JobState::Running { attempt, .. } => *attempt,
            _ => entry.spent,
        };
        Self {
            id,
            queue: queue.to_owned(),
            job: entry.job,
            tenant: entry.tenant,
            state,
            priority: entry.priority,
            attempt,
            enqueued_at_ms: entry.enqueued_at_ms,
            run_at_ms: entry.run_at_ms,
            unique_key: entry.unique.map(|unique| unique.key),
            limits: entry.limits,
            request_id: entry.meta.request_id,
            trace_parent: entry.meta.trace_parent,
            parent: entry.meta.parent,
            payload: entry.payload,
            history: entry.history.iter().filter_map(|note| serde_json::from_str(note).ok()).collect(),
        }
    }

    fn malformed((queue, id): (&str, String), state: JobState, payload: String) -> Self {
        Self {
            id,
            queue: queue.to_owned(),
            job: String::new(),
            tenant: None,
            state,
            priority: Priority::default(),
            attempt: 0,
            enqueued_at_ms: 0,
            run_at_ms: 0,
            unique_key: None,
            limits: Vec::new(),
            request_id: None,
            trace_parent: None,
            parent: None,
            payload,
            history: Vec::new(),
        }
    }
}
