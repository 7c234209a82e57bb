//! Logs and metrics.
//!
//! Owns how durations are put into buckets and what the metrics mean that no crate below describes itself.

use std::io::IsTerminal as _;

use metrics::{Unit, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::LogFormat;

/// How the name of every duration ends; all have the same buckets, so that they can be compared.
const SECONDS: &str = "_seconds";

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
    let durations = Matcher::Suffix(SECONDS.to_owned());
    let metrics =
        PrometheusBuilder::new().set_buckets_for_metric(durations, &queue::DURATION_BUCKETS)?.install_recorder()?;
    queue::describe_metrics();
    describe_calls();
    Ok(metrics)
}

/// What is recorded about calls, in and out.
fn describe_calls() {
    describe_histogram!("http_request_duration_seconds", Unit::Seconds, "Time to answer a request of the API.");
    describe_histogram!("payment_gateway_call_seconds", Unit::Seconds, "Time that a call of the payment gateway took.");
    describe_histogram!("mail_send_seconds", Unit::Seconds, "Time that handing a mail to the mail server took.");
}
