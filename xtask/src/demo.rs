//! `cargo xtask demo`: builds the product, provides what it runs on and hands over to `ratchet demo`, which starts the
//! roles and does the rest.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use services::{DeathSignal, tied_to_parent};

use crate::running::Running;
use crate::{cargo, child, up, workspace};

/// Names to `ratchet demo` the folder for its logs and the gateway's ledger. It has to be that of the services: a ledger
/// that remembers charges of a database that is gone would not agree with anything.
const FOLDER_VARIABLE: &str = "RATCHET_DEMO_DATA";

/// Exit code when the demo was killed by a signal, as shells have it for SIGINT.
const KILLED: u8 = 130;

/// How the demo is run.
pub(crate) struct Options {
    /// End after the table.
    pub(crate) once: bool,
    /// Build optimised.
    pub(crate) release: bool,
    /// Data folder, if not the usual one.
    pub(crate) data: Option<PathBuf>,
    /// Further arguments of `ratchet demo`.
    pub(crate) rest: Vec<String>,
}

/// Runs the demo and returns its exit code.
///
/// # Errors
/// The product cannot be built, or what it runs on cannot be had.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let mut build = vec!["--package", "ratchet"];
    if options.release {
        build.push("--release");
    }
    let ratchet = cargo::build(&build)?;
    let stack = up::start(&options.data.unwrap_or_else(workspace::demo_folder))?;
    Running::record(&stack)?;
    // It ends its roles when it is asked to, so if this process is killed it has to be asked, not killed.
    let mut command = tied_to_parent(&ratchet, DeathSignal::Terminate);
    command.arg("demo").args(&options.rest).envs(stack.environment());
    command.env(FOLDER_VARIABLE, stack.folder().path());
    if options.once {
        command.arg("--once");
    }
    let status = child::run(&mut command).context("running `ratchet demo`");
    up::stop(stack)?;
    // It ends with 0 when it is interrupted while it serves after the table; it has no code if it was killed.
    let code = status?.code().map_or(KILLED, |code| u8::try_from(code).unwrap_or(u8::MAX));
    Ok(ExitCode::from(code))
}
