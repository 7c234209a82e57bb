//! `cargo xtask test`: builds everything and runs every test of the workspace against the real services.

use std::process::ExitCode;

use anyhow::Result;
use services::{External, install_missing};

use crate::cargo::{build, cargo, check, run as run_cargo};

/// Names to the tests where the binary is that they drive.
const BINARY_VARIABLE: &str = "RATCHET_BIN";

/// Runs the tests; `rest` goes to the test runner.
///
/// # Errors
/// A test fails, something does not build, or what the tests run on cannot be had.
pub(crate) fn run(rest: &[String]) -> Result<ExitCode> {
    // First, because tests that start together would all wait for it, and some would run into their time limits.
    install_missing(&External::from_environment())?;
    let ratchet = build(&["--workspace", "--all-targets"])?;
    let mut runner = cargo();
    runner.env(BINARY_VARIABLE, &ratchet);
    if has_nextest() {
        if rest.is_empty() {
            // The faster runner leaves the examples in the documentation to cargo.
            run_cargo(&["test", "--workspace", "--doc", "--quiet"])?;
        }
        runner.args(["nextest", "run", "--workspace", "--no-fail-fast"]).args(rest);
        check(&mut runner, "cargo nextest run --workspace")?;
    } else {
        runner.args(["test", "--workspace", "--no-fail-fast"]).args(rest);
        check(&mut runner, "cargo test --workspace")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn has_nextest() -> bool {
    cargo().args(["nextest", "--version"]).output().is_ok_and(|output| output.status.success())
}
