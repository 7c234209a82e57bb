//! Publishes a tenant's recorded events. Idempotent for listeners that look at the event's id: an event is published again
//! when the process dies before it is marked.

use billing::jobs::DispatchEvents;
use queue::{Handler, JobContext, JobError, Outcome};

use crate::context::{Context, next_step};

impl Handler<Context> for DispatchEvents {
    async fn run(&self, context: &Context, job: &JobContext) -> Result<Outcome, JobError> {
        let wall = context.clock.now();
        Ok(next_step(billing::dispatch_events(&context.billing_for(job), &self.tenant, wall).await?))
    }
}
