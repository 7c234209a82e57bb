//! Settles what a gateway has told us. Idempotent: the event is marked in the transaction that settles it, and settling only
//! leads forward.

use billing::jobs::ProcessGatewayEvent;
use queue::{Handler, JobContext, JobError, Outcome};

use crate::context::Context;

impl Handler<Context> for ProcessGatewayEvent {
    async fn run(&self, context: &Context, _job: &JobContext) -> Result<Outcome, JobError> {
        let wall = context.clock.now();
        billing::process_gateway_event(&context.billing, (&self.tenant, &self.event), wall).await?;
        Ok(Outcome::Done)
    }
}
