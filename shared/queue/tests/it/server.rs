//! A Redis of a test's own: started on a socket in its own folder, ended with the test.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use queue::QueueClient;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use tokio::net::UnixStream;

use crate::harness::until;

/// The key prefix of all tests; each has a server of its own.
pub(crate) const PREFIX: &str = "test";

/// How a proxy finds a server: its socket.
pub(crate) type Place = PathBuf;

pub(crate) async fn dial(place: Place) -> io::Result<UnixStream> {
    UnixStream::connect(place).await
}

/// A running redis-server.
pub(crate) struct Redis {
    dir: TempDir,
    options: Vec<String>,
    child: Child,
}

impl Redis {
    /// A server that keeps nothing over a restart.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A server with further options, such as `--appendonly yes`.
    pub(crate) async fn start_with(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let child = spawn(&dir, &options);
        let server = Self { dir, options, child };
        server.answers().await;
        server
    }

    async fn answers(&self) {
        until("redis-server answers", async || {
            let Ok(mut connection) = self.try_connect().await else {
                return false;
            };
            redis::cmd("PING").exec_async(&mut connection).await.is_ok()
        })
        .await;
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    pub(crate) fn place(&self) -> Place {
        self.socket()
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub(crate) async fn client(&self) -> QueueClient {
        QueueClient::connect(&self.url(), PREFIX).await.unwrap()
    }

    async fn try_connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        redis::Client::open(self.url())?.get_multiplexed_async_connection().await
    }

    /// A connection past the crate under test.
    pub(crate) async fn raw(&self) -> MultiplexedConnection {
        self.try_connect().await.unwrap()
    }

    /// Runs one command and reads its answer.
    pub(crate) async fn ask<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let mut cmd = redis::cmd(command[0]);
        cmd.arg(&command[1..]);
        cmd.query_async(&mut self.raw().await).await.unwrap()
    }

    /// The full name of a part of a queue.
    pub(crate) fn key(queue: &str, part: &str) -> String {
        format!("{{{PREFIX}:{queue}}}:{part}")
    }

    /// All keys there are, sorted, but for those that say how things go and are forgotten after a while.
    pub(crate) async fn all_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.ask(&["KEYS", "*"]).await;
        let passing = ["}:stats:", "}:workers", "}:beats"];
        keys.retain(|key| !passing.iter().any(|part| key.contains(part)));
        keys.sort();
        keys
    }

    /// Waits until so many workers block for work.
    pub(crate) async fn idle_workers(&self, count: usize) {
        until("workers are idle", async || {
            let info: redis::InfoDict = self.ask(&["INFO", "clients"]).await;
            info.get("blocked_clients") == Some(count)
        })
        .await;
    }

    /// Ends the server as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after [`Redis::kill`], with whatever it kept.
    pub(crate) async fn restart(&mut self) {
        self.child = spawn(&self.dir, &self.options);
        self.answers().await;
    }

    /// Sends the server a signal by name, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Also ends a stopped or already dead server; nothing else can be done about a failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &TempDir, options: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--unixsocket"])
        .arg(dir.path().join("redis.sock"))
        .arg("--dir")
        .arg(dir.path())
        .args(options)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is on the PATH")
}
