//! Plans or completes a billing run. Idempotent: stored chunks win over planned ones, and states only move forward.

use billing::jobs::TriggerBillingCycle;
use queue::{Handler, JobContext, JobError, Outcome};

use crate::context::{Context, next_step};

impl Handler<Context> for TriggerBillingCycle {
    async fn run(&self, context: &Context, job: &JobContext) -> Result<Outcome, JobError> {
        let wall = context.clock.now();
        Ok(next_step(billing::plan_billing_run(&context.billing_for(job), (&self.tenant, &self.run), wall).await?))
    }
}
