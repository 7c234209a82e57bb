//! Which handler runs which job: [`Registry`], and the type-erased form in which a worker calls it.
//!
//! Owns decoding of payloads, because only here is the payload's type known.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::context::JobContext;
use crate::error::QueueError;
use crate::job::{Handler, JobError, Outcome, RetryPolicy};
use crate::keys::check_name;

/// The jobs a worker can run, by wire name.
pub struct Registry<C> {
    jobs: HashMap<&'static str, Registered<C>>,
    rejected: Option<QueueError>,
}

/// A job's policy and its handler.
pub(crate) struct Registered<C> {
    pub(crate) name: &'static str,
    pub(crate) retry: RetryPolicy,
    pub(crate) timeout: Duration,
    pub(crate) handler: Arc<dyn AnyHandler<C>>,
}

/// The run of a decoded job.
pub(crate) type Run = BoxFuture<'static, Result<Outcome, JobError>>;

/// A handler whose payload type is hidden.
pub(crate) trait AnyHandler<C>: Send + Sync {
    /// Decodes the payload and prepares the run.
    fn prepare(&self, payload: &str, context: Arc<C>, job: JobContext) -> Result<Run, serde_json::Error>;
}

struct Typed<J>(PhantomData<fn() -> J>);

impl<C, J> AnyHandler<C> for Typed<J>
where
    C: Send + Sync + 'static,
    J: Handler<C>,
{
    fn prepare(&self, payload: &str, context: Arc<C>, job: JobContext) -> Result<Run, serde_json::Error> {
        let payload: J = serde_json::from_str(payload)?;
        Ok(async move { payload.run(&context, &job).await }.boxed())
    }
}

impl<C> Default for Registry<C> {
    fn default() -> Self {
        Self { jobs: HashMap::new(), rejected: None }
    }
}

impl<C: Send + Sync + 'static> Registry<C> {
    /// A registry without jobs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a job. A name that is taken or ill-formed is reported when the workers start.
    #[must_use]
    pub fn register<J: Handler<C>>(mut self) -> Self {
        let checked = check_name("job", J::NAME).and_then(|()| check_name("queue", J::QUEUE));
        if let Err(error) = checked {
            self.rejected.get_or_insert(error);
            return self;
        }
        let registered = Registered {
            name: J::NAME,
            retry: J::RETRY,
            timeout: J::TIMEOUT,
            handler: Arc::new(Typed::<J>(PhantomData)),
        };
        if self.jobs.insert(J::NAME, registered).is_some() {
            let error =
                QueueError::invalid(format!("job name {:?}", J::NAME), "is registered twice; wire names are unique");
            self.rejected.get_or_insert(error);
        }
        self
    }

    /// The wire names of all jobs, sorted.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.jobs.keys().copied().collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Registered<C>> {
        self.jobs.get(name)
    }

    /// The registry, or the first thing that was wrong with it.
    pub(crate) fn checked(self) -> Result<Self, QueueError> {
        match self.rejected {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }
}
