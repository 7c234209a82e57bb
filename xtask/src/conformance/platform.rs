//! The product as the suites find it: every role in one process, on servers of its own and free ports.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use services::{DeathSignal, Stack, tied_to_parent};

use crate::{
    cargo::{self, check},
    up, workspace,
};

/// How long it may take to be ready on a slow machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
const READY_POLL: Duration = Duration::from_millis(100);

/// The running product.
pub(super) struct Platform {
    environment: Vec<(String, String)>,
    process: Child,
    stack: Stack,
}

impl Platform {
    /// Builds and starts everything, with a signing key that the suites may use as well.
    ///
    /// # Errors
    /// It does not build or start.
    pub(super) fn start() -> Result<Self> {
        let ratchet = cargo::build(&["--package", "ratchet"])?;
        let stack = up::start(&workspace::root().join(".ratchet/conformance"))?;
        let folder = stack.folder().path().to_owned();
        let key = signing_key(&folder)?;
        let [api, auth, metrics] = [free_port()?, free_port()?, free_port()?].map(|port| format!("127.0.0.1:{port}"));
        let mut environment: Vec<(String, String)> =
            stack.environment().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let own = [
            ("API_URL", format!("http://{api}")),
            ("PUBLIC_URL", format!("http://{api}")),
            ("AUTH_URL", format!("http://{auth}")),
            ("API_LISTEN", api.clone()),
            ("AUTH_LISTEN", auth),
            ("METRICS_LISTEN", metrics),
            ("AUTH_SIGNING_KEY_FILE", key.display().to_string()),
            ("ACCESS_RECHECK_SECONDS", "1".to_owned()),
        ];
        environment.extend(own.map(|(name, value)| (name.to_owned(), value)));
        check(Command::new(&ratchet).arg("migrate").envs(environment.iter().cloned()), "ratchet migrate")?;
        let log = File::create(folder.join("ratchet.log")).context("opening the product's log")?;
        let mut command = tied_to_parent(&ratchet, DeathSignal::Terminate);
        command.arg("all").envs(environment.iter().cloned()).stdout(log.try_clone()?).stderr(log);
        let process = command.spawn().context("starting the product")?;
        let mut platform = Self { environment, process, stack };
        platform.await_ready(&api)?;
        Ok(platform)
    }

    /// Addresses and the signing key's file, by the names that the product reads, and `API_URL`.
    pub(super) fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Ends everything.
    ///
    /// # Errors
    /// A part does not end.
    pub(super) fn stop(mut self) -> Result<()> {
        self.process.kill().and_then(|()| self.process.wait()).context("ending the product")?;
        up::stop(self.stack)
    }

    fn await_ready(&mut self, api: &str) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < READY_WITHIN {
            if let Some(status) = self.process.try_wait().context("watching the product")? {
                bail!("the product ended ({status}); see {}/ratchet.log", self.stack.folder().path().display());
            }
            if is_ready(api).unwrap_or(false) {
                return Ok(());
            }
            sleep(READY_POLL);
        }
        bail!("the product is not ready after {} s", READY_WITHIN.as_secs())
    }
}

fn is_ready(api: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(api)?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

/// A new Ed25519 key, made as the README says.
fn signing_key(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("auth_signing_key.pem");
    let mut openssl = Command::new("openssl");
    openssl.args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&path);
    check(&mut openssl, "openssl genpkey")?;
    Ok(path)
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}
