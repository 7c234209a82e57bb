//! What the jobs are, what each does, and what must have become of it in the end.

use std::time::Duration;

use fastrand::Rng;
use queue::{Job, LimitUse, NewJob, Priority, RetryPolicy, UniqueKey};
use serde::{Deserialize, Serialize};

pub(crate) const QUEUE: &str = "chaos";

/// A limit that some jobs take part in.
pub(crate) const LIMIT: &str = "gateway:slow";

/// Longer than any run of this test.
const LATER: Duration = Duration::from_secs(60 * 60);

/// Numbers of so many jobs in a row have one key, if they are unique: one of them at a time is in the queue.
const SHARED_BY: u32 = 50;

const TENANTS: u32 = 5;

/// A job that comes to its end if it is tried often enough.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) number: u32,
    pub(crate) deed: Deed,
}

/// A job that always fails in a way that might pass.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Doomed {
    pub(crate) number: u32,
}

/// A job whose type is paused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) number: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Deed {
    Quick,
    /// Takes so many milliseconds.
    Slow(u64),
    /// Fails so often before it succeeds.
    Stumble(u32),
    /// Asks once to be run again after so many milliseconds.
    Nap(u64),
    /// Takes so many milliseconds, and few run at once.
    Limited(u64),
    /// Shares its key with others while it waits and runs.
    Unique(u32),
    /// Takes its worker down in the first attempt.
    Kill,
    Fatal,
    /// Is for an hour from now.
    Later,
}

/// What must have become of a job in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    Dead,
    /// Scheduled, and never run.
    Scheduled,
    /// Parked at the gate of its type, and never run.
    Parked,
}

/// A job of the known set.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    Task(Task),
    Doomed(Doomed),
    Held(Held),
}

impl Job for Task {
    const NAME: &'static str = "task";
    const QUEUE: &'static str = QUEUE;
    /// More attempts than all the trouble of a run can spend.
    const RETRY: RetryPolicy = RetryPolicy::exponential(100, Duration::from_millis(10), Duration::from_millis(200));
    const TIMEOUT: Duration = Duration::from_secs(20);

    fn tenant(&self) -> Option<&str> {
        Some(["acme", "bolt", "core", "dune", "echo"][(self.number % TENANTS) as usize])
    }

    fn unique_key(&self) -> Option<UniqueKey> {
        match self.deed {
            Deed::Unique(key) => Some(UniqueKey::waiting_or_running(key.to_string())),
            _ => None,
        }
    }

    fn limits(&self) -> Vec<LimitUse> {
        match self.deed {
            Deed::Limited(_) => vec![LimitUse::new(LIMIT)],
            _ => Vec::new(),
        }
    }
}

impl Job for Doomed {
    const NAME: &'static str = "doomed";
    const QUEUE: &'static str = QUEUE;
    const RETRY: RetryPolicy = RetryPolicy::exponential(3, Duration::from_millis(10), Duration::from_millis(100));
    const TIMEOUT: Duration = Duration::from_secs(20);

    fn tenant(&self) -> Option<&str> {
        None
    }
}

impl Job for Held {
    const NAME: &'static str = "held";
    const QUEUE: &'static str = QUEUE;
    const RETRY: RetryPolicy = Task::RETRY;
    const TIMEOUT: Duration = Task::TIMEOUT;

    fn tenant(&self) -> Option<&str> {
        Some("acme")
    }
}

impl Plan {
    pub(crate) fn draw(number: u32, rng: &mut Rng) -> Self {
        let deed = match rng.u32(0..1_000) {
            0..450 => Deed::Quick,
            450..650 => Deed::Slow(rng.u64(20..250)),
            650..750 => Deed::Stumble(rng.u32(1..4)),
            750..800 => Deed::Nap(rng.u64(0..200)),
            800..840 => Deed::Limited(rng.u64(5..40)),
            840..900 => Deed::Unique(number / SHARED_BY),
            900..930 => Deed::Fatal,
            930..970 => return Self::Doomed(Doomed { number }),
            970..980 => return Self::Held(Held { number }),
            980..999 => Deed::Later,
            _ => Deed::Kill,
        };
        Self::Task(Task { number, deed })
    }

    pub(crate) fn number(&self) -> u32 {
        match self {
            Self::Task(task) => task.number,
            Self::Doomed(job) => job.number,
            Self::Held(job) => job.number,
        }
    }

    pub(crate) fn fate(&self) -> Fate {
        match self {
            Self::Doomed(_) => Fate::Dead,
            Self::Held(_) => Fate::Parked,
            Self::Task(Task { deed: Deed::Fatal, .. }) => Fate::Dead,
            Self::Task(Task { deed: Deed::Later, .. }) => Fate::Scheduled,
            Self::Task(_) => Fate::Done,
        }
    }

    /// Whether a run may begin again in the same attempt.
    pub(crate) fn naps(&self) -> bool {
        matches!(self, Self::Task(Task { deed: Deed::Nap(_), .. }))
    }

    pub(crate) fn job(&self) -> NewJob {
        let job = match self {
            Self::Task(task) => NewJob::of(task),
            Self::Doomed(job) => NewJob::of(job),
            Self::Held(job) => NewJob::of(job),
        };
        let priority = [Priority::High, Priority::Normal, Priority::Low][(self.number() % 3) as usize];
        let job = job.unwrap().priority(priority);
        if self.fate() == Fate::Scheduled { job.after(LATER) } else { job }
    }
}
