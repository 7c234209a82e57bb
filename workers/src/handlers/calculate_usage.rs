//! Freezes the usage of a pass. Idempotent: the usage stored first for a pass is the usage that is billed.

use billing::jobs::CalculateUsage;
use queue::{Handler, JobContext, JobError, Outcome};

use crate::context::Context;

impl Handler<Context> for CalculateUsage {
    async fn run(&self, context: &Context, _job: &JobContext) -> Result<Outcome, JobError> {
        billing::calculate_usage(&context.billing, (&self.tenant, &self.chunk), self.pass).await?;
        Ok(Outcome::Done)
    }
}
