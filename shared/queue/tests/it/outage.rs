//! Stories of a Redis that stops, forgets, hesitates, fills up or should not be used at all.

use std::time::Duration;

use queue::{Depth, Enqueued, QueueClient, QueueError};

use crate::harness::{Act, Lab, QUEUE, Scope, Step, until, worker};
use crate::server::{PREFIX, Redis};

async fn empty(client: &QueueClient) {
    until("nothing is left", async || matches!(client.depth(QUEUE).await, Ok(depth) if depth == Depth::default()))
        .await;
}

/// Enqueues as soon as Redis takes it.
async fn enqueue_soon(client: &QueueClient, act: &Act) {
    until("Redis takes a job", async || matches!(client.enqueue(act.job()).await, Ok(Enqueued::Added))).await;
}

#[tokio::test]
async fn a_restart_with_data_loses_nothing_and_disturbs_no_handler() {
    let mut server = Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let client = server.client().await;
    let lab = Lab::new();
    let working = lab.work(&client, worker(1));
    let jobs = vec![Act::new("held", &[Step::Gate(1)]).job(), Act::new("waiting", &[Step::Done]).job()];
    client.enqueue_many(jobs).await.unwrap();
    lab.began("held", 1).await;
    server.kill();
    lab.open_gate(1);
    until("the run ended", async || lab.runs()[0].ended.is_some()).await;
    server.restart().await;
    empty(&client).await;
    assert_eq!((lab.attempts_of("held"), lab.attempts_of("waiting")), (vec![1], vec![1]));
    assert!(working.is_running());
}

#[tokio::test]
async fn a_restart_without_data_lets_handlers_finish_and_new_work_start() {
    let mut server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let working = lab.work(&client, worker(2));
    client.enqueue(Act::new("held", &[Step::Gate(1)]).job()).await.unwrap();
    lab.began("held", 1).await;
    server.kill();
    server.restart().await;
    enqueue_soon(&client, &Act::new("new", &[Step::Done])).await;
    lab.began("new", 1).await;
    lab.open_gate(1);
    until("the run ended", async || lab.runs()[0].ended.is_some()).await;
    empty(&client).await;
    assert_eq!(lab.names(), ["held", "new"]);
    assert!(working.is_running());
}

#[tokio::test]
async fn losing_every_key_and_script_while_jobs_run_stops_nobody() {
    let server = Redis::start().await;
    let client = server.client().await;
    client.set_generation("g1").await.unwrap();
    let lab = Lab::new();
    let working = lab.work(&client, worker(2).lease(Duration::from_millis(600)));
    let held = Act::new("held", &[Step::Gate(1)]).unique("key", Scope::WaitingOrRunning);
    client.enqueue(held.job()).await.unwrap();
    lab.began("held", 1).await;
    assert_eq!(client.generation().await.unwrap().as_deref(), Some("g1"));

    let _: String = server.ask(&["FLUSHALL"]).await;
    let _: String = server.ask(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(client.generation().await.unwrap(), None);
    // The key went with the job, so the work can be enqueued again at once, and runs at once.
    let again = Act::new("again", &[Step::Done]).unique("key", Scope::WaitingOrRunning);
    assert_eq!(client.enqueue(again.job()).await.unwrap(), Enqueued::Added);
    lab.began("again", 1).await;
    let run = lab.runs()[0].clone();
    until("the handler can know", async || run.context.lease_lost()).await;
    assert!(run.context.cancelled() && !run.context.is_draining());
    lab.open_gate(1);
    until("the run ended", async || lab.runs()[0].ended.is_some()).await;
    empty(&client).await;
    assert_eq!(lab.names(), ["held", "again"]);
    assert!(working.is_running());
    working.stop().await.unwrap();
}

#[tokio::test]
async fn a_redis_that_hesitates_longer_than_a_lease_runs_nothing_twice() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let lease = Duration::from_millis(500);
    let working = lab.work(&client, worker(2).lease(lease));
    client.enqueue(Act::new("held", &[Step::Gate(1)]).job()).await.unwrap();
    lab.began("held", 1).await;
    server.signal("STOP");
    // The pause itself is the story here: longer than the lease and than clients wait by default.
    tokio::time::sleep(3 * lease).await;
    lab.open_gate(1);
    until("the run ended", async || lab.runs()[0].ended.is_some()).await;
    server.signal("CONT");
    client.enqueue(Act::new("next", &[Step::Done]).job()).await.unwrap();
    lab.began("next", 1).await;
    empty(&client).await;
    assert_eq!(lab.attempts_of("held"), [1]);
    assert!(working.is_running());
}

#[tokio::test]
async fn with_memory_full_new_work_is_refused_and_the_queue_still_drains() {
    let server = Redis::start().await;
    let client = server.client().await;
    let names = (0..50).map(|index| format!("act{index}"));
    let jobs = names.map(|name| Act::new(&name, &[Step::Snooze(1), Step::Done]).job());
    client.enqueue_many(jobs.collect()).await.unwrap();
    let _: String = server.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let refused = client.enqueue(Act::new("refused", &[Step::Done]).job()).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, QueueError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("OOM"), "{error}");
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(8));
    empty(&client).await;
    assert_eq!(lab.counts().len(), 50);
    assert!(lab.counts().values().all(|runs| *runs == 2));
}

#[tokio::test]
async fn a_redis_that_would_evict_jobs_is_not_used() {
    let server = Redis::start_with(&["--maxmemory-policy", "allkeys-lru"]).await;
    let Err(error) = QueueClient::connect(&server.url(), PREFIX).await else { panic!("connected") };
    assert!(matches!(error, QueueError::Unsuitable { .. }));
    let text = error.to_string();
    assert!(text.contains("allkeys-lru") && text.contains("noeviction"), "{text}");
}
