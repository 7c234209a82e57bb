//! A gateway process that is killed comes back with its books.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use futures::future::join_all;
use reqwest::Client;
use serde_json::{Value, json};

use crate::server::{charge, client, soon, with};

/// A gateway in a process of its own, killed when dropped.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(data_dir: &Path) -> Self {
        let mut child = Command::new(program()).arg("--data-dir").arg(data_dir).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut url).unwrap();
        Self { child, url: url.trim().to_owned() }
    }

    /// The one who pays.
    async fn customer(&self, client: &Client) {
        let request = client.post(format!("{}/v1/customers", self.url)).form(&[("id", "cus_1")]);
        assert!(request.bearer_auth("sk_test").send().await.unwrap().status().is_success());
    }

    fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill9();
        }
    }
}

/// Cargo builds the examples of a package before it runs the package's tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let profile = tests.parent().and_then(Path::parent).unwrap();
    profile.join("examples").join("serve")
}

async fn post(client: &Client, url: &str, key: &str, fields: &[(&str, String)]) -> String {
    let request = client.post(format!("{url}/v1/payment_intents")).form(fields);
    let request = request.bearer_auth("sk_test").header("Idempotency-Key", key);
    match request.send().await {
        Ok(response) => response.text().await.unwrap_or_default(),
        Err(_) => String::new(),
    }
}

async fn charges(client: &Client, url: &str) -> Vec<Value> {
    let request = client.get(format!("{url}/_sandbox/charges"));
    let page: Value = request.send().await.unwrap().json().await.unwrap();
    page["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn killed_in_the_middle_it_knows_every_charge_it_confirmed_and_charges_none_twice() {
    let dir = tempfile::tempdir().unwrap();
    let client = client();
    let mut first = Process::start(dir.path());
    first.customer(&client).await;
    let keys: Vec<String> = (0..300).map(|number| format!("pay_{number}")).collect();
    let pay = |url: String, keys: Vec<String>| {
        let client = client.clone();
        async move {
            join_all(keys.iter().map(|key| {
                let fields = with("pm_sandbox_ok", "metadata[attempt]", key);
                let (client, url) = (&client, &url);
                async move { post(client, url, key, &fields).await }
            }))
            .await
        }
    };
    let confirmed = pay(first.url.clone(), keys[..150].to_vec()).await;
    let rest = tokio::spawn(pay(first.url.clone(), keys[150..].to_vec()));
    soon(async { while charges(&client, &first.url).await.len() <= 150 {} }).await;
    first.kill9();
    let cut_short = rest.await.unwrap();

    let second = Process::start(dir.path());
    let known = charges(&client, &second.url).await;
    let known: Vec<String> = known.iter().map(|c| c["id"].to_string()).collect();
    for answer in confirmed.iter().chain(&cut_short).filter(|a| !a.is_empty()) {
        let intent: Value = serde_json::from_str(answer).unwrap();
        assert!(known.contains(&intent["id"].to_string()), "lost: {answer}");
    }

    let again = pay(second.url.clone(), keys).await;
    assert_eq!(again[..150], confirmed[..], "confirmed charges are replayed");
    let mut attempts: Vec<String> =
        charges(&client, &second.url).await.iter().map(|charge| charge["metadata"]["attempt"].to_string()).collect();
    attempts.sort();
    attempts.dedup();
    assert_eq!(attempts.len(), 300, "each attempt is charged");
    assert_eq!(charges(&client, &second.url).await.len(), 300, "and once");
}

#[tokio::test]
async fn an_advanced_clock_stays_advanced_and_keys_stay_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let client = client();
    let fields = charge("pm_sandbox_ok");
    let mut first = Process::start(dir.path());
    first.customer(&client).await;
    let before = post(&client, &first.url, "k1", &fields).await;
    let advance = client.post(format!("{}/_sandbox/clock/advance", first.url));
    let advance = advance.json(&json!({ "seconds": 24 * 3600 })).send().await;
    assert!(advance.unwrap().status().is_success());
    first.kill9();

    let second = Process::start(dir.path());
    let after = post(&client, &second.url, "k1", &fields).await;
    let created = |text: &str| serde_json::from_str::<Value>(text).unwrap()["created"].as_i64();
    assert!(created(&after) >= created(&before).map(|at| at + 24 * 3600));
    assert_eq!(charges(&client, &second.url).await.len(), 2);
}
