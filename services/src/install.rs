//! Programs that are missing are installed once, from package registries, into a cache that all checkouts share.
//!
//! It says in one line what is installed and why, and shows that it is working. It changes the system only where it
//! is root, in which case the machine is taken to be a container or a throw-away one.
//!
//! **Invariant: one installer at a time.** Test processes that start together wait for the first one's installation
//! instead of running their own.

use std::env;
use std::fs::{self, File};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// Pause between two looks at a running installation step, and between two pictures of the spinner.
const TICK: Duration = Duration::from_millis(100);

/// How often a long step says that it is still at work where there is no terminal to draw a spinner on; CI systems
/// take longer silence for a hang.
const STILL_AT_WORK: Duration = Duration::from_secs(30);

/// Lines of an installer's output that are shown when it fails.
const SHOWN_LOG_LINES: usize = 12;

/// The folder for programs installed by us: `$XDG_CACHE_HOME/ratchet/tools`, else `~/.cache/ratchet/tools`.
///
/// # Errors
/// Neither variable is set.
pub(crate) fn tools_folder() -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set, so there is no place to install to")?;
    Ok(cache.join("ratchet").join("tools"))
}

/// The first program called `name` on the PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

/// Whether this process may install system packages.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// An installation under way; it shows what it is doing.
pub(crate) struct Installation {
    what: &'static str,
    log: PathBuf,
    spinner: ProgressBar,
    _lock: File,
}

impl Installation {
    /// Announces that `what` is installed because of `why`, after waiting for any other installer. Look again
    /// whether the program is there afterwards: the other one may have installed it.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub(crate) fn begin(what: &'static str) -> Result<Self> {
        let tools = tools_folder()?;
        fs::create_dir_all(&tools).with_context(|| format!("making {}", tools.display()))?;
        let lock = File::create(tools.join(".lock")).context("opening the installers' lock")?;
        lock.lock().context("waiting for another installation")?;
        Ok(Self { what, log: tools.join("install.log"), spinner: spinner()?, _lock: lock })
    }

    /// Says in one line what is installed and why.
    pub(crate) fn announce(&self, why: &str) {
        self.say(&format!("installing {}, once: {why}", self.what));
        self.spinner.set_message(format!("installing {}", self.what));
    }

    /// Runs one step to its end. Its output goes to a log beside the installed programs.
    ///
    /// # Errors
    /// It cannot be run or fails; with the end of its output.
    pub(crate) fn step(&self, command: &mut Command) -> Result<()> {
        let shown = shown(command);
        let log = File::create(&self.log).context("opening the installation log")?;
        let errors = log.try_clone().context("sharing the installation log")?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("running `{shown}`"))?;
        let status = self.watch(&mut child)?;
        if status.success() {
            return Ok(());
        }
        let output = fs::read(&self.log).unwrap_or_default();
        let output = String::from_utf8_lossy(&output);
        let lines: Vec<&str> = output.lines().collect();
        let end = lines[lines.len().saturating_sub(SHOWN_LOG_LINES)..].join("\n");
        bail!("installing {}: `{shown}` failed ({status}):\n{end}", self.what)
    }

    fn watch(&self, child: &mut Child) -> Result<ExitStatus> {
        let started = Instant::now();
        let mut said = Duration::ZERO;
        loop {
            if let Some(status) = child.try_wait().context("watching an installation step")? {
                return Ok(status);
            }
            self.spinner.tick();
            let running = started.elapsed();
            if self.spinner.is_hidden() && running - said >= STILL_AT_WORK {
                said = running;
                self.say(&format!("still installing {} ({} s)", self.what, running.as_secs()));
            }
            sleep(TICK);
        }
    }

    /// Ends the display with a line that says how long it took.
    pub(crate) fn done(self, installed: &Path) {
        let seconds = self.spinner.elapsed().as_secs();
        self.say(&format!("installed {} in {seconds} s: {}", self.what, installed.display()));
        self.spinner.finish_and_clear();
    }

    fn say(&self, line: &str) {
        self.spinner.suspend(|| eprintln!("{line}"));
    }
}

fn spinner() -> Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}").context("the spinner's template")?;
    Ok(ProgressBar::new_spinner().with_style(style))
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy()));
    words.join(" ")
}

/// Installs Debian packages without a question and without starting the services they bring.
///
/// # Errors
/// There is no apt-get, or it fails.
pub(crate) fn apt_install(installation: &Installation, package: &str) -> Result<()> {
    let apt = || {
        let mut command = Command::new("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            // Tells invoke-rc.d that the machine is not in a run level that has services.
            .env("RUNLEVEL", "1");
        command
    };
    installation.step(apt().args(["update", "-q"]))?;
    installation.step(apt().args(["install", "-y", "-q", "--no-install-recommends", package]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_on_the_path_and_nothing_else() {
        assert!(on_path("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(on_path("no-such-program-anywhere"), None);
    }
}
