//! Collects a chunk's invoices, or one that goes on alone. Idempotent: an attempt is stored before the call, and its id is
//! the gateway's idempotency key for ever.

use billing::{Progress, jobs::CollectPayment};
use queue::{Handler, JobContext, JobError, Outcome};

use crate::context::{Context, next_step};

impl Handler<Context> for CollectPayment {
    async fn run(&self, context: &Context, job: &JobContext) -> Result<Outcome, JobError> {
        let wall = context.clock.now();
        match self {
            Self::Chunk { tenant, chunk } => {
                Ok(next_step(billing::collect_chunk(&context.billing_for(job), (tenant, chunk), wall).await?))
            }
            Self::Invoice { tenant, invoice } => {
                match billing::collect_invoice(&context.billing_for(job), (tenant, invoice), wall).await? {
                    Progress::Done => Ok(Outcome::Done),
                    Progress::More => Err(JobError::retry("payment_unknown", "the payment's outcome is still unknown")),
                }
            }
        }
    }
}
