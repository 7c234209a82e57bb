//! Issues the invoices of a pass. Idempotent: invoices and the boundaries they bill are committed together, by
//! compare-and-set, and the pass ends in the same transaction.

use billing::jobs::GenerateInvoices;
use queue::{Handler, JobContext, JobError, Outcome};

use crate::context::Context;

impl Handler<Context> for GenerateInvoices {
    async fn run(&self, context: &Context, job: &JobContext) -> Result<Outcome, JobError> {
        let wall = context.clock.now();
        billing::generate_invoices(&context.billing_for(job), (&self.tenant, &self.chunk), self.pass, wall).await?;
        Ok(Outcome::Done)
    }
}
