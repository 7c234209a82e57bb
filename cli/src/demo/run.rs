//! The billing run: created over HTTP, watched until it is done.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::json;

use super::{client::Client, progress};

const POLL: Duration = Duration::from_millis(250);
/// Without a terminal, progress is a line now and then.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// A run as the API shows it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Run {
    pub id: String,
    pub state: String,
    pub totals: Totals,
    /// Invoices a second, all stages included.
    pub rate_per_second: Option<Decimal>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Totals {
    pub invoiced: u64,
    pub paid: u64,
    pub payment_failed: u64,
}

/// Bills everything due up to `as_of` and waits until every invoice is settled. A repeat finds the same run.
pub(super) async fn bill(client: &Client, as_of: Timestamp) -> anyhow::Result<Run> {
    let created = client.post::<Run>("/v1/billing_runs", "demo-run", &json!({ "as_of": as_of })).await?;
    let path = format!("/v1/billing_runs/{}", created.body.id);
    let bar = progress::bar("invoices", 0);
    let mut said = Instant::now();
    loop {
        let run: Run = client.get(&path).await?;
        bar.set_length(run.totals.invoiced);
        bar.set_position(run.totals.paid + run.totals.payment_failed);
        bar.set_message(run.state.clone());
        if run.state == "completed" && run.totals.paid + run.totals.payment_failed == run.totals.invoiced {
            bar.finish();
            return Ok(run);
        }
        if bar.is_hidden() && said.elapsed() > LINE_EVERY {
            let Totals { invoiced, paid, payment_failed } = run.totals;
            eprintln!("  {}: {invoiced} invoices, {paid} paid, {payment_failed} declined", run.state);
            said = Instant::now();
        }
        tokio::time::sleep(POLL).await;
    }
}
