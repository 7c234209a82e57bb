//! Stories of a replica that takes over behind the address that everybody knows.

use std::net::TcpListener;

use queue::{Depth, Enqueued, Job, PauseTarget, QueueClient, QueueError};

use crate::harness::{Act, Cameo, Lab, QUEUE, Step, until, worker};
use crate::proxy::Proxy;
use crate::server::{PREFIX, Redis};

/// A server that can be reached over the network as well, and its port.
async fn on_the_network(options: &[&str]) -> (Redis, String) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let network = ["--bind", "127.0.0.1", "--port", &port, "--repl-diskless-sync-delay", "0"];
    (Redis::start_with(&[&network, options].concat()).await, port)
}

/// What a replica has of the queue of most stories: jobs, leases, pauses.
async fn has(server: &Redis) -> (u64, u64, u64) {
    let count = async |command: &str, part: &str| server.ask(&[command, &Redis::key(QUEUE, part)]).await;
    (count("HLEN", "jobs").await, count("ZCARD", "leases").await, count("HLEN", "paused").await)
}

/// Runs a job while `take_over` replaces the primary, and others before and after.
async fn survived(take_over: impl AsyncFnOnce(&mut Redis, &str)) {
    let (mut primary, port) = on_the_network(&[]).await;
    let (replica, replica_port) = on_the_network(&["--replicaof", "127.0.0.1", &port]).await;
    let proxy = Proxy::to(&primary).await;
    let client = QueueClient::connect(&proxy.url(), PREFIX).await.unwrap();
    let lab = Lab::new();
    let working = lab.work(&client, worker(2));
    client.pause(QUEUE, PauseTarget::Job(Cameo::NAME), "ada", "until another has taken over").await.unwrap();
    client.enqueue_many(vec![Act::new("held", &[Step::Gate(1)]).job(), Cameo::job("paused")]).await.unwrap();
    lab.began("held", 1).await;
    until("the replica has it all", async || has(&replica).await == (2, 1, 1)).await;

    let _: String = replica.ask(&["REPLICAOF", "NO", "ONE"]).await;
    take_over(&mut primary, &replica_port).await;
    proxy.lead_to(&replica);
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
    assert!(lab.runs_of("held")[0].ended.is_some() && working.is_running());
}

#[tokio::test]
async fn a_replica_takes_over_from_a_primary_that_died() {
    survived(async |primary, _| primary.kill()).await;
}

#[tokio::test]
async fn a_replica_takes_over_from_a_primary_that_still_answers_but_takes_no_work() {
    survived(async |primary, port| {
        let _: String = primary.ask(&["REPLICAOF", "127.0.0.1", port]).await;
    })
    .await;
}

#[tokio::test]
async fn servers_that_are_no_cluster_are_not_used_as_one() {
    let ((_one, port), (_other, other_port)) = (on_the_network(&[]).await, on_the_network(&[]).await);
    let url = format!("redis://127.0.0.1:{port},127.0.0.1:{other_port}");
    let Err(error) = QueueClient::connect(&url, PREFIX).await else { panic!("connected") };
    assert!(matches!(error, QueueError::Unsuitable { .. }));
    assert!(error.to_string().contains("no cluster"), "{error}");
}
