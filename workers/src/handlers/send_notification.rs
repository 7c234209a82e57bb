//! Sends a chunk's mails, or one that goes on alone. Idempotent but for one case: killed between the mail server's
//! acceptance and our commit, it sends a second copy under the same Message-ID.

use billing::jobs::SendNotification;
use queue::{Handler, JobContext, JobError, Outcome};

use crate::context::{Context, next_step};

impl Handler<Context> for SendNotification {
    async fn run(&self, context: &Context, job: &JobContext) -> Result<Outcome, JobError> {
        let wall = context.clock.now();
        match self {
            Self::Chunk { tenant, chunk } => Ok(next_step(
                billing::send_chunk_notifications(&context.billing_for(job), (tenant, chunk), wall).await?,
            )),
            Self::Notification { tenant, notification } => {
                billing::send_notification(&context.billing_for(job), (tenant, notification), wall).await?;
                Ok(Outcome::Done)
            }
        }
    }
}
