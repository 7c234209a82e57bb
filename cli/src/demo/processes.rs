//! The demo's roles, each a real process of this very binary, watched: one that dies is replaced and the reader is told.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use tokio::{
    net::TcpListener,
    process::{Child, ChildStdin, Command},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// How long a role may take to become ready on a slow machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
const READY_POLL: Duration = Duration::from_millis(50);
/// How long a role may take to drain before it is killed.
const DRAIN_WITHIN: Duration = Duration::from_secs(25);
/// A role that dies this often in one demo is broken, not killed.
const MAX_RESTARTS: u32 = 20;

/// How many of each role.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fleet {
    pub workers: u16,
    pub schedulers: u16,
    /// Whether to listen on any free ports rather than on the usual ones.
    pub free_ports: bool,
}

/// Where the demo's processes listen.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    pub api: String,
    pub auth: String,
    pub gateway: String,
}

/// One process to keep running.
#[derive(Clone, Debug)]
struct Role {
    name: String,
    arguments: Vec<String>,
    /// Its own environment, beside what all share.
    environment: Vec<(String, String)>,
    /// Answers 200 when it is ready.
    ready_url: String,
}

/// The running processes.
pub(super) struct Processes {
    pub addresses: Addresses,
    watchers: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
}

/// What all processes share.
struct Site {
    folder: PathBuf,
    environment: Vec<(String, String)>,
    notices: ProgressBar,
    stop: CancellationToken,
}

impl Processes {
    /// Starts gateway, auth, api, workers and schedulers, their logs in `folder`, and waits until all are ready. Their notices
    /// are printed above the progress bars of `notices`.
    pub(super) async fn start(folder: &Path, fleet: Fleet, notices: ProgressBar) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder.join("logs"))?;
        let usual = |port: u16| if fleet.free_ports { 0 } else { port };
        let addresses = Addresses {
            api: free(usual(3000)).await?,
            auth: free(usual(3005)).await?,
            gateway: free(usual(12111)).await?,
        };
        let stop = CancellationToken::new();
        let environment = shared_environment(folder, &addresses);
        write_environment(folder, &environment)?;
        let site = Arc::new(Site { folder: folder.to_owned(), environment, notices, stop: stop.clone() });
        site.run_once("migrate").await?;
        let mut processes = Self { addresses, watchers: JoinSet::new(), stop };
        let roles = processes.roles(fleet).await?;
        let ready_urls: Vec<String> = roles.iter().map(|role| role.ready_url.clone()).collect();
        for role in roles {
            let child = site.spawn(&role)?;
            processes.watchers.spawn(watch(site.clone(), role, child));
        }
        tokio::select! {
            ready = all_ready(&ready_urls) => ready?,
            error = processes.failure() => return Err(error),
        }
        Ok(processes)
    }

    async fn roles(&self, fleet: Fleet) -> anyhow::Result<Vec<Role>> {
        let gateway = format!("http://{}/livez", self.addresses.gateway);
        let mut roles = vec![
            Role { ready_url: gateway, ..role("sandbox-gateway", "sandbox-gateway").await? },
            role("auth", "auth").await?,
            role("api", "api").await?,
        ];
        for number in 1..=fleet.workers {
            roles.push(role(&format!("worker-{number}"), "worker").await?);
        }
        for number in 1..=fleet.schedulers {
            roles.push(role(&format!("scheduler-{number}"), "scheduler").await?);
        }
        Ok(roles)
    }

    /// Returns when a role cannot be kept running.
    pub(super) async fn failure(&mut self) -> anyhow::Error {
        loop {
            match self.watchers.join_next().await {
                Some(Ok(Err(error))) => return error,
                Some(Err(error)) => return error.into(),
                Some(Ok(Ok(()))) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Asks every role to drain and waits for it.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        while self.watchers.join_next().await.is_some() {}
    }
}

async fn role(name: &str, command: &str) -> anyhow::Result<Role> {
    let plumbing = free(0).await?;
    Ok(Role {
        name: name.to_owned(),
        arguments: vec![command.to_owned()],
        ready_url: format!("http://{plumbing}/readyz"),
        environment: vec![("METRICS_LISTEN".to_owned(), plumbing)],
    })
}

/// The preferred port if it is free, else any.
async fn free(preferred: u16) -> anyhow::Result<String> {
    let listener = match TcpListener::bind(("127.0.0.1", preferred)).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind(("127.0.0.1", 0)).await?,
    };
    Ok(listener.local_addr()?.to_string())
}

fn shared_environment(folder: &Path, addresses: &Addresses) -> Vec<(String, String)> {
    let set = |name: &str, value: String| (name.to_owned(), value);
    vec![
        set("MONGODB_DATABASE", "ratchet_demo".to_owned()),
        set("REDIS_PREFIX", "ratchet-demo".to_owned()),
        set("API_LISTEN", addresses.api.clone()),
        set("AUTH_LISTEN", addresses.auth.clone()),
        set("AUTH_URL", format!("http://{}", addresses.auth)),
        set("SANDBOX_LISTEN", addresses.gateway.clone()),
        set("SANDBOX_GATEWAY_DATA", folder.join("gateway").display().to_string()),
        set("STRIPE_BASE_URL", format!("http://{}", addresses.gateway)),
    ]
}

/// Leaves the environment in a file, so that anybody can start one more role by hand.
fn write_environment(folder: &Path, environment: &[(String, String)]) -> anyhow::Result<()> {
    let inherited = ["REDIS_URL", "MONGODB_URI", "SMTP_URL"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
    let lines: Vec<String> = inherited
        .chain(environment.iter().cloned())
        .chain([("METRICS_LISTEN".to_owned(), "127.0.0.1:0".to_owned())])
        .map(|(name, value)| format!("export {name}='{value}'\n"))
        .collect();
    std::fs::write(folder.join("env"), lines.concat()).context("cannot write the demo's environment")
}

impl Site {
    /// Says something above the progress bars, or by itself where there is no terminal to draw them on.
    fn tell(&self, notice: &str) {
        if self.notices.is_hidden() { eprintln!("{notice}") } else { self.notices.println(notice) }
    }

    fn command(&self, name: &str) -> anyhow::Result<Command> {
        let log = File::options().create(true).append(true).open(self.folder.join(format!("logs/{name}.log")))?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .arg("--until-stdin-closes")
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        Ok(command)
    }

    fn spawn(&self, role: &Role) -> anyhow::Result<Child> {
        let mut command = self.command(&role.name)?;
        command.args(&role.arguments).envs(role.environment.iter().map(|(name, value)| (name, value)));
        let child = command.spawn().with_context(|| format!("cannot start {}", role.name))?;
        // For whoever wants to see what killing it does.
        let pid = child.id().map(|pid| pid.to_string()).unwrap_or_default();
        std::fs::write(self.folder.join(format!("{}.pid", role.name)), pid)?;
        Ok(child)
    }

    async fn run_once(&self, name: &str) -> anyhow::Result<()> {
        let status = self.command(name)?.arg(name).status().await?;
        if !status.success() {
            bail!("`ratchet {name}` failed; see {}/logs/{name}.log", self.folder.display());
        }
        Ok(())
    }
}

/// Waits until every role says that it is ready.
async fn all_ready(urls: &[String]) -> anyhow::Result<()> {
    let http = reqwest::Client::builder().timeout(READY_POLL * 20).build()?;
    let ready = async {
        for url in urls {
            while !http.get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                tokio::time::sleep(READY_POLL).await;
            }
        }
    };
    tokio::time::timeout(READY_WITHIN, ready).await.context("a role does not become ready; see its log")
}

/// Keeps one role running until it is told to stop.
async fn watch(site: Arc<Site>, role: Role, mut child: Child) -> anyhow::Result<()> {
    let mut restarts = 0;
    loop {
        // Kept here, because waiting for a child closes what it is still given.
        let stdin = child.stdin.take();
        let status = tokio::select! {
            status = child.wait() => status?,
            () = site.stop.cancelled() => return drain(&role, (child, stdin)).await,
        };
        restarts += 1;
        let log = site.folder.join(format!("logs/{}.log", role.name));
        if restarts > MAX_RESTARTS {
            bail!("{} keeps dying ({status}); see {}", role.name, log.display());
        }
        child = site.spawn(&role)?;
        let number = child.id().unwrap_or_default();
        site.tell(&format!("  {} died ({status}); started another, process {number}", role.name));
        tokio::time::sleep(Duration::from_millis(100) * restarts).await;
    }
}

/// A role drains when its standard input closes, which it also does when the demo itself is killed.
async fn drain(role: &Role, (mut child, stdin): (Child, Option<ChildStdin>)) -> anyhow::Result<()> {
    drop(stdin);
    if tokio::time::timeout(DRAIN_WITHIN, child.wait()).await.is_err() {
        tracing::warn!(role = role.name, "did not drain in time; killing it");
        child.kill().await?;
    }
    Ok(())
}
