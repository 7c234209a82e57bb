//! What handlers work with.

use std::ops::Deref;

use app::App;
use billing::{Billing, Progress};
use queue::{JobContext, Outcome};

/// The application, as the handlers' context.
#[derive(Clone)]
pub(crate) struct Context {
    pub app: App,
}

impl Context {
    /// Use cases that act because of what caused a job.
    pub(crate) fn billing_for(&self, job: &JobContext) -> Billing {
        self.billing.caused_by(job.request_id.as_deref())
    }
}

impl Deref for Context {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}

/// Bulk work goes on in the next delivery of the same job, without spending an attempt, so that a drain waits for one step
/// only.
pub(crate) fn next_step(progress: Progress) -> Outcome {
    match progress {
        Progress::Done => Outcome::Done,
        Progress::More => Outcome::Snooze(std::time::Duration::ZERO),
    }
}
