//! Runs of cargo over this workspace.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace::root;

/// Name of the product's binary.
const BINARY: &str = "ratchet";

/// Cargo, to be run at the root of the checkout.
pub(crate) fn cargo() -> Command {
    // Cargo names itself to what it runs; this keeps the toolchain the same.
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs cargo with `arguments`; its output is this command's.
///
/// # Errors
/// It cannot be run or fails.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    check(cargo().args(arguments), &format!("cargo {}", arguments.join(" ")))
}

/// Runs `command` to its end.
///
/// # Errors
/// It cannot be run or fails; the message names it as `shown`.
pub(crate) fn check(command: &mut Command, shown: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("running `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Builds with `arguments` and returns where the binary `ratchet` is. A build of the whole workspace and one of the
/// binary alone resolve to different features, so callers that go on to test build everything.
///
/// # Errors
/// The build fails, or it does not include the binary.
pub(crate) fn build(arguments: &[&str]) -> Result<PathBuf> {
    let shown = format!("cargo build {}", arguments.join(" "));
    let output = cargo()
        .args(["build", "--message-format=json-render-diagnostics"])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("running `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed ({})", output.status);
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(executable)
        .next_back()
        .with_context(|| format!("`{shown}` built no binary `{BINARY}`"))
}

/// The path of the binary, if the line is cargo's message that it was built, and not as a test.
fn executable(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let is_binary = message["target"]["name"] == BINARY
        && message["target"]["kind"][0] == "bin"
        && message["profile"]["test"] == false;
    is_binary.then(|| message["executable"].as_str().map(PathBuf::from))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_binary_and_not_its_unit_tests() {
        let line = |test: bool, kind: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"name":"ratchet","kind":["{kind}"]}},
                "profile":{{"test":{test}}},"executable":"/built/ratchet"}}"#
            )
        };
        assert_eq!(executable(&line(false, "bin")), Some(PathBuf::from("/built/ratchet")));
        assert_eq!(executable(&line(true, "bin")), None);
        assert_eq!(executable(&line(false, "lib")), None);
        assert_eq!(executable("Compiling"), None);
    }
}
