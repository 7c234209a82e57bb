//! The official libraries of Standard Webhooks verify what the product sends: a webhook that is signed while secrets rotate, with
//! either secret; and refuse it once anything about it is changed.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use services::WebhookReceiver;

use super::tools::{node_modules_with, python_with, run};
use crate::workspace;

const PYTHON_LIBRARY: &str = "standardwebhooks==1.1.0";
const NODE_LIBRARY: &str = "standardwebhooks@1.1.1";
/// Any two secrets, as they are while one takes the place of the other.
const SECRETS: [&str; 2] = ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];

/// Sends a webhook and has both libraries look at what arrived.
///
/// # Errors
/// A library cannot be installed, or does not agree.
pub(super) fn run_suite() -> Result<()> {
    let receiver = WebhookReceiver::start()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut send = Command::new(cargo);
    send.current_dir(workspace::root()).args([
        "run",
        "--quiet",
        "--package",
        "gateways",
        "--example",
        "send_webhook",
        "--",
    ]);
    run(send.arg(receiver.url()).args(SECRETS))?;
    let received = receiver.received();
    ensure!(received.len() == 1, "{} webhooks arrived instead of one", received.len());
    let headers: serde_json::Map<_, _> =
        received[0].headers.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let case = json!({ "body": received[0].body, "headers": headers, "secrets": SECRETS }).to_string();
    let scripts = workspace::root().join("xtask/conformance/standard_webhooks");

    run(Command::new(python_with(&[PYTHON_LIBRARY])?).arg(scripts.join("verify.py")).arg(&case))?;
    println!("  {PYTHON_LIBRARY} (Python) verifies");
    // Node looks for packages beside the script.
    let modules = node_modules_with(NODE_LIBRARY)?;
    let script = modules.join("verify.mjs");
    fs::copy(scripts.join("verify.mjs"), &script).context("putting the script beside its package")?;
    run(Command::new("node").arg(script).arg(&case))?;
    println!("  {NODE_LIBRARY} (Node) verifies");
    Ok(())
}
