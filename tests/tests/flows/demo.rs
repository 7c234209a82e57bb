//! The demo, whole and under fire: whatever is killed in the middle of the run, the table at its end is the same.
//!
//! Every test runs the real binary with all roles as processes, on Redis, MongoDB and a mail catcher of its own, for a part of
//! the accounts. `demo_table.txt` holds the table that every one of them must print.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use bson::doc;
use domain::InvoiceContent;
use flows::{Services, binary};
use futures::TryStreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Enough accounts for two chunks, among them some that decline and some whose gateway fails once.
const ACCOUNTS: &str = "240";
/// What a demo of these accounts prints, but for the speed of its run.
const TABLE: &str = include_str!("demo_table.txt");
/// Longer than any demo of these accounts takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(240);
/// Invoices of these accounts.
const INVOICES: usize = 2_849;
const POLL: Duration = Duration::from_millis(20);

/// A running `ratchet demo --once`.
struct Demo<'a> {
    process: Child,
    stderr: BufReader<ChildStderr>,
    folder: &'a Path,
}

impl<'a> Demo<'a> {
    fn start(services: &Services, folder: &'a Path, arguments: &[&str]) -> Result<Self> {
        let mut process = Command::new(binary()?)
            .args(["demo", "--once", "--free-ports", "--accounts", ACCOUNTS])
            .args(arguments)
            .envs(services.environment())
            .env("RATCHET_DEMO_DATA", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting the demo")?;
        let stderr = BufReader::new(process.stderr.take().context("the demo's standard error")?);
        Ok(Self { process, stderr, folder })
    }

    /// Waits until the run has begun and its totals satisfy `reached`.
    fn await_run(&mut self, reached: impl Fn(&Value) -> bool) -> Result<()> {
        let mut line = String::new();
        while !line.contains("Billing everything") {
            line.clear();
            ensure!(self.stderr.read_line(&mut line)? > 0, "the demo ended before its run");
        }
        self.await_again(reached)
    }

    /// Waits until the totals of the run under way satisfy `reached`.
    fn await_again(&mut self, reached: impl Fn(&Value) -> bool) -> Result<()> {
        let api = Api::sign_in(self.folder)?;
        let deadline = Instant::now() + PATIENCE;
        while !api.runs()?.iter().any(|run| reached(&run["totals"])) {
            ensure!(Instant::now() < deadline, "the run does not get that far");
            thread::sleep(POLL);
        }
        Ok(())
    }

    fn kill_9(&self, role: &str) -> Result<()> {
        let pid = fs::read_to_string(self.folder.join(format!("{role}.pid")))?;
        let status = Command::new("kill").args(["-9", &pid]).status()?;
        ensure!(status.success(), "{role} could not be killed");
        Ok(())
    }

    /// The table that it prints, without the line about its speed.
    fn table(mut self) -> Result<String> {
        let mut said = String::new();
        let mut stderr = self.stderr;
        let listener = thread::spawn(move || {
            stderr.read_to_string(&mut said).ok();
            said
        });
        let mut printed = String::new();
        self.process.stdout.take().context("the demo's standard output")?.read_to_string(&mut printed)?;
        let status = self.process.wait()?;
        let said = listener.join().unwrap_or_default();
        if !status.success() {
            bail!("the demo failed ({status}):\n{printed}\n{said}\n{}", logs(self.folder));
        }
        Ok(printed)
    }
}

/// The last lines of every role's log, for whoever reads a failure.
fn logs(folder: &Path) -> String {
    let files = fs::read_dir(folder.join("logs")).into_iter().flatten().flatten();
    files
        .map(|file| {
            let text = fs::read_to_string(file.path()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            format!("--- {}\n{}\n", file.file_name().display(), lines[lines.len().saturating_sub(15)..].join("\n"))
        })
        .collect()
}

/// What must be the same in every demo: the months and the sums, not the speed, nor what a check says of copies.
fn comparable(printed: &str) -> String {
    let differs = |line: &&str| line.contains("invoices per second") || line.contains("This was a repeat");
    let lines: Vec<&str> = printed.lines().filter(|line| !differs(line)).collect();
    let table = lines.iter().take_while(|line| !line.contains("[holds]"));
    table.map(|line| line.trim_end()).collect::<Vec<_>>().join("\n").trim_end().to_owned() + "\n"
}

/// The demo's API, asked over plain HTTP.
struct Api {
    address: String,
    token: String,
}

impl Api {
    fn sign_in(folder: &Path) -> Result<Self> {
        let environment = fs::read_to_string(folder.join("env"))?;
        let address = environment
            .lines()
            .find_map(|line| line.strip_prefix("export API_LISTEN='")?.strip_suffix('\''))
            .context("the demo's environment names no API")?;
        let mut api = Self { address: address.to_owned(), token: String::new() };
        let credentials = json!({ "email": "owner@demo.example", "password": "correct horse battery staple" });
        let answer = api.ask("POST", "/v1/auth/login", &credentials.to_string())?;
        api.token = answer["access_token"].as_str().context("no access token")?.to_owned();
        Ok(api)
    }

    fn runs(&self) -> Result<Vec<Value>> {
        let list = self.ask("GET", "/v1/billing_runs", "")?;
        list["data"].as_array().context("no list of runs")?.iter().map(|run| self.run(run)).collect()
    }

    fn run(&self, run: &Value) -> Result<Value> {
        let id = run["id"].as_str().context("a run without id")?;
        self.ask("GET", &format!("/v1/billing_runs/{id}"), "")
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        let mut stream = TcpStream::connect(&self.address)?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: api\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Authorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len(),
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        ensure!(head.starts_with("HTTP/1.1 2"), "{method} {path}: {answer}");
        Ok(serde_json::from_str(body)?)
    }
}

fn invoiced(at_least: u64) -> impl Fn(&Value) -> bool {
    move |totals| totals["invoiced"].as_u64().is_some_and(|count| count >= at_least)
}

#[test]
fn a_second_demo_changes_nothing() -> Result<()> {
    let (services, folder) = (Services::start()?, TempDir::new()?);
    let first = Demo::start(&services, folder.path(), &[])?.table()?;
    assert_eq!(comparable(&first), TABLE);
    let second = Demo::start(&services, folder.path(), &[])?.table()?;
    assert_eq!(comparable(&second), TABLE);
    assert!(second.contains("0 new charges, 0 new mails"), "{second}");
    assert_eq!(recomputed(&services)?, INVOICES);
    Ok(())
}

/// Recomputes every invoice from its frozen inputs, to the same bytes, and counts them.
fn recomputed(services: &Services) -> Result<usize> {
    #[derive(serde::Deserialize)]
    struct Issued {
        number: String,
        content: InvoiceContent,
    }
    let environment = services.environment();
    let (_, uri) = environment.iter().find(|(name, _)| *name == "MONGODB_URI").context("no MongoDB")?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let database = mongodb::Client::with_uri_str(uri).await?.database("ratchet_demo");
        let mut invoices = database.collection::<Issued>("invoices").find(doc! {}).await?;
        let mut count = 0;
        while let Some(Issued { number, content }) = invoices.try_next().await? {
            let again = content.recompute().with_context(|| number.clone())?;
            ensure!(
                serde_json::to_string(&again)? == serde_json::to_string(&content)?,
                "{number} comes out differently"
            );
            count += 1;
        }
        Ok(count)
    })
}

#[test]
fn killing_the_worker_changes_nothing() -> Result<()> {
    let (services, folder) = (Services::start()?, TempDir::new()?);
    let mut demo = Demo::start(&services, folder.path(), &[])?;
    demo.await_run(invoiced(300))?;
    demo.kill_9("worker-1")?;
    demo.await_again(invoiced(1_500))?;
    demo.kill_9("worker-1")?;
    assert_eq!(comparable(&demo.table()?), TABLE);
    Ok(())
}

#[test]
fn losing_all_of_redis_changes_nothing() -> Result<()> {
    let (services, folder) = (Services::start()?, TempDir::new()?);
    let mut demo = Demo::start(&services, folder.path(), &[])?;
    demo.await_run(invoiced(300))?;
    flush_all(&services)?;
    assert_eq!(comparable(&demo.table()?), TABLE);
    Ok(())
}

#[test]
fn two_workers_and_two_schedulers_change_nothing() -> Result<()> {
    let (services, folder) = (Services::start()?, TempDir::new()?);
    let demo = Demo::start(&services, folder.path(), &["--workers", "2", "--schedulers", "2"])?;
    assert_eq!(comparable(&demo.table()?), TABLE);
    Ok(())
}

fn flush_all(services: &Services) -> Result<()> {
    let environment = services.environment();
    let (_, url) = environment.iter().find(|(name, _)| *name == "REDIS_URL").context("no Redis")?;
    let address = url.trim_start_matches("redis://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"FLUSHALL\r\n")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    ensure!(&answer == b"+OK\r\n", "Redis did not flush");
    Ok(())
}
