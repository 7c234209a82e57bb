//! Nodes of a Redis Cluster: processes that end with the test process, whichever way that ends.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use redis::aio::MultiplexedConnection;
use redis::cluster_routing::Slot;

use crate::harness::until;

/// How many slots there are.
const SLOTS: usize = 16_384;

/// Primaries of each cluster.
pub(crate) const PRIMARIES: usize = 3;

/// Waits for its input to end, which happens at the latest with the process that holds the other end. Then ends the
/// node and removes its folder, and the folder of all nodes with the last.
const GUARDIAN: &str = r#"
    redis-server "$@" --dir "$0" & server=$!
    cat > /dev/null
    kill -9 $server; wait $server
    rm -rf "$0"; rmdir "$(dirname "$0")""#;

/// A running node.
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) port: u16,
    guardian: Child,
}

impl Node {
    fn spawn((id, ports): (String, &Ports), dir: &Path, config: &str) -> Self {
        let folder = dir.join(&id);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("nodes.conf"), config).unwrap();
        let guardian = Command::new("sh")
            .args(["-c", GUARDIAN])
            .arg(&folder)
            .args(["--port", &ports.port.to_string(), "--cluster-port", &ports.bus.to_string()])
            .args(["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no"])
            .args(["--bind", "127.0.0.1", "--save", "", "--repl-diskless-sync-delay", "0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        Self { id, port: ports.port, guardian }
    }

    pub(crate) async fn try_raw(&self) -> redis::RedisResult<MultiplexedConnection> {
        redis::Client::open(("127.0.0.1", self.port))?.get_multiplexed_async_connection().await
    }

    /// Runs one command here, wherever its keys belong.
    pub(crate) async fn ask<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let mut cmd = redis::cmd(command[0]);
        cmd.arg(&command[1..]);
        cmd.query_async(&mut self.try_raw().await.unwrap()).await.unwrap()
    }

    /// Ends the node as a power cut would.
    pub(crate) fn kill(&mut self) {
        drop(self.guardian.stdin.take());
        self.guardian.wait().unwrap();
    }

    async fn says_ok(&self, nodes: usize) -> bool {
        let Ok(mut connection) = self.try_raw().await else { return false };
        let info: redis::RedisResult<String> = redis::cmd("CLUSTER").arg("INFO").query_async(&mut connection).await;
        let Ok(info) = info else { return false };
        info.contains("cluster_state:ok") && info.contains(&format!("cluster_known_nodes:{nodes}"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Three primaries with a third of the slots each, and perhaps a replica.
pub(crate) struct Nodes {
    pub(crate) all: Vec<Node>,
}

/// A node's port, and the one for its peers.
struct Ports {
    port: u16,
    bus: u16,
}

impl Nodes {
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// With one more node: a replica of the primary that has a key.
    pub(crate) async fn start_with_replica_of(key: &str) -> Self {
        let nodes = Self::start_with(Some(primary_of(key))).await;
        until("the replica is in step", async || {
            let info: redis::InfoDict = nodes.all[PRIMARIES].ask(&["INFO", "replication"]).await;
            info.get("master_link_status") == Some("up".to_owned())
        })
        .await;
        nodes
    }

    async fn start_with(replicated: Option<usize>) -> Self {
        let dir = tempfile::tempdir().unwrap().keep();
        let count = PRIMARIES + usize::from(replicated.is_some());
        let ports = free_ports(count);
        let ids: Vec<String> = (0..count).map(|at| format!("{at:040x}")).collect();
        let line = |me: usize, at: usize| {
            let Ports { port, bus } = ports[at];
            let (id, myself, epoch) = (&ids[at], if me == at { "myself," } else { "" }, at + 1);
            let link = format!("{id} 127.0.0.1:{port}@{bus} {myself}");
            match replicated.filter(|_| at >= PRIMARIES) {
                Some(primary) => format!("{link}slave {} 0 0 {} connected\n", ids[primary], primary + 1),
                None => format!("{link}master - 0 0 {epoch} connected {}-{}\n", first_slot(at), first_slot(at + 1) - 1),
            }
        };
        let spawn = |me: usize| {
            let lines: String = (0..count).map(|at| line(me, at)).collect();
            let config = format!("{lines}vars currentEpoch {PRIMARIES} lastVoteEpoch 0\n");
            Node::spawn((ids[me].clone(), &ports[me]), &dir, &config)
        };
        let all: Vec<Node> = (0..count).map(spawn).collect();
        for node in &all {
            until("the cluster is up", async || node.says_ok(count).await).await;
        }
        Self { all }
    }

    /// As a client is told of it.
    pub(crate) fn url(&self) -> String {
        let places: Vec<String> = self.all.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis://{}", places.join(","))
    }

    /// The node that got a key's slot at the start.
    pub(crate) fn of(&self, key: &str) -> &Node {
        &self.all[primary_of(key)]
    }
}

/// Which node gets a key's slot at the start.
pub(crate) fn primary_of(key: &str) -> usize {
    let slot = Some(Slot::for_key(key));
    let has = |node: &usize| (first_slot(*node)..first_slot(node + 1)).any(|number| Slot::new(number) == slot);
    (0..PRIMARIES).find(has).expect("every slot has a node")
}

fn first_slot(node: usize) -> u16 {
    u16::try_from(SLOTS * node / PRIMARIES).expect("slots fit")
}

/// Ports that nobody uses now.
fn free_ports(nodes: usize) -> Vec<Ports> {
    let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
    // All are held until all are known, so that they differ.
    let held: Vec<_> = (0..nodes).map(|_| (bind(), bind())).collect();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    held.iter().map(|(one, other)| Ports { port: port(one), bus: port(other) }).collect()
}
