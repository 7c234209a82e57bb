//! Stories of a cluster that changes while jobs run: a primary dies or steps down, a slot moves.

use queue::{Depth, Enqueued, Job, PauseTarget, QueueClient};

use crate::harness::{Act, Cameo, Lab, QUEUE, Step, Working, until, worker};
use crate::nodes::{Node, Nodes, PRIMARIES, primary_of};
use crate::server::{PREFIX, Redis};

/// Most keys moved by one call.
const BATCH: &str = "100";

/// A worker with one job at a gate and one that is paused, and a client.
struct Scene {
    client: QueueClient,
    lab: Lab,
    working: Working,
}

impl Scene {
    async fn begin(nodes: &Nodes) -> Self {
        let client = QueueClient::connect(&nodes.url(), PREFIX).await.unwrap();
        let lab = Lab::new();
        let working = lab.work(&client, worker(2));
        client.pause(QUEUE, PauseTarget::Job(Cameo::NAME), "ada", "until the cluster has changed").await.unwrap();
        client.enqueue_many(vec![Act::new("held", &[Step::Gate(1)]).job(), Cameo::job("paused")]).await.unwrap();
        lab.began("held", 1).await;
        Self { client, lab, working }
    }

    /// Work goes on, and what ran has not noticed.
    async fn end(self) {
        let (client, lab) = (&self.client, &self.lab);
        let new = Act::new("new", &[Step::Done]);
        until("a job is taken", async || matches!(client.enqueue(new.job()).await, Ok(Enqueued::Added))).await;
        lab.began("new", 1).await;
        assert!(client.resume(QUEUE, PauseTarget::Job(Cameo::NAME)).await.unwrap());
        lab.began("paused", 1).await;
        lab.open_gate(1);
        until("nothing is left", async || matches!(client.depth(QUEUE).await, Ok(depth) if depth == Depth::default()))
            .await;
        for name in ["held", "paused", "new"] {
            assert_eq!(lab.attempts_of(name), [1], "{name}");
        }
        assert!(lab.runs_of("held")[0].ended.is_some() && self.working.is_running());
    }
}

/// Whether a replica has both jobs, the lease and the pause.
async fn has_it_all(replica: &Node) -> bool {
    let mut connection = replica.try_raw().await.unwrap();
    redis::cmd("READONLY").exec_async(&mut connection).await.unwrap();
    let found: (u64, u64, u64) = redis::pipe()
        .hlen(Redis::key(QUEUE, "jobs"))
        .zcard(Redis::key(QUEUE, "leases"))
        .hlen(Redis::key(QUEUE, "paused"))
        .query_async(&mut connection)
        .await
        .unwrap();
    found == (2, 1, 1)
}

#[tokio::test]
async fn a_replica_takes_over_from_a_primary_that_died() {
    let key = Redis::key(QUEUE, "jobs");
    let mut nodes = Nodes::start_with_replica_of(&key).await;
    let scene = Scene::begin(&nodes).await;
    until("the replica has it all", async || has_it_all(&nodes.all[PRIMARIES]).await).await;
    nodes.all[primary_of(&key)].kill();
    let _: String = nodes.all[PRIMARIES].ask(&["CLUSTER", "FAILOVER", "TAKEOVER"]).await;
    scene.end().await;
}

#[tokio::test]
async fn a_replica_takes_over_from_a_primary_that_steps_down() {
    let key = Redis::key(QUEUE, "jobs");
    let nodes = Nodes::start_with_replica_of(&key).await;
    let scene = Scene::begin(&nodes).await;
    let _: String = nodes.all[PRIMARIES].ask(&["CLUSTER", "FAILOVER"]).await;
    until("the primary has stepped down", async || {
        let role: Vec<redis::Value> = nodes.of(&key).ask(&["ROLE"]).await;
        redis::from_redis_value::<String>(role[0].clone()).unwrap() == "slave"
    })
    .await;
    scene.end().await;
}

#[tokio::test]
async fn a_queue_rests_while_its_slot_moves_and_goes_on_where_it_arrived() {
    let nodes = Nodes::start().await;
    let scene = Scene::begin(&nodes).await;
    let home = primary_of(&Redis::key(QUEUE, "jobs"));
    let (from, to) = (&nodes.all[home], &nodes.all[(home + 1) % PRIMARIES]);
    let slot: u64 = from.ask(&["CLUSTER", "KEYSLOT", &Redis::key(QUEUE, "jobs")]).await;
    let slot = slot.to_string();
    let _: String = to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from.id]).await;
    let _: String = from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to.id]).await;

    let refused = scene.client.enqueue(Act::new("refused", &[Step::Done]).job()).await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("Ask"), "{error}");
    let keys: u64 = to.ask(&["CLUSTER", "COUNTKEYSINSLOT", &slot]).await;
    assert_eq!(keys, 0, "no second half of the queue began");

    let port = to.port.to_string();
    loop {
        let keys: Vec<String> = from.ask(&["CLUSTER", "GETKEYSINSLOT", &slot, BATCH]).await;
        if keys.is_empty() {
            break;
        }
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let moving = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        let _: String = from.ask(&[&moving, keys.as_slice()].concat()).await;
    }
    for node in [to, from, &nodes.all[(home + 2) % PRIMARIES]] {
        let _: String = node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &to.id]).await;
    }
    scene.end().await;
    assert!(!to.ask::<Vec<String>>(&["KEYS", "{test:acts}*"]).await.is_empty());
}
