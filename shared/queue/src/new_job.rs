//! A job on its way into a queue: [`NewJob`], checked and encoded, and what became of it.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::ScriptInvocation;
use uuid::Uuid;

use crate::MAX_PAYLOAD_BYTES;
use crate::entry::{self, Draft, Meta};
use crate::error::QueueError;
use crate::job::{Job, LimitUse, Priority, UniqueKey};
use crate::keys::check_name;

/// A job ready to be enqueued, with its options. Its id is made here, so that the caller knows it beforehand;
/// there is no copy of a job with the same id.
#[derive(Debug)]
pub struct NewJob {
    id: String,
    job: &'static str,
    queue: &'static str,
    tenant: Option<String>,
    limits: Vec<LimitUse>,
    unique: Option<UniqueKey>,
    unless_dead: bool,
    payload: String,
    priority: Priority,
    delay: Duration,
    meta: Meta,
}

impl NewJob {
    /// Writes the payload down, to run at once with normal priority.
    ///
    /// # Errors
    /// [`QueueError::Encode`] if the payload does not serialize, [`QueueError::Invalid`] if it is larger
    /// than [`MAX_PAYLOAD_BYTES`] or a name, tenant or unique key is outside of its limits.
    pub fn of<J: Job>(job: &J) -> Result<Self, QueueError> {
        check_name("job", J::NAME)?;
        check_name("queue", J::QUEUE)?;
        let tenant = job.tenant();
        tenant.map_or(Ok(()), entry::check_tenant)?;
        let unique = job.unique_key();
        unique.as_ref().map_or(Ok(()), |unique| entry::check_unique_key(&unique.key))?;
        let limits = job.limits();
        entry::check_limits(&limits)?;
        let payload = serde_json::to_string(job).map_err(|source| QueueError::Encode { job: J::NAME, source })?;
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(QueueError::invalid(
                format!("payload of job {} ({} bytes)", J::NAME, payload.len()),
                format!("must be at most {MAX_PAYLOAD_BYTES} bytes"),
            ));
        }
        Ok(Self {
            id: new_id(),
            job: J::NAME,
            queue: J::QUEUE,
            tenant: tenant.map(str::to_owned),
            limits,
            unique,
            unless_dead: false,
            payload,
            priority: Priority::default(),
            delay: Duration::ZERO,
            meta: Meta::default(),
        })
    }

    /// Not before this long after it was enqueued, by Redis's clock.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// With this priority.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Caused by this request.
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.meta.request_id = Some(id.into());
        self
    }

    /// Part of the trace of this W3C `traceparent`.
    #[must_use]
    pub fn trace_parent(mut self, trace_parent: impl Into<String>) -> Self {
        self.meta.trace_parent = Some(trace_parent.into());
        self
    }

    /// Enqueued by the job of this id.
    #[must_use]
    pub fn parent(mut self, id: impl Into<String>) -> Self {
        self.meta.parent = Some(id.into());
        self
    }

    /// Not if a dead letter of the same unique key lies there: what was given up waits for a person. Without
    /// a unique key it makes no difference.
    #[must_use]
    pub fn unless_dead(mut self) -> Self {
        self.unless_dead = true;
        self
    }

    /// The id it will have.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The queue it goes to.
    pub fn queue(&self) -> &'static str {
        self.queue
    }

    /// Its wire name.
    pub fn name(&self) -> &'static str {
        self.job
    }

    /// What it has in common with the jobs that it stays together with where its queue is split.
    pub(crate) fn companions(&self) -> Cow<'_, str> {
        match (self.limits.first(), &self.unique, &self.tenant) {
            (Some(limit), _, _) => Cow::Borrowed(&limit.key),
            (None, Some(_), _) => Cow::Owned(self.draft().unique_field()),
            (None, None, tenant) => Cow::Borrowed(tenant.as_deref().unwrap_or(&self.id)),
        }
    }

    /// Its delay in milliseconds; parts of one count as a whole, so that "later" never becomes "now".
    fn delay_ms(&self) -> u64 {
        let millis = self.delay.as_nanos().div_ceil(1_000_000);
        u64::try_from(millis).unwrap_or(u64::MAX).min(MAX_DELAY_MS)
    }

    /// Whether both can be handed to the script under one heading.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let kind = |job: &Self| (job.delay, job.priority, job.unique.is_some(), job.limits.is_empty());
        kind(self) == kind(other) && self.tenant == other.tenant
    }

    /// The heading of a run of jobs that are all like this one.
    pub(crate) fn write_kind(&self, call: &mut ScriptInvocation<'_>, run: usize) {
        let draft = self.draft();
        let unique = if self.unique.is_some() { "1" } else { "" };
        call.arg(run).arg(self.delay_ms()).arg(draft.flags()).arg(draft.tenant()).arg(unique);
    }

    /// What is this job's own.
    pub(crate) fn write(&self, call: &mut ScriptInvocation<'_>) {
        let draft = self.draft();
        call.arg(&self.id).arg(draft.tail());
        if self.unique.is_some() {
            let field = draft.unique_field();
            call.arg(if self.unless_dead { format!("?{field}") } else { field });
        }
    }

    fn draft(&self) -> Draft<'_> {
        Draft {
            priority: self.priority,
            job: self.job,
            tenant: self.tenant.as_deref(),
            limits: &self.limits,
            unique: self.unique.as_ref(),
            meta: &self.meta,
            payload: &self.payload,
        }
    }
}

/// Digits of an id that are this process's: 47 bits of chance.
const PROCESS_DIGITS: usize = 8;

/// Digits of an id that count: 57 thousand million jobs of a process. Short, because Redis holds an id twice.
const COUNTER_DIGITS: usize = 6;

static PROCESS: LazyLock<String> = LazyLock::new(|| base62(Uuid::new_v4().as_u128(), PROCESS_DIGITS));

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// An id that no other job has: no two of a process, and no two of different processes but by a chance of 2^-47.
fn new_id() -> String {
    let mut id = PROCESS.clone();
    id.push_str(&base62(COUNTER.fetch_add(1, Ordering::Relaxed).into(), COUNTER_DIGITS));
    id
}

/// The last digits of a number.
fn base62(mut number: u128, digits: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = vec![b'0'; digits];
    for digit in text.iter_mut().rev() {
        *digit = ALPHABET[(number % 62) as usize];
        number /= 62;
    }
    text.into_iter().map(char::from).collect()
}

/// A century. Longer delays are cut to it, so that scores stay exact in Redis's numbers.
pub(crate) const MAX_DELAY_MS: u64 = 100 * 366 * 24 * 60 * 60 * 1000;

/// What became of an enqueued job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It is in the queue.
    Added,
    /// Another job holds its unique key, or a dead letter where that counts; this one was not added.
    Duplicate,
}
