//! Takes an operation on many dead letters one step further. Idempotent: what a step has requeued or discarded is no dead
//! letter any more, and the cursor is stored by compare-and-set after the step.

use billing::{Advance, jobs::AdvanceOperation};
use queue::{Handler, JobContext, JobError, Outcome};

use crate::context::Context;

impl Handler<Context> for AdvanceOperation {
    async fn run(&self, context: &Context, job: &JobContext) -> Result<Outcome, JobError> {
        let wall = context.clock.now();
        match billing::advance_operation(&context.billing_for(job), (&self.tenant, &self.operation), wall).await? {
            Advance::Completed => Ok(Outcome::Done),
            Advance::After(pause) => Ok(Outcome::Snooze(pause)),
        }
    }
}
