//! Asks a role whether it is ready, for container health checks in an image without other tools.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;

/// A role that answers slower than this is not healthy.
const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub(crate) struct HealthcheckArgs {
    /// Address of the role's plumbing port.
    #[arg(long, env = "METRICS_LISTEN", default_value = "127.0.0.1:9464")]
    pub address: String,
}

/// Exits with an error unless `/readyz` answers 200.
pub(crate) async fn run(args: HealthcheckArgs) -> anyhow::Result<()> {
    let address = args.address.replace("0.0.0.0", "127.0.0.1");
    let url = format!("http://{address}/readyz");
    app::init_tls();
    let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
    let response = client.get(&url).send().await.with_context(|| format!("{url} does not answer"))?;
    let status = response.status();
    ensure!(status.is_success(), "{url} answers {status}: {}", response.text().await.unwrap_or_default());
    Ok(())
}
