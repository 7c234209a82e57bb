//! Takes the advance of a test clock one step further. Idempotent: a step is a compare-and-set of the clock, and the run of an
//! instant has an id made of clock and instant.

use billing::{Advance, jobs::AdvanceTestClock};
use queue::{Handler, JobContext, JobError, Outcome};

use crate::context::Context;

impl Handler<Context> for AdvanceTestClock {
    async fn run(&self, context: &Context, _job: &JobContext) -> Result<Outcome, JobError> {
        let wall = context.clock.now();
        match billing::advance_test_clock(&context.billing, (&self.tenant, &self.clock), wall).await? {
            Advance::Completed => Ok(Outcome::Done),
            Advance::After(pause) => Ok(Outcome::Snooze(pause)),
        }
    }
}
