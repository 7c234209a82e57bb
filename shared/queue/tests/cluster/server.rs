//! A cluster of a test's own, with the face of the single server that the stories are told with. Starting one takes
//! seconds, so those that are given back are used again, emptied.
//!
//! One node has the queue of most stories. What is asked about no key is asked everywhere, and its answer counts.

use std::io;
use std::sync::Mutex;

use queue::QueueClient;
use redis::aio::MultiplexedConnection;
use tokio::net::TcpStream;

use crate::harness::{QUEUE, until};
use crate::nodes::{Node, Nodes};

/// The key prefix of all tests; each has a cluster of its own.
pub(crate) const PREFIX: &str = "test";

/// How a proxy finds the queue of most stories: host and port.
pub(crate) type Place = String;

pub(crate) async fn dial(place: Place) -> io::Result<TcpStream> {
    TcpStream::connect(place).await
}

static GIVEN_BACK: Mutex<Vec<Nodes>> = Mutex::new(Vec::new());

/// A running cluster.
pub(crate) struct Redis {
    nodes: Option<Nodes>,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        let used = GIVEN_BACK.lock().unwrap().pop();
        let nodes = match used {
            Some(nodes) => nodes,
            None => Nodes::start().await,
        };
        for node in &nodes.all {
            alone_at(node).await;
            let _: String = node.ask(&["FLUSHALL"]).await;
            let _: String = node.ask(&["SCRIPT", "FLUSH"]).await;
            let _: String = node.ask(&["CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction"]).await;
        }
        Self { nodes: Some(nodes) }
    }

    pub(crate) fn nodes(&self) -> &Nodes {
        self.nodes.as_ref().expect("not killed")
    }

    pub(crate) async fn client(&self) -> QueueClient {
        QueueClient::connect(&self.nodes().url(), PREFIX).await.unwrap()
    }

    fn home(&self) -> &Node {
        self.nodes().of(&Self::key(QUEUE, "jobs"))
    }

    /// Where the queue of most stories is.
    pub(crate) fn place(&self) -> Place {
        format!("127.0.0.1:{}", self.home().port)
    }

    /// One node says all there is to know.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.place())
    }

    /// A connection past the crate under test.
    pub(crate) async fn raw(&self) -> MultiplexedConnection {
        self.home().try_raw().await.unwrap()
    }

    /// Runs one command and reads its answer.
    pub(crate) async fn ask<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        if let Some(key) = command.iter().find(|word| word.starts_with('{')) {
            return self.nodes().of(key).ask(command).await;
        }
        for node in &self.nodes().all {
            let _: redis::Value = node.ask(command).await;
        }
        self.home().ask(command).await
    }

    /// The full name of a part of a queue.
    pub(crate) fn key(queue: &str, part: &str) -> String {
        format!("{{{PREFIX}:{queue}}}:{part}")
    }

    /// All keys there are, sorted, but for those that say how things go and are forgotten after a while.
    pub(crate) async fn all_keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        for node in &self.nodes().all {
            keys.extend(node.ask::<Vec<String>>(&["KEYS", "*"]).await);
        }
        let passing = ["}:stats:", "}:workers", "}:beats"];
        keys.retain(|key| !passing.iter().any(|part| key.contains(part)));
        keys.sort();
        keys
    }

    /// Waits until so many workers block for work.
    pub(crate) async fn idle_workers(&self, count: usize) {
        until("workers are idle", async || {
            let mut blocked = 0;
            for node in &self.nodes().all {
                let info: redis::InfoDict = node.ask(&["INFO", "clients"]).await;
                blocked += info.get::<usize>("blocked_clients").unwrap();
            }
            blocked == count
        })
        .await;
    }

    /// Ends all nodes as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.nodes = None;
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // After a failure nobody knows what is still going on there, so they end.
        if let Some(nodes) = self.nodes.take()
            && !std::thread::panicking()
        {
            GIVEN_BACK.lock().unwrap().push(nodes);
        }
    }
}

/// Waits until whoever used this node before is gone.
async fn alone_at(node: &Node) {
    until("the earlier test has hung up", async || {
        let clients: String = node.ask(&["CLIENT", "LIST", "TYPE", "normal"]).await;
        clients.lines().count() == 1
    })
    .await;
}
