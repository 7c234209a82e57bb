//! Gives a payment's money back. Idempotent: the refund is stored before the call, and its id is the gateway's idempotency key
//! for ever.

use billing::{Progress, jobs::RefundPayment};
use queue::{Handler, JobContext, JobError, Outcome};

use crate::context::Context;

impl Handler<Context> for RefundPayment {
    async fn run(&self, context: &Context, _job: &JobContext) -> Result<Outcome, JobError> {
        let wall = context.clock.now();
        match billing::send_refund(&context.billing, (&self.tenant, &self.refund), wall).await? {
            Progress::Done => Ok(Outcome::Done),
            Progress::More => Err(JobError::retry("refund_unknown", "the refund's outcome is still unknown")),
        }
    }
}
