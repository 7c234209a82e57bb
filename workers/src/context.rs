//! What handlers work with.

use std::ops::Deref;

use app::App;
use billing::Progress;
use queue::Outcome;

/// The application, as the handlers' context.
#[derive(Clone)]
pub(crate) struct Context {
    pub app: App,
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
