//! `cargo xtask bench`: builds the benchmarks optimised and hands over to them. They start the servers that they need.

use std::env;
use std::process::ExitCode;

use anyhow::{Context, Result};
use services::{DeathSignal, tied_to_parent};

use crate::{child, interrupt, workspace};

/// Exit code when the benchmarks were killed by a signal, as shells have it for SIGINT.
const KILLED: u8 = 130;

/// Runs the benchmarks and returns their exit code; `rest` goes to them.
///
/// # Errors
/// They cannot be started.
pub(crate) fn run(rest: &[String]) -> Result<ExitCode> {
    interrupt::watch()?;
    // Cargo puts the benchmarks into its own place once they are built, so that a signal reaches them; paths among
    // `rest` are seen from where this was called.
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = tied_to_parent(cargo, DeathSignal::Terminate);
    command.args(["run", "--release", "--quiet", "--package", "bench", "--manifest-path"]);
    command.arg(workspace::root().join("Cargo.toml")).arg("--").args(rest);
    let status = child::run(&mut command).context("running the benchmarks")?;
    Ok(ExitCode::from(status.code().map_or(KILLED, |code| u8::try_from(code).unwrap_or(u8::MAX))))
}
