//! Access tokens that attackers mint, with three independent libraries: each must be refused, and what the libraries sign as
//! the auth service would must pass.

use std::process::Command;

use anyhow::Result;

use super::{platform::Platform, tools::python_with};
use crate::{cargo::check, workspace};

/// Their cryptography is the one that all three stand on.
const LIBRARIES: [&str; 4] = ["pyjwt==2.10.1", "jwcrypto==1.5.6", "joserfc==1.0.1", "cryptography>=42"];

/// Starts the product and tries every attack of the script on it.
///
/// # Errors
/// A library cannot be installed, the product does not start, or it takes a token that it must refuse.
pub(super) fn run_suite() -> Result<()> {
    let python = python_with(&LIBRARIES)?;
    let script = workspace::root().join("xtask/conformance/access_tokens/attack.py");
    let platform = Platform::start()?;
    let attacked = check(Command::new(python).arg(script).envs(platform.environment().iter().cloned()), "attack.py");
    platform.stop()?;
    attacked
}
