//! Runs one delivered job and decides what becomes of it: [`JobService`].
//!
//! Owns the policy: unknown and undecodable jobs, attempts, time-outs, panics, back-off, and the log
//! line of each failure. Knows nothing of Redis.

use std::any::Any;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use apalis_core::task::Task;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tower::Service;
use tracing::{Instrument, Span, error, info, info_span, warn};

use crate::context::JobContext;
use crate::delivery::{Delivery, Verdict};
use crate::entry::{Failure, cut_message};
use crate::job::{JobError, JobErrorKind, Outcome, RetryPolicy};
use crate::measure;
use crate::registry::{Registered, Registry};

/// How long an aborted handler gets to reach its next await. Past it the job is given back although a
/// thread may still be in it; stores are guarded by their compare-and-set.
const ABORT_LIMIT: Duration = Duration::from_secs(1);

/// What all runs of one worker on one queue share.
pub(crate) struct Shop<C> {
    pub(crate) queue: String,
    pub(crate) worker: String,
    pub(crate) registry: Arc<Registry<C>>,
    pub(crate) context: Arc<C>,
    /// Set when the worker is asked to stop.
    pub(crate) draining: CancellationToken,
    /// Set when the grace period is over: what still runs is aborted and given back.
    pub(crate) abandon: CancellationToken,
}

/// The innermost service of a worker.
pub(crate) struct JobService<C> {
    shop: Arc<Shop<C>>,
}

impl<C> JobService<C> {
    pub(crate) fn new(shop: Shop<C>) -> Self {
        Self { shop: Arc::new(shop) }
    }
}

impl<C: Send + Sync + 'static> Service<Task<Delivery>> for JobService<C> {
    type Response = Verdict;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Verdict, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Delivery>) -> Self::Future {
        let shop = Arc::clone(&self.shop);
        async move {
            let span = shop.span(&task.args);
            Ok(shop.execute(task.args, span.clone()).instrument(span).await)
        }
        .boxed()
    }
}

/// How a run came to its end.
enum End {
    Returned(Result<Outcome, JobError>),
    Abandoned,
}

impl<C: Send + Sync + 'static> Shop<C> {
    fn span(&self, delivery: &Delivery) -> Span {
        let entry = &delivery.entry;
        info_span!(
            "job",
            id = %delivery.id,
            name = %entry.job,
            queue = %self.queue,
            attempt = delivery.attempt,
            tenant = entry.tenant.as_deref(),
            request_id = entry.meta.request_id.as_deref(),
            trace_parent = entry.meta.trace_parent.as_deref(),
        )
    }

    async fn execute(&self, delivery: Delivery, span: Span) -> Verdict {
        let Some(job) = self.registry.find(&delivery.entry.job) else {
            let error = JobError::fatal("unknown_job", "no handler is registered for this name");
            return self.bury(&delivery, &error);
        };
        if delivery.attempt > job.retry.max_attempts {
            return self.bury(&delivery, &exhausted(job.retry.max_attempts));
        }
        let policy = (job.name, job.retry.max_attempts);
        let context = JobContext::new(&delivery, policy, &self.queue, self.draining.clone());
        let run = match job.handler.prepare(&delivery.entry.payload, Arc::clone(&self.context), context) {
            Ok(run) => run,
            Err(cause) => {
                let error = JobError::fatal("undecodable_payload", cause.to_string());
                return self.bury(&delivery, &error);
            }
        };
        let began = Instant::now();
        let end = self.supervise(run.instrument(span), job.timeout).await;
        measure::ran(&self.queue, job.name, began.elapsed());
        self.judge(&delivery, job, end)
    }

    /// Runs the handler as a task of its own: a panic ends only it, and the handlers of a queue use all
    /// threads instead of sharing the worker's.
    async fn supervise<F>(&self, run: F, timeout: Duration) -> End
    where
        F: Future<Output = Result<Outcome, JobError>> + Send + 'static,
    {
        let mut handle = AbortOnDropHandle::new(tokio::spawn(run));
        tokio::select! {
            joined = &mut handle => End::Returned(joined.unwrap_or_else(|end| Err(crash(end)))),
            () = tokio::time::sleep(timeout) => {
                abort(handle).await;
                let message = format!("aborted after {timeout:?}");
                End::Returned(Err(JobError::retry("timeout", message)))
            }
            () = self.abandon.cancelled() => {
                abort(handle).await;
                End::Abandoned
            }
        }
    }

    fn judge(&self, delivery: &Delivery, job: &Registered<C>, end: End) -> Verdict {
        let error = match end {
            End::Abandoned => {
                warn!("aborted at the end of the grace period and given back");
                return Verdict::Release;
            }
            End::Returned(Ok(Outcome::Done)) => return Verdict::Done,
            End::Returned(Ok(Outcome::Snooze(delay))) => return Verdict::Snooze(delay),
            End::Returned(Ok(Outcome::Cancel(reason))) => {
                info!(reason, "job cancelled");
                return Verdict::Cancel;
            }
            End::Returned(Err(error)) => error,
        };
        let delay = match error.kind {
            JobErrorKind::Fatal => return self.bury(delivery, &error),
            _ if delivery.attempt >= job.retry.max_attempts => return self.bury(delivery, &error),
            JobErrorKind::Retry => backoff(&job.retry, delivery.attempt),
            JobErrorKind::RetryAfter(delay) => delay,
        };
        warn!(code = error.code, message = %error.message, ?delay, "attempt failed, trying again");
        Verdict::Retry { delay, note: self.failure(delivery, &error).note() }
    }

    fn bury(&self, delivery: &Delivery, error: &JobError) -> Verdict {
        error!(code = error.code, message = %error.message, "job is dead");
        Verdict::Dead { note: self.failure(delivery, error).dead_note(&delivery.entry.job) }
    }

    fn failure(&self, delivery: &Delivery, error: &JobError) -> Failure {
        Failure {
            at: 0,
            attempt: delivery.attempt,
            code: error.code.to_owned(),
            message: cut_message(&error.message).to_owned(),
            worker: self.worker.clone(),
        }
    }
}

fn backoff(policy: &RetryPolicy, attempt: u32) -> Duration {
    policy.wait(attempt, |longest| fastrand::u64(0..=longest))
}

fn exhausted(attempts: u32) -> JobError {
    let message = format!("all {attempts} attempts began and none of them reported back");
    JobError::fatal("attempts_exhausted", message)
}

/// Aborts a run and waits until it is over.
async fn abort<T>(handle: AbortOnDropHandle<T>) {
    handle.abort();
    // Either way nothing is left to be learnt from it.
    let _ended = tokio::time::timeout(ABORT_LIMIT, handle).await;
}

/// A run that did not return: it panicked, or the runtime is going down.
fn crash(end: tokio::task::JoinError) -> JobError {
    match end.try_into_panic() {
        Ok(panic) => JobError::retry("panic", panic_message(&*panic)),
        Err(_) => JobError::retry("aborted", "the runtime ended the run"),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}
