//! Gives one event to one subscriber. Idempotent: what the subscriber does commits together with the delivery's mark.

use billing::jobs::DeliverEvent;
use queue::{Handler, JobContext, JobError, Outcome};

use crate::context::Context;

impl Handler<Context> for DeliverEvent {
    async fn run(&self, context: &Context, job: &JobContext) -> Result<Outcome, JobError> {
        let wall = context.clock.now();
        billing::deliver_event(&context.billing_for(job), (&self.tenant, &self.delivery), wall).await?;
        Ok(Outcome::Done)
    }
}
