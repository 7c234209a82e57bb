//! Independent implementations, installed once each.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// The folder of a tool of the suites: `$XDG_CACHE_HOME/ratchet/conformance`, else in `~/.cache`.
fn folder(tool: &str) -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = cache.or_else(home).context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(cache.join("ratchet").join("conformance").join(tool))
}

/// A Python with these packages (`name==version`), in an environment of its own.
///
/// # Errors
/// Python 3 is missing, or a package cannot be installed.
pub(super) fn python_with(packages: &[&str]) -> Result<PathBuf> {
    let folder = folder(&packages.join("+").replace("==", "-").replace(">=", "-"))?;
    let python = folder.join("bin/python");
    install(&folder, || {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(&python).args(install).args(packages))
    })?;
    Ok(python)
}

/// A folder from which Node finds this package (`name@version`).
///
/// # Errors
/// Node is missing, or the package cannot be installed.
pub(super) fn node_modules_with(package: &str) -> Result<PathBuf> {
    let folder = folder(&package.replace('@', "-"))?;
    install(&folder, || {
        fs::create_dir_all(&folder).context("making a folder for a package")?;
        run(Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(&folder)
            .arg(package))
    })?;
    Ok(folder)
}

/// Installs unless that was done before; a mark tells a whole installation from one that was broken off.
fn install(folder: &Path, steps: impl FnOnce() -> Result<()>) -> Result<()> {
    let mark = folder.join("installed");
    if mark.is_file() {
        return Ok(());
    }
    println!("  installing into {}", folder.display());
    steps()?;
    fs::write(&mark, "").context("marking an installation")
}

/// Runs a program to its end.
///
/// # Errors
/// It cannot be started or fails; what it said is in the error.
pub(super) fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("running {command:?}"))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        bail!("{command:?} failed ({}): {}", output.status, said.join("\n"));
    }
    Ok(())
}
