//! Logs and metrics.

use std::io::IsTerminal as _;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::LogFormat;

/// Renders the process's metrics in Prometheus's text format.
pub type MetricsHandle = PrometheusHandle;

/// Installs the TLS provider that every HTTP and database client uses; once is enough.
pub fn init_tls() {
    // An error says that it is installed already, which is what is wanted.
    rustls::crypto::ring::default_provider().install_default().ok();
}

/// Installs the log subscriber (`RUST_LOG`, default `info`), the metrics recorder and the TLS provider. Call once, first.
///
/// # Errors
/// When one is installed already.
pub fn init(format: LogFormat) -> anyhow::Result<MetricsHandle> {
    init_tls();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let installed = match format {
        LogFormat::Text => logs.try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
    installed.map_err(|error| anyhow::anyhow!("cannot install the log subscriber: {error}"))?;
    Ok(PrometheusBuilder::new().install_recorder()?)
}
