//! A MongoDB-compatible server of our own: `mongod` on the PATH, else `secantusd-rs` on the PATH or in the cache,
//! else that one built and installed from its crate (about four minutes, once).
//!
//! `secantus-mdb` speaks MongoDB's protocol on WiredTiger and is under the GPL: it is only ever run as a separate
//! process, never linked or copied.
//!
//! **Invariant:** an acknowledged write survives kill -9. mongod journals before it acknowledges; the stand-in does so
//! with `--sync-on-commit` alone, which is therefore always given.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::install::{Installation, apt_install, is_root, on_path, tools_folder};
use crate::mongo_wire::{REPLICA_SET, initiate_replica_set, takes_writes};
use crate::port::on_free_port;
use crate::process::{Process, Program, end_leftover};

const MONGOD: &str = "mongod";
const STAND_IN: &str = "secantusd-rs";
const CRATE: &str = "secantus-mdb";
const CRATE_VERSION: &str = "0.5.3-beta.196";
const WHY: &str = "MongoDB holds the truth and none was found on the PATH or in MONGODB_URI; about 4 minutes";

/// The server program that was found; its data are not the other's.
#[derive(Debug, Clone)]
enum Server {
    Mongod(PathBuf),
    StandIn(PathBuf),
}

/// A MongoDB-compatible server on a port of its own, ended when dropped.
#[derive(Debug)]
pub struct Mongo {
    server: Server,
    folder: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl Mongo {
    /// Starts a server whose data are in `folder` (absolute), and waits until it takes writes. What the folder holds
    /// from an earlier run is there again.
    ///
    /// # Errors
    /// No server can be found or installed, or it does not start.
    pub fn start(folder: &Path) -> Result<Self> {
        let server = server()?;
        let (process, port) = on_free_port(|port| run(&server, folder, port))?;
        Ok(Self { server, folder: folder.to_owned(), port, process: Some(process) })
    }

    /// Ends the server that an earlier owner of `folder` left running.
    ///
    /// # Errors
    /// It does not end.
    pub(crate) fn end_leftover(folder: &Path) -> Result<()> {
        [MONGOD, STAND_IN].into_iter().try_for_each(|name| end_leftover(name, &folder.join(name)))
    }

    /// `mongodb://127.0.0.1:port`, the same after a restart.
    pub fn uri(&self) -> String {
        format!("mongodb://{}:{}", Ipv4Addr::LOCALHOST, self.port)
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
        self.process = Some(run(&self.server, &self.folder, self.port)?);
        Ok(())
    }
}

fn run(server: &Server, folder: &Path, port: u16) -> Result<Process> {
    // A folder for each kind: a mongod that turns up later must not open the stand-in's files.
    let (name, path) = match server {
        Server::Mongod(path) => (MONGOD, path),
        Server::StandIn(path) => (STAND_IN, path),
    };
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let arguments = arguments(server, &folder, port);
    let program = Program { name, path: path.clone(), arguments, folder };
    let is_mongod = matches!(server, Server::Mongod(_));
    Process::start(program, |_| {
        takes_writes(port) || {
            // A fresh mongod takes writes only as a replica set; asked again, it refuses and nothing changes.
            is_mongod && initiate_replica_set(port).is_ok() && takes_writes(port)
        }
    })
}

fn arguments(server: &Server, folder: &Path, port: u16) -> Vec<OsString> {
    let port = port.to_string();
    let (words, storage): (Vec<&str>, &str) = match server {
        Server::Mongod(_) => (vec!["--bind_ip", "127.0.0.1", "--port", &port, "--replSet", REPLICA_SET], "--dbpath"),
        Server::StandIn(_) => (
            vec!["--host", "127.0.0.1", "--port", &port, "--sync-on-commit", "--log-level", "WARNING"],
            "--storage-path",
        ),
    };
    let mut arguments: Vec<OsString> = words.into_iter().map(OsString::from).collect();
    arguments.push(storage.into());
    arguments.push(folder.into());
    arguments
}

/// Makes sure that a server program is there, installing it if none is.
///
/// # Errors
/// It cannot be installed.
pub(crate) fn ensure() -> Result<()> {
    server().map(drop)
}

fn server() -> Result<Server> {
    if let Some(found) = find()? {
        return Ok(found);
    }
    let installation = Installation::begin(CRATE)?;
    if let Some(found) = find()? {
        return Ok(found);
    }
    installation.announce(WHY);
    install(&installation)?;
    let installed = cached_program()?;
    if !installed.is_file() {
        bail!("{} is missing after its installation", installed.display());
    }
    installation.done(&installed);
    Ok(Server::StandIn(installed))
}

fn find() -> Result<Option<Server>> {
    if let Some(mongod) = on_path(MONGOD) {
        return Ok(Some(Server::Mongod(mongod)));
    }
    let cached = cached_program()?;
    Ok(on_path(STAND_IN).or_else(|| cached.is_file().then_some(cached)).map(Server::StandIn))
}

fn cached_root() -> Result<PathBuf> {
    Ok(tools_folder()?.join(format!("{CRATE}-{CRATE_VERSION}")))
}

fn cached_program() -> Result<PathBuf> {
    Ok(cached_root()?.join("bin").join(STAND_IN))
}

fn install(installation: &Installation) -> Result<()> {
    if on_path("cmake").is_none() {
        if !is_root() {
            bail!("building {CRATE} takes cmake, which is missing: install it, or set MONGODB_URI");
        }
        apt_install(installation, "cmake")?;
    }
    let tools = tools_folder()?;
    let build = tools.join(format!("{CRATE}-build"));
    let mut cargo = Command::new("cargo");
    cargo
        .args(["install", CRATE, "--version", CRATE_VERSION, "--locked", "--ignore-rust-version", "--root"])
        .arg(cached_root()?)
        // Away from the repository, whose cargo settings and target folder are not meant for it.
        .current_dir(&tools)
        .env("CARGO_TARGET_DIR", &build)
        .env_remove("RUSTFLAGS")
        // Its default link-time optimisation triples the build and gains nothing here.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    installation.step(&mut cargo)?;
    std::fs::remove_dir_all(&build).with_context(|| format!("removing {}", build.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn takes_writes_again_after_kill9_on_the_same_address() {
        let folder = tempfile::tempdir().unwrap();
        let mut mongo = Mongo::start(&folder.path().canonicalize().unwrap()).unwrap();
        let uri = mongo.uri();
        mongo.kill9().unwrap();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, mongo.port)).is_err());
        mongo.restart().unwrap();
        assert_eq!(mongo.uri(), uri);
        assert!(takes_writes(mongo.port));
    }
}
