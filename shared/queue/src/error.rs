//! The errors of this crate's own operations. What a handler answers is [`crate::JobError`].

/// Why an operation on the queue failed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Redis did not do it: unreachable, too slow, restarting, out of memory. An enqueue may or may
    /// not have happened; repeating it is safe where the job has a unique key or an idempotent handler.
    #[error("{doing}: Redis: {source}")]
    Unavailable {
        /// What was attempted.
        doing: &'static str,
        /// What the client said.
        source: redis::RedisError,
    },
    /// This Redis would lose jobs or cannot run the scripts; the reason says what to change.
    #[error("this Redis cannot carry a queue: {reason}")]
    Unsuitable {
        /// What is wrong and how to set it right.
        reason: String,
    },
    /// An argument is outside of its limits.
    #[error("{what} {reason}")]
    Invalid {
        /// What was given.
        what: String,
        /// What it should be.
        reason: String,
    },
    /// The payload does not serialize.
    #[error("writing the payload of job {job}: {source}")]
    Encode {
        /// Wire name of the job.
        job: &'static str,
        /// What the serializer said.
        source: serde_json::Error,
    },
    /// The worker runtime stopped although nobody asked it to.
    #[error("worker of queue {queue} stopped: {reason}")]
    Worker {
        /// The queue.
        queue: String,
        /// What the runtime said.
        reason: String,
    },
}

impl QueueError {
    /// For `map_err` on a Redis call.
    pub(crate) fn redis(doing: &'static str) -> impl FnOnce(redis::RedisError) -> Self {
        move |source| Self::Unavailable { doing, source }
    }

    pub(crate) fn invalid(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { what: what.into(), reason: reason.into() }
    }
}
