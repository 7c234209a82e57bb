//! One server process: started with a data folder, a log and a record of its id, awaited until it answers, ended by
//! its id.
//!
//! **Invariant: only our own are killed.** A process id is reused by the system, so before one is signalled on the
//! word of a record its name and its working folder are compared with what we started.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::tied::{DeathSignal, spawn_lasting, tied_to_parent};

/// How long a server may take to answer after its start. Recovery of a journal on a busy machine is the slowest case
/// seen (about 10 s).
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long a server may take to end after SIGTERM before it is killed. Redis and WiredTiger write out what they
/// hold, in well under a second each.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Pause between two looks at a condition.
const POLL: Duration = Duration::from_millis(15);

/// Lines of a server's log that are shown when it does not start.
const SHOWN_LOG_LINES: usize = 8;

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Its file name, by which it is recognised and its files are named.
    pub(crate) name: &'static str,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Its working folder, which also takes its log and the record of its id. Absolute.
    pub(crate) folder: PathBuf,
}

impl Program {
    fn record(&self) -> PathBuf {
        record_of(self.name, &self.folder)
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }
}

/// A running server. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    program: Program,
    child: Child,
}

impl Process {
    /// Starts `program`, after ending what an earlier owner of the folder left behind, and waits until `answers`
    /// holds; it is given the process id.
    ///
    /// # Errors
    /// The program cannot be run, ends while starting, or does not answer in time; with the end of its log.
    pub(crate) fn start(program: Program, answers: impl Fn(u32) -> bool) -> Result<Self> {
        end_leftover(program.name, &program.folder)?;
        let log = File::create(program.log()).with_context(|| format!("opening the log of {}", program.name))?;
        let errors = log.try_clone().context("sharing the log")?;
        let mut command = tied_to_parent(&program.path, DeathSignal::Kill);
        command.args(&program.arguments).current_dir(&program.folder).stdin(Stdio::null()).stdout(log).stderr(errors);
        // Its own process group, so that Ctrl-C on the terminal reaches the owner alone, which then ends things in
        // their order.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = spawn_lasting(command).with_context(|| format!("starting {}", program.path.display()))?;
        let mut process = Self { program, child };
        fs::write(process.program.record(), process.child.id().to_string())
            .with_context(|| format!("recording the process id of {}", process.program.name))?;
        process.wait_until(answers)?;
        Ok(process)
    }

    fn wait_until(&mut self, answers: impl Fn(u32) -> bool) -> Result<()> {
        let started = Instant::now();
        let name = self.program.name;
        loop {
            if let Some(status) = self.ended()? {
                bail!("{name} ended while starting ({status}){}", self.log_end());
            }
            if answers(self.child.id()) {
                return Ok(());
            }
            if started.elapsed() > START_LIMIT {
                let limit = START_LIMIT.as_secs();
                bail!("{name} did not answer within {limit} s{}", self.log_end());
            }
            sleep(POLL);
        }
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("looking at {}", self.program.name))
    }

    fn log_end(&self) -> String {
        let log = self.program.log();
        let text = fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let shown = &lines[lines.len().saturating_sub(SHOWN_LOG_LINES)..];
        format!("; {} ends with:\n{}", log.display(), shown.join("\n"))
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as an operator would: SIGTERM, then SIGKILL if it takes too long.
    ///
    /// # Errors
    /// It cannot be signalled or awaited.
    pub(crate) fn stop(mut self) -> Result<()> {
        if self.ended()?.is_none() {
            kill(pid_of(self.child.id()), Signal::SIGTERM).with_context(|| format!("ending {}", self.program.name))?;
        }
        let started = Instant::now();
        while self.ended()?.is_none() && started.elapsed() < STOP_LIMIT {
            sleep(POLL);
        }
        self.end_now()
    }

    /// Ends it as a power cut would: SIGKILL.
    ///
    /// # Errors
    /// It cannot be awaited.
    pub(crate) fn kill9(mut self) -> Result<()> {
        self.end_now()
    }

    fn end_now(&mut self) -> Result<()> {
        // Killing a process that has ended is no error, and it stays ours until it is awaited.
        self.child.kill().and_then(|()| self.child.wait()).with_context(|| format!("ending {}", self.program.name))?;
        match fs::remove_file(self.program.record()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("removing the record of the process id")
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After stop or kill9 this does nothing; elsewhere a failure has nobody left to be told.
        let _ = self.end_now();
    }
}

fn pid_of(id: u32) -> Pid {
    // A process id fits: the kernel's largest is 2^22.
    Pid::from_raw(id.cast_signed())
}

fn record_of(name: &str, folder: &Path) -> PathBuf {
    folder.join(format!("{name}.pid"))
}

/// Ends the process called `name` that an earlier owner of the folder recorded and did not live to end. Only a system
/// with /proc can tell whether the id still is that process; elsewhere it is left alone.
///
/// # Errors
/// It does not end.
pub(crate) fn end_leftover(name: &str, folder: &Path) -> Result<()> {
    let Ok(record) = fs::read_to_string(record_of(name, folder)) else {
        return Ok(());
    };
    let Ok(id) = record.trim().parse::<u32>() else {
        return Ok(());
    };
    if !is_ours(id, name, folder) {
        return Ok(());
    }
    // It may end between the look and the signal; the loop sees that it is gone.
    let _ = kill(pid_of(id), Signal::SIGKILL);
    let started = Instant::now();
    while is_ours(id, name, folder) {
        if started.elapsed() > STOP_LIMIT {
            bail!("{name} with process id {id}, left by an earlier run, does not end");
        }
        sleep(POLL);
    }
    Ok(())
}

fn is_ours(id: u32, name: &str, folder: &Path) -> bool {
    let process = Path::new("/proc").join(id.to_string());
    let command_line = fs::read(process.join("cmdline")).unwrap_or_default();
    fs::read_link(process.join("cwd")).is_ok_and(|working| working == folder)
        && String::from_utf8_lossy(&command_line).contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "sleep";

    fn sleeper(folder: &Path) -> Program {
        Program {
            name: NAME,
            path: "sleep".into(),
            arguments: vec!["600".into()],
            folder: folder.canonicalize().unwrap(),
        }
    }

    #[test]
    fn a_leftover_of_the_folder_is_ended_and_a_stranger_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let start = |folder: &Path| {
            let program = sleeper(folder);
            // Running is more than started: between fork and exec it has no name yet.
            Process::start(program.clone(), |id| is_ours(id, NAME, &program.folder)).unwrap()
        };
        let ours = start(folder.path());
        let stranger = start(elsewhere.path());
        let ours_program = ours.program.clone();

        // A record that names a process of the same name in another folder, as after reuse of an id.
        fs::write(ours_program.record(), stranger.id().to_string()).unwrap();
        end_leftover(NAME, &ours_program.folder).unwrap();
        assert!(is_ours(stranger.id(), NAME, &stranger.program.folder));

        fs::write(ours_program.record(), ours.id().to_string()).unwrap();
        end_leftover(NAME, &ours_program.folder).unwrap();
        assert!(!is_ours(ours.id(), NAME, &ours_program.folder));
    }

    #[test]
    fn a_program_that_ends_while_starting_is_reported_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut program = sleeper(folder.path());
        program.arguments = vec!["not-a-number".into()];
        let error = Process::start(program, |_| false).unwrap_err().to_string();
        assert!(error.contains("ended while starting"), "{error}");
        assert!(error.contains("not-a-number"), "{error}");
    }

    #[test]
    fn what_a_test_thread_starts_outlives_the_thread_and_ends_when_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let program = sleeper(folder.path());
        let (mut process, thread) = std::thread::spawn(move || {
            let thread = fs::read_link("/proc/thread-self").unwrap();
            (Process::start(program, |_| true).unwrap(), thread)
        })
        .join()
        .unwrap();
        // Joined is not yet gone: the kernel signals the children when the thread has left /proc.
        while Path::new("/proc").join(&thread).exists() {
            sleep(POLL);
        }
        assert!(process.ended().unwrap().is_none());
        let (id, program) = (process.id(), process.program.clone());
        drop(process);
        assert!(!is_ours(id, NAME, &program.folder));
        assert!(!program.record().exists());
    }
}
