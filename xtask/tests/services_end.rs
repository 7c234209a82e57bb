//! However `cargo xtask up` ends, what it started ends too, and its data folder can be used again.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Far above what ending takes, so that only a hang reaches it.
const LIMIT: Duration = Duration::from_secs(60);

fn xtask(arguments: &[&str], data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).arg("--data").arg(data);
    for external in ["REDIS_URL", "MONGODB_URI", "SMTP_URL", "MAIL_CATCHER_URL"] {
        command.env_remove(external);
    }
    command
}

/// An `up` in the foreground; killed when dropped.
struct Up {
    child: Child,
    addresses: Vec<String>,
}

impl Up {
    fn start(data: &Path) -> Self {
        let mut child = xtask(&["up"], data).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let addresses: Vec<String> = lines.take(4).map(Result::unwrap).collect();
        Self { child, addresses }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends a detached `up` when dropped, so that a failed test leaves nothing.
struct Down<'a>(&'a Path);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        let _ = xtask(&["down"], self.0).output();
    }
}

fn servers(data: &Path) -> Vec<PathBuf> {
    let mut folders = vec![data.join("redis")];
    folders.extend(fs::read_dir(data.join("mongo")).unwrap().map(|entry| entry.unwrap().path()));
    let processes: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pid"))
        .map(|path| Path::new("/proc").join(fs::read_to_string(path).unwrap()))
        .collect();
    assert_eq!(processes.len(), 2, "Redis and MongoDB: {processes:?}");
    processes
}

fn wait_until_gone(processes: &[PathBuf]) {
    let started = Instant::now();
    // A process that has ended but is not yet reaped has no command line.
    let runs = |process: &PathBuf| fs::read(process.join("cmdline")).is_ok_and(|line| !line.is_empty());
    while processes.iter().any(runs) {
        assert!(started.elapsed() < LIMIT, "still there: {processes:?}");
        sleep(Duration::from_millis(20));
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn children_end_with_a_killed_parent_and_the_folder_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let names: Vec<&str> = up.addresses.iter().map(|line| line.split_once('=').unwrap().0).collect();
    assert_eq!(names, ["REDIS_URL", "MONGODB_URI", "SMTP_URL", "MAIL_CATCHER_URL"]);
    for address in &up.addresses {
        let (_, address) = address.rsplit_once('/').unwrap();
        TcpStream::connect(address).unwrap();
    }
    let second = xtask(&["up"], folder.path()).output().unwrap();
    assert!(!second.status.success());
    assert!(said(&second).contains("run already"), "{}", said(&second));

    let killed = servers(folder.path());
    up.signal(Signal::SIGKILL);
    wait_until_gone(&killed);
    drop(up);

    let mut again = Up::start(folder.path());
    let ended = servers(folder.path());
    again.signal(Signal::SIGINT);
    assert!(again.child.wait().unwrap().success());
    wait_until_gone(&ended);
}

#[test]
fn down_ends_what_runs_in_the_background_and_is_safe_to_repeat() {
    let folder = tempfile::tempdir().unwrap();
    let _cleaner = Down(folder.path());
    let up = xtask(&["up", "--detach"], folder.path()).output().unwrap();
    assert!(up.status.success(), "{}", said(&up));
    assert!(String::from_utf8_lossy(&up.stdout).contains("MONGODB_URI=mongodb://127.0.0.1:"));
    let running = servers(folder.path());

    for _ in 0..2 {
        let down = xtask(&["down"], folder.path()).output().unwrap();
        assert!(down.status.success(), "{}", said(&down));
        wait_until_gone(&running);
    }
}
