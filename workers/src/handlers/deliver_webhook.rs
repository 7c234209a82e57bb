//! Attempts a webhook delivery and comes back when the next attempt is due. Idempotent but for the attempt itself: killed
//! before it is recorded, it is made again under the same `webhook-id`.

use billing::{Delivering, jobs::DeliverWebhook};
use queue::{Handler, JobContext, JobError, Outcome};

use crate::context::Context;

impl Handler<Context> for DeliverWebhook {
    async fn run(&self, context: &Context, job: &JobContext) -> Result<Outcome, JobError> {
        let wall = context.clock.now();
        match billing::deliver_webhook(&context.billing_for(job), (&self.tenant, &self.delivery), wall).await? {
            Delivering::Over => Ok(Outcome::Done),
            Delivering::After(pause) => Ok(Outcome::Snooze(pause)),
        }
    }
}
