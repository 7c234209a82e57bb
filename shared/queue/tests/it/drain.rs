//! Stories of workers that are asked to stop, and of workers that are misconfigured.

use std::time::{Duration, Instant};

use queue::{Depth, QueueError, Registry, WorkerConfig, WorkerHealth, Workers};
use tokio_util::sync::CancellationToken;

use crate::harness::{Act, Lab, QUEUE, Step, until, worker};
use crate::server::Redis;

#[tokio::test]
async fn a_stop_lets_running_jobs_finish_and_leaves_the_rest() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let working = lab.work(&client, worker(2));
    let jobs = vec![
        Act::new("gated", &[Step::Gate(1)]).job(),
        Act::new("polite", &[Step::UntilDraining, Step::Done]).job(),
        Act::new("waiting", &[Step::Done]).job(),
    ];
    client.enqueue_many(jobs).await.unwrap();
    lab.began("polite", 1).await;
    working.ask_to_stop();
    until("the polite one ended", async || lab.runs_of("polite")[0].ended.is_some()).await;
    assert!(working.is_running(), "the gated one still runs");
    lab.open_gate(1);
    working.ended().await.unwrap();
    assert_eq!(lab.names(), ["gated", "polite"]);
    let left = Depth { ready: 2, ..Depth::default() };
    assert_eq!(client.depth(QUEUE).await.unwrap(), left);
    let _worker = lab.work(&client, worker(2));
    lab.began("polite", 2).await;
    lab.began("waiting", 1).await;
    assert_eq!(lab.attempts_of("polite"), [1, 1]);
}

#[tokio::test]
async fn what_outlives_the_grace_period_is_aborted_and_given_back_whole() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let grace = Duration::from_millis(150);
    let working = lab.work(&client, worker(1).grace(grace));
    client.enqueue(Act::new("endless", &[Step::Hang, Step::Done]).job()).await.unwrap();
    lab.began("endless", 1).await;
    let asked = Instant::now();
    working.stop().await.unwrap();
    let took = asked.elapsed();
    assert!(took >= grace && took < grace + Duration::from_secs(5), "{took:?}");
    let left = Depth { ready: 1, ..Depth::default() };
    assert_eq!(client.depth(QUEUE).await.unwrap(), left);
    let _worker = lab.work(&client, worker(1));
    lab.began("endless", 2).await;
    assert_eq!(lab.attempts_of("endless"), [1, 1]);
}

#[tokio::test]
async fn a_worker_that_is_dropped_gives_its_jobs_back_at_once() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let working = lab.work(&client, worker(1));
    client.enqueue(Act::new("cut", &[Step::Hang, Step::Done]).job()).await.unwrap();
    lab.began("cut", 1).await;
    drop(working);
    // With the default lease: its end alone would take ten seconds.
    let dropped = Instant::now();
    let _worker = lab.work(&client, worker(1));
    lab.began("cut", 2).await;
    assert!(dropped.elapsed() < WorkerConfig::DEFAULT_LEASE / 2);
    assert_eq!(lab.attempts_of("cut"), [1, 1]);
}

#[tokio::test]
async fn a_stop_without_redis_ends_all_the_same() {
    let mut server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let working = lab.work(&client, worker(1).grace(Duration::from_millis(50)));
    client.enqueue(Act::new("cut", &[Step::Hang]).job()).await.unwrap();
    lab.began("cut", 1).await;
    server.kill();
    working.stop().await.unwrap();
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused_at_the_start() {
    let server = Redis::start().await;
    let client = server.client().await;
    let run = async |config: WorkerConfig, registry: Registry<Lab>| {
        let workers =
            Workers { client: client.clone(), registry, context: Lab::new(), config, health: WorkerHealth::default() };
        workers.run(CancellationToken::new()).await.unwrap_err()
    };
    let one = || Registry::new().register::<Act>();
    let refused = [
        (worker(0), "concurrency 0"),
        (worker(1_001), "concurrency 1001"),
        (worker(1).queue(QUEUE, 2), "listed twice"),
        (worker(1).queue("a b", 2), "\"a b\""),
        (worker(1).lease(Duration::from_millis(1)), "lease"),
        (WorkerConfig::new("no good name"), "worker name"),
    ];
    for (config, hint) in refused {
        let error = run(config, one()).await;
        assert!(matches!(error, QueueError::Invalid { .. }));
        assert!(error.to_string().contains(hint), "{error}");
    }
    let error = run(worker(1), one().register::<Act>()).await;
    assert!(error.to_string().contains("registered twice"), "{error}");
    let error = run(WorkerConfig::new("idle"), one()).await;
    assert!(matches!(error, QueueError::Worker { .. }), "{error}");
}
