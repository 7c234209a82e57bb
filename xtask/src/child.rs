//! A program run in the foreground to its end, and asked to end when this process is.

use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::interrupt;

/// How long the program may take to end after it was asked: its roles drain for up to 30 s.
const GRACE: Duration = Duration::from_secs(40);

/// Runs `command` to its end. When this process is asked to end, so is the program; asked again, or if it takes too
/// long, it is killed. [`interrupt::watch`] is to be called before.
///
/// # Errors
/// It cannot be started or awaited.
pub(crate) fn run(command: &mut Command) -> Result<ExitStatus> {
    let mut child = command.spawn().context("starting the program")?;
    while interrupt::count() == 0 {
        if let Some(status) = child.try_wait().context("awaiting the program")? {
            return Ok(status);
        }
        sleep(interrupt::POLL);
    }
    end(&mut child)
}

fn end(child: &mut Child) -> Result<ExitStatus> {
    // Ctrl-C on a terminal has reached it already, and being asked twice does no harm; SIGTERM has reached this
    // process alone. If it has ended meanwhile there is nobody to ask.
    let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
    let asked = Instant::now();
    while asked.elapsed() < GRACE && interrupt::count() < 2 {
        if let Some(status) = child.try_wait().context("awaiting the program")? {
            return Ok(status);
        }
        sleep(interrupt::POLL);
    }
    child.kill().and_then(|()| child.wait()).context("killing the program")
}
