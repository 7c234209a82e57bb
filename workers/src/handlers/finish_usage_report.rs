//! Finishes a report of usage. Idempotent: marks are set again as they are, and a report that is gone was finished.

use billing::jobs::FinishUsageReport;
use queue::{Handler, JobContext, JobError, Outcome};

use crate::context::Context;

impl Handler<Context> for FinishUsageReport {
    async fn run(&self, context: &Context, job: &JobContext) -> Result<Outcome, JobError> {
        billing::finish_usage_report(&context.billing_for(job), (&self.tenant, &self.report)).await?;
        Ok(Outcome::Done)
    }
}
