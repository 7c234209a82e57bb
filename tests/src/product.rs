//! The product at work: every role in one process of the real binary, and the sandbox gateway in another.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::{Services, binary};

/// How long the processes may take to become ready on a slow machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks whether they are.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long an answer to such a look may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Running processes. They end before their services do.
pub struct Product {
    /// Where the API is.
    pub api: String,
    processes: Vec<Child>,
    /// What they run on.
    pub services: Services,
}

impl Product {
    /// Starts everything with empty data, and waits until it is ready.
    ///
    /// # Errors
    /// Something cannot be started, or is not ready in time.
    pub fn start() -> Result<Self> {
        let services = Services::start()?;
        let [api, auth, gateway, plumbing] = free_addresses()?;
        let shared = services.environment();
        let environment = [
            ("API_LISTEN", api.clone()),
            ("AUTH_LISTEN", auth.clone()),
            ("AUTH_URL", format!("http://{auth}")),
            ("SANDBOX_LISTEN", gateway.clone()),
            ("STRIPE_BASE_URL", format!("http://{gateway}")),
            ("METRICS_LISTEN", plumbing.clone()),
        ];
        let command = |role: &str| -> Result<Command> {
            let mut command = Command::new(binary()?);
            command.env_clear().envs(shared.clone()).envs(environment.clone());
            command
                .args(["--until-stdin-closes", role])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            Ok(command)
        };
        let migrated = command("migrate")?.status().context("running `ratchet migrate`")?;
        ensure!(migrated.success(), "`ratchet migrate` failed ({migrated})");
        let mut product = Self { api: format!("http://{api}"), processes: Vec::new(), services };
        // The gateway's plumbing port is any; nobody asks there.
        let gateway_process = command("sandbox-gateway")?.env("METRICS_LISTEN", "127.0.0.1:0").spawn()?;
        product.processes.push(gateway_process);
        product.processes.push(command("all")?.spawn()?);
        for (address, path) in [(&gateway, "/livez"), (&plumbing, "/readyz"), (&api, "/readyz")] {
            wait(address, path)?;
        }
        Ok(product)
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // It may have ended by itself, which is as well.
            process.kill().ok();
            process.wait().ok();
        }
    }
}

/// Addresses that nobody listens at.
fn free_addresses<const N: usize>() -> Result<[String; N]> {
    let listeners: Vec<TcpListener> = (0..N).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let mut addresses = std::array::from_fn(|_| String::new());
    for (address, listener) in addresses.iter_mut().zip(&listeners) {
        *address = listener.local_addr()?.to_string();
    }
    Ok(addresses)
}

/// Waits until a path answers 200.
fn wait(address: &str, path: &str) -> Result<()> {
    let begun = Instant::now();
    while !is_ready(address, path) {
        ensure!(begun.elapsed() < READY_WITHIN, "http://{address}{path} does not get ready");
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

fn is_ready(address: &str, path: &str) -> bool {
    let ask = || -> Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
