//! `cargo xtask down`: ends what `up` or `demo` runs, and what one that was killed left behind.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use services::{DataFolder, Owner, end_leftovers};

use crate::interrupt::POLL;
use crate::running::Running;
use crate::workspace::{demo_folder, up_folder};

/// How long a stack may take to end: the demo first drains its roles (30 s at most), then the servers write out.
const LIMIT: Duration = Duration::from_secs(60);

/// Ends the stack in `data`, or the stacks of `up` and `demo`.
///
/// # Errors
/// One does not end.
pub(crate) fn run(data: Option<PathBuf>) -> Result<ExitCode> {
    let folders = data.map_or_else(|| vec![up_folder(), demo_folder()], |data| vec![data]);
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        end(folder)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn end(folder: &Path) -> Result<()> {
    if let Some(running) = Running::read(folder) {
        kill(Pid::from_raw(running.process.cast_signed()), Signal::SIGTERM)
            .with_context(|| format!("ending process {}", running.process))?;
        let started = Instant::now();
        while DataFolder::owner_of(folder) == Owner::Somebody {
            if started.elapsed() > LIMIT {
                let limit = LIMIT.as_secs();
                bail!("process {} did not end within {limit} s", running.process);
            }
            sleep(POLL);
        }
        eprintln!("ended {}", folder.display());
    }
    let folder = DataFolder::claim(folder)?;
    Running::forget(folder.path())?;
    end_leftovers(&folder)
}
