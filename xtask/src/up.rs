//! `cargo xtask up`: the services to develop against.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;

use anyhow::{Context, Result, bail};
use services::{DataFolder, External, Stack, install_missing};

use crate::interrupt;
use crate::running::Running;
use crate::workspace::up_folder;

const LOG: &str = "up.log";

/// Runs the services until Ctrl-C or SIGTERM.
///
/// # Errors
/// They run already, or cannot be installed, started or ended.
pub(crate) fn until_interrupted(data: Option<PathBuf>) -> Result<ExitCode> {
    let stack = start(&data.unwrap_or_else(up_folder))?;
    Running::record(&stack)?.print();
    eprintln!("running until Ctrl-C");
    interrupt::wait();
    stop(stack)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the services in a process of its own that goes on when this one has ended.
///
/// # Errors
/// As for [`until_interrupted`], as far as the start goes.
pub(crate) fn detached(data: Option<PathBuf>) -> Result<ExitCode> {
    let folder = data.unwrap_or_else(up_folder);
    refuse_if_running(&folder)?;
    // Here, where its progress can be seen.
    install_missing(&External::from_environment())?;
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let log_path = folder.join(LOG);
    let log = File::create(&log_path).context("opening the log")?;
    let this = std::env::current_exe().context("finding this program")?;
    let mut child = Command::new(this)
        .args(["up", "--data"])
        .arg(&folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("sharing the log")?)
        .stderr(log)
        // Ctrl-C on this terminal is not meant for it.
        .process_group(0)
        .spawn()
        .context("starting the services in the background")?;
    loop {
        if let Some(running) = Running::read(&folder) {
            running.print();
            eprintln!("running in the background; `cargo xtask down` ends it");
            return Ok(ExitCode::SUCCESS);
        }
        if child.try_wait().context("looking at the background process")?.is_some() {
            let said = fs::read_to_string(&log_path).unwrap_or_default();
            bail!("the services did not start: {}", said.trim());
        }
        sleep(interrupt::POLL);
    }
}

/// Claims `folder` and starts in it what the environment does not name. From then on Ctrl-C is the caller's to see.
///
/// # Errors
/// The folder is in use, or a service cannot be installed or started.
pub(crate) fn start(folder: &Path) -> Result<Stack> {
    refuse_if_running(folder)?;
    let external = External::from_environment();
    install_missing(&external)?;
    let folder = DataFolder::claim(folder)?;
    Running::forget(folder.path())?;
    interrupt::watch()?;
    Stack::start(folder, external)
}

/// Ends `stack` and its record.
///
/// # Errors
/// A service cannot be ended.
pub(crate) fn stop(stack: Stack) -> Result<()> {
    Running::forget(stack.folder().path())?;
    stack.stop()
}

fn refuse_if_running(folder: &Path) -> Result<()> {
    match Running::read(folder) {
        Some(running) => bail!(
            "the services in {} run already (process {}); `cargo xtask down` ends them",
            folder.display(),
            running.process
        ),
        None => Ok(()),
    }
}
