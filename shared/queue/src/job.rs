//! What a job is: the [`Job`] trait with its policy, the [`Handler`] that runs it, and the closed sets
//! of ways in which a run can end.
//!
//! Owns no transport: how a job is written down is `entry`, how it travels is `driver`.
//!
//! **Invariant:** every run ends in exactly one of done, snoozed, cancelled, retried or dead; there is
//! no way to drop a job without saying so.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::JobContext;

/// A unit of work that can be written down: the payload, and the policy it runs under.
///
/// The implementing type is the payload and is stored as JSON. Old payloads must go on decoding: add
/// fields with `#[serde(default)]`, never rename or retype one.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name on the wire, for ever: letters, digits, `_`, `-` and `.`. Unique in a [`crate::Registry`].
    const NAME: &'static str;
    /// The queue it travels on; same alphabet as [`Job::NAME`].
    const QUEUE: &'static str;
    /// How often, and how far apart, it is tried.
    const RETRY: RetryPolicy;
    /// The longest one attempt may take; after that it is aborted and counts as failed.
    const TIMEOUT: Duration;

    /// The tenant it works for, if any: shown in logs and dead letters. At most
    /// [`crate::MAX_KEY_BYTES`] bytes without white space.
    fn tenant(&self) -> Option<&str>;

    /// The key under which at most one such job (same [`Job::NAME`]) may exist; see [`UniqueScope`].
    fn unique_key(&self) -> Option<UniqueKey> {
        None
    }

    /// What it takes part in that may be limited across the whole fleet, such as a payment gateway; at most
    /// [`crate::MAX_LIMITS`]. A limit itself is set while running: [`crate::QueueClient::set_limit`]. Until then it is
    /// only counted.
    fn limits(&self) -> Vec<LimitUse> {
        Vec::new()
    }
}

/// One run's share of a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitUse {
    /// Letters, digits or any of `_ - . :`, at most [`crate::MAX_KEY_BYTES`] bytes. Belongs to one queue.
    pub key: String,
    /// What it costs of a rate, in the rate's units; at least 1. Concurrency counts runs, whatever they cost.
    pub cost: u32,
}

impl LimitUse {
    /// One unit of the limit of this key.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), cost: 1 }
    }

    /// So many units of it.
    #[must_use]
    pub fn cost(mut self, cost: u32) -> Self {
        self.cost = cost;
        self
    }
}

/// Runs a [`Job`] with a context of type `C` (clients, clock, configuration).
///
/// Delivery is at least once: a handler may run twice, also concurrently (after a lost lease), and
/// must leave the same result as one run.
pub trait Handler<C>: Job + Sized {
    /// Runs the job once.
    ///
    /// # Errors
    /// A [`JobError`] says whether another attempt makes sense. A panic and a time-out count as
    /// [`JobErrorKind::Retry`].
    fn run(&self, context: &C, job: &JobContext) -> impl Future<Output = Result<Outcome, JobError>> + Send;
}

/// How a run ended that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is left to do.
    Done,
    /// Not now: run again after the delay (zero: at once, behind what is waiting). Spends no attempt.
    Snooze(Duration),
    /// Not to be done after all, for the reason given (logged). Nothing is kept.
    Cancel(String),
}

/// A failed run: what to do next, a stable code to group by, and a message for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct JobError {
    /// Whether and when another attempt makes sense.
    pub kind: JobErrorKind,
    /// Stable and without variables, such as `gateway_unavailable`: dead letters are grouped by it.
    pub code: &'static str,
    /// What was attempted and what happened. Cut to [`crate::MAX_MESSAGE_BYTES`] when stored.
    pub message: String,
}

/// What a [`JobError`] asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobErrorKind {
    /// Try again after the back-off of the job's [`RetryPolicy`].
    Retry,
    /// Try again, not before this delay (someone named it, such as a gateway's `Retry-After`).
    RetryAfter(Duration),
    /// No attempt will ever succeed: straight to the dead letters.
    Fatal,
}

impl JobError {
    /// A failure that may pass: tried again after the policy's back-off.
    pub fn retry(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(JobErrorKind::Retry, code, message)
    }

    /// A failure that says itself when to come back. Spends an attempt like any other failure.
    pub fn retry_after(delay: Duration, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(JobErrorKind::RetryAfter(delay), code, message)
    }

    /// A failure that repeating cannot cure: the job becomes a dead letter now.
    pub fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(JobErrorKind::Fatal, code, message)
    }

    fn new(kind: JobErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into() }
    }
}

/// How often a job is tried and how long it waits in between: exponential back-off with full jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in total, the first included; at least 1. Attempts are counted when they begin.
    pub max_attempts: u32,
    /// Upper bound of the wait after the first failure; it doubles with each further one.
    pub base: Duration,
    /// Upper bound of any wait.
    pub cap: Duration,
}

impl RetryPolicy {
    /// A policy of `max_attempts` in total, waiting at most `base`, 2 `base`, 4 `base`, ... `cap`.
    pub const fn exponential(max_attempts: u32, base: Duration, cap: Duration) -> Self {
        Self { max_attempts, base, cap }
    }

    /// The longest wait after the given attempt (1 is the first).
    pub fn longest_wait(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(u32::BITS - 1);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// The wait after the given attempt: `draw` picks from `0..=longest` milliseconds. Full jitter
    /// spreads jobs that failed together better than any fixed or partly random wait.
    pub fn wait(&self, attempt: u32, draw: impl FnOnce(u64) -> u64) -> Duration {
        let longest = self.longest_wait(attempt).as_millis();
        let longest = u64::try_from(longest).unwrap_or(u64::MAX);
        Duration::from_millis(draw(longest).min(longest))
    }
}

/// A key that only one job of its name may hold at a time, and for how long it holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueKey {
    /// At most [`crate::MAX_KEY_BYTES`] bytes, no control characters.
    pub key: String,
    /// When the key is given back.
    pub scope: UniqueScope,
}

impl UniqueKey {
    /// Held while waiting; see [`UniqueScope::Waiting`].
    pub fn waiting(key: impl Into<String>) -> Self {
        Self { key: key.into(), scope: UniqueScope::Waiting }
    }

    /// Held until the end; see [`UniqueScope::WaitingOrRunning`].
    pub fn waiting_or_running(key: impl Into<String>) -> Self {
        Self { key: key.into(), scope: UniqueScope::WaitingOrRunning }
    }
}

/// How long a unique key is held. A dead letter holds none in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UniqueScope {
    /// From enqueueing until a worker claims it, and again while it waits for a retry. What happens
    /// during a run is thus never swallowed: a new job may be enqueued for it.
    Waiting,
    /// From enqueueing until it is done, cancelled or dead. For jobs that look again at the durable
    /// state before they end; others may miss what happened while they ran.
    WaitingOrRunning,
}

/// Which waiting job goes first: strictly all `High` before any `Normal` before any `Low`, each in
/// the order of arrival and in turns among tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// Someone is waiting for it.
    High,
    /// The usual.
    #[default]
    Normal,
    /// Whenever there is nothing else.
    Low,
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy::exponential(5, Duration::from_millis(100), Duration::from_secs(1));

    #[test]
    fn waits_double_up_to_the_cap() {
        let longest: Vec<_> = (1..=6).map(|attempt| POLICY.longest_wait(attempt).as_millis()).collect();
        assert_eq!(longest, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(POLICY.longest_wait(u32::MAX), POLICY.cap);
    }

    #[test]
    fn jitter_covers_the_whole_range_and_never_leaves_it() {
        assert_eq!(POLICY.wait(2, |_| 0), Duration::ZERO);
        assert_eq!(POLICY.wait(2, |most| most), Duration::from_millis(200));
        assert_eq!(POLICY.wait(2, |_| u64::MAX), Duration::from_millis(200));
    }
}
