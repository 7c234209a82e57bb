//! Stories of finding the right node, and the right cluster.

use queue::{Depth, QueueClient, QueueError};

use crate::harness::{Act, Lab, QUEUE, Step, until, worker};
use crate::nodes::primary_of;
use crate::server::{PREFIX, Redis};

#[tokio::test]
async fn any_one_node_leads_to_everything() {
    let server = Redis::start().await;
    for (at, node) in server.nodes().all.iter().enumerate() {
        let url = format!("redis+cluster://127.0.0.1:{}", node.port);
        let client = QueueClient::connect(&url, PREFIX).await.unwrap();
        let generation = format!("generation {at}");
        client.set_generation(&generation).await.unwrap();
        client.enqueue(Act::new("act", &[Step::Done]).job()).await.unwrap();
        let client = server.client().await;
        assert_eq!(client.depth(QUEUE).await.unwrap().ready, at as u64 + 1);
        assert_eq!(client.generation().await.unwrap(), Some(generation));
    }
    let lab = Lab::new();
    let client = QueueClient::connect(&server.url(), PREFIX).await.unwrap();
    let _worker = lab.work(&client, worker(1));
    until("nothing is left", async || client.depth(QUEUE).await.unwrap() == Depth::default()).await;
    assert_eq!(lab.runs().len(), 3);
}

#[tokio::test]
async fn nodes_that_are_down_are_passed_over() {
    let server = Redis::start().await;
    // Nobody listens on the lowest ports.
    let url = format!("redis://127.0.0.1:1,127.0.0.1:2,127.0.0.1:3,{}", server.place());
    let client = QueueClient::connect(&url, PREFIX).await.unwrap();
    client.enqueue(Act::new("act", &[Step::Done]).job()).await.unwrap();
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(1));
    lab.began("act", 1).await;
}

#[tokio::test]
async fn a_script_that_its_node_forgot_is_loaded_there_and_nowhere_else() {
    let server = Redis::start().await;
    let client = server.client().await;
    client.enqueue(Act::new("one", &[Step::Done]).job()).await.unwrap();
    let _: String = server.ask(&["SCRIPT", "FLUSH"]).await;
    client.enqueue(Act::new("two", &[Step::Done]).job()).await.unwrap();
    assert_eq!(client.depth(QUEUE).await.unwrap().ready, 2);
    let home = primary_of(&Redis::key(QUEUE, "jobs"));
    for (at, node) in server.nodes().all.iter().enumerate() {
        let info: redis::InfoDict = node.ask(&["INFO", "memory"]).await;
        let scripts: u64 = info.get("number_of_cached_scripts").unwrap();
        assert_eq!(scripts, if at == home { 2 } else { 0 }, "enqueue and depth, where the queue is");
    }
}

#[tokio::test]
async fn one_node_that_would_evict_jobs_is_enough_to_refuse_the_cluster() {
    let server = Redis::start().await;
    for node in &server.nodes().all {
        let _: String = node.ask(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]).await;
        let Err(error) = QueueClient::connect(&server.url(), PREFIX).await else { panic!("connected") };
        assert!(matches!(error, QueueError::Unsuitable { .. }));
        assert!(error.to_string().contains("volatile-ttl"), "{error}");
        let _: String = node.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    }
    QueueClient::connect(&server.url(), PREFIX).await.unwrap();
}
