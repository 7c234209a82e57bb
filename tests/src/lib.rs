//! Harness of the end-to-end tests: the product's binary, and services of a test's own to run it on.
//!
//! **Invariant:** a test shares nothing with another one: its services listen on free ports, keep their data in a
//! folder of their own, and are gone when the test ends, however it ends.

mod product;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use services::{DataFolder, External, Stack};
use tempfile::TempDir;

pub use product::Product;

/// Names the binary under test; set by `cargo xtask test`.
const BINARY_VARIABLE: &str = "RATCHET_BIN";

/// Root of the checkout.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    // This package is a folder of the workspace, so it has a parent.
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// The binary `ratchet` to be tested: what `RATCHET_BIN` names, else the one beside the tests in the target folder.
///
/// # Errors
/// There is none.
pub fn binary() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(BINARY_VARIABLE) {
        return Ok(named.into());
    }
    let test = std::env::current_exe().context("finding the test's own binary")?;
    // Tests are in `deps`, a folder of the one that takes the binaries.
    let beside = test.ancestors().nth(2).map(|folder| folder.join("ratchet"));
    beside
        .filter(|binary| binary.is_file())
        .with_context(|| format!("{BINARY_VARIABLE} is not set and `ratchet` is not built; run `cargo xtask test`"))
}

/// What `ratchet` with `arguments` prints. Nothing of this process's environment that configures it is passed on.
///
/// # Errors
/// It cannot be run or fails.
pub fn printed_by<A: AsRef<OsStr>>(arguments: &[A]) -> Result<String> {
    let mut command = Command::new(binary()?);
    let output = command.args(arguments).env_clear().stdin(Stdio::null()).output().context("running `ratchet`")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} failed ({}): {}", output.status, said.trim());
    }
    String::from_utf8(output.stdout).context("reading what `ratchet` printed")
}

/// Redis, MongoDB and a mail catcher for one test.
pub struct Services {
    // Before the folder: fields are dropped in order, and servers end before their files go.
    stack: Stack,
    _folder: TempDir,
}

impl Services {
    /// Starts them with empty data. What the environment names is not used: it is shared, and it is somebody's.
    ///
    /// # Errors
    /// One cannot be installed or started.
    pub fn start() -> Result<Self> {
        let folder = TempDir::with_prefix("ratchet-test-").context("making a data folder")?;
        let stack = Stack::start(DataFolder::claim(folder.path())?, External::default())?;
        Ok(Self { stack, _folder: folder })
    }

    /// Their addresses, as the environment of the product's processes.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        self.stack.environment()
    }

    /// The services themselves, to be stopped, killed and restarted.
    pub fn stack(&mut self) -> &mut Stack {
        &mut self.stack
    }
}
