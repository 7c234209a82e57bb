//! Seals a tenant's audit entries. Idempotent: entries and the end of the chain are written together, by whoever comes first.

use billing::jobs::SealAudit;
use queue::{Handler, JobContext, JobError, Outcome};

use crate::context::{Context, next_step};

impl Handler<Context> for SealAudit {
    async fn run(&self, context: &Context, _job: &JobContext) -> Result<Outcome, JobError> {
        let wall = context.clock.now();
        Ok(next_step(billing::seal_audit(&context.billing, &self.tenant, wall).await?))
    }
}
