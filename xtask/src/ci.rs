//! `cargo xtask ci`: what has to pass before a change lands. It stops at the first step that fails; tests come last,
//! so that their count closes the output.

use std::fs;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::cargo::{build, run as run_cargo};
use crate::{test, workspace};

type Step = (&'static str, fn() -> Result<()>);

const STEPS: [Step; 4] = [
    ("format", || run_cargo(&["fmt", "--all", "--check"])),
    ("lints", || run_cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])),
    ("generated files", generated_files_are_current),
    ("tests", || test::run(&[]).map(drop)),
];

/// Runs all steps.
///
/// # Errors
/// The first step that fails, by its name.
pub(crate) fn run() -> Result<ExitCode> {
    let all = Instant::now();
    for (number, (name, step)) in STEPS.iter().enumerate() {
        eprintln!("== {}/{} {name}", number + 1, STEPS.len());
        let started = Instant::now();
        step().with_context(|| format!("ci stopped at {name}"))?;
        eprintln!("== {name} passed in {} s", started.elapsed().as_secs());
    }
    eprintln!("== ci passed in {} s", all.elapsed().as_secs());
    Ok(ExitCode::SUCCESS)
}

/// Files in the tree that the binary writes, and the command that writes each.
const GENERATED: [(&str, &str); 1] = [("docs/openapi.json", "openapi")];

fn generated_files_are_current() -> Result<()> {
    let ratchet = build(&["--workspace", "--all-targets"])?;
    for (path, command) in GENERATED {
        let output =
            Command::new(&ratchet).arg(command).output().with_context(|| format!("running `ratchet {command}`"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`ratchet {command}` failed ({}): {}", output.status, said.trim());
        }
        let kept = fs::read(workspace::root().join(path)).unwrap_or_default();
        if kept != output.stdout {
            bail!("{path} is not what the code says; write it with `ratchet {command} > {path}`");
        }
    }
    Ok(())
}
