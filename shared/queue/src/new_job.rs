//! A job on its way into a queue: [`NewJob`], checked and encoded, and what became of it.

use std::time::Duration;

use uuid::Uuid;

use crate::MAX_PAYLOAD_BYTES;
use crate::entry::{self, Draft, Meta};
use crate::error::QueueError;
use crate::job::{Job, Priority, UniqueKey};
use crate::keys::check_name;

/// A job ready to be enqueued, with its options. Its id is random and made here, so that the caller
/// knows it beforehand.
#[derive(Debug, Clone)]
pub struct NewJob {
    id: String,
    job: &'static str,
    queue: &'static str,
    tenant: Option<String>,
    unique: Option<UniqueKey>,
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
        let payload = serde_json::to_string(job).map_err(|source| QueueError::Encode { job: J::NAME, source })?;
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(QueueError::invalid(
                format!("payload of job {} ({} bytes)", J::NAME, payload.len()),
                format!("must be at most {MAX_PAYLOAD_BYTES} bytes"),
            ));
        }
        Ok(Self {
            id: Uuid::new_v4().simple().to_string(),
            job: J::NAME,
            queue: J::QUEUE,
            tenant: tenant.map(str::to_owned),
            unique,
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

    /// Its delay in milliseconds; parts of one count as a whole, so that "later" never becomes "now".
    pub(crate) fn delay_ms(&self) -> u64 {
        let millis = self.delay.as_nanos().div_ceil(1_000_000);
        u64::try_from(millis).unwrap_or(u64::MAX).min(MAX_DELAY_MS)
    }

    pub(crate) fn draft(&self) -> Draft<'_> {
        Draft {
            id: &self.id,
            priority: self.priority,
            job: self.job,
            tenant: self.tenant.as_deref(),
            unique: self.unique.as_ref(),
            meta: &self.meta,
            payload: &self.payload,
        }
    }
}

/// A century. Longer delays are cut to it, so that scores stay exact in Redis's numbers.
pub(crate) const MAX_DELAY_MS: u64 = 100 * 366 * 24 * 60 * 60 * 1000;

/// What became of an enqueued job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It is in the queue.
    Added,
    /// Another job holds its unique key; this one was not added.
    Duplicate,
}
