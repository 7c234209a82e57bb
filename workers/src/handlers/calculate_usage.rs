//! Freezes the usage of a pass. Idempotent: the usage stored first for a pass is the usage that is billed.

use billing::jobs::CalculateUsage;
use queue::{Handler, JobContext, JobError, Outcome};

use crate::context::Context;

impl Handler<Context> for CalculateUsage {
    async fn run(&self, context: &Context, job: &JobContext) -> Result<Outcome, JobError> {
        billing::calculate_usage(&context.billing_for(job), (&self.tenant, &self.chunk), self.pass).await?;
        Ok(Outcome::Done)
    }
}
