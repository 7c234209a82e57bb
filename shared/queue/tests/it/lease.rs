//! Stories of workers that are slow, silent or gone, and of who may then say how a job ended.

use std::time::Duration;

use queue::{Depth, QueueClient, WorkerConfig};

use crate::dead_state::all_dead;
use crate::harness::{Act, Lab, QUEUE, Step, until, worker};
use crate::proxy::Proxy;
use crate::server::{PREFIX, Redis};

const SHORT: Duration = Duration::from_millis(600);

fn short_lease() -> WorkerConfig {
    worker(1).lease(SHORT)
}

async fn through(proxy: &Proxy) -> QueueClient {
    QueueClient::connect(&proxy.url(), PREFIX).await.unwrap()
}

async fn empty(client: &QueueClient) {
    until("nothing is left", async || client.depth(QUEUE).await.unwrap() == Depth::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_worker_keeps_its_jobs_even_if_handlers_block_every_thread() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _busy = lab.work(&client, worker(2).lease(SHORT));
    let block = [Step::Block(2_000)];
    let jobs = vec![Act::new("a", &block).job(), Act::new("b", &block).job()];
    client.enqueue_many(jobs).await.unwrap();
    lab.began("a", 1).await;
    let _rival = lab.work(&client, short_lease());
    empty(&client).await;
    assert_eq!((lab.attempts_of("a"), lab.attempts_of("b")), (vec![1], vec![1]));
}

#[tokio::test]
async fn a_silent_workers_job_runs_elsewhere_and_its_late_outcome_is_refused() {
    let server = Redis::start().await;
    let client = server.client().await;
    let proxy = Proxy::to(&server).await;
    let lab = Lab::new();
    let zombie = lab.work(&through(&proxy).await, short_lease());
    // Only the second run waits at the gate; the first ends while its line is cut.
    let act = Act::new("shared", &[Step::UntilLost, Step::Gate(1)]);
    client.enqueue(act.job()).await.unwrap();
    lab.began("shared", 1).await;
    proxy.cut();
    let _heir = lab.work(&client, short_lease());
    lab.began("shared", 2).await;
    assert_eq!(lab.attempts_of("shared"), [1, 2]);

    proxy.heal();
    // The heir's one slot is taken, so only the zombie can run this, after it said how its run ended.
    client.enqueue(Act::new("probe", &[Step::Done]).job()).await.unwrap();
    lab.began("probe", 1).await;
    assert!(lab.runs_of("shared")[0].context.lease_lost());
    until("the probe is settled", async || client.depth(QUEUE).await.unwrap().running == 1).await;
    assert!(lab.runs_of("shared")[1].ended.is_none());

    lab.open_gate(1);
    empty(&client).await;
    assert_eq!(lab.attempts_of("shared"), [1, 2]);
    assert!(zombie.is_running());
}

#[tokio::test]
async fn at_default_settings_a_killed_workers_job_runs_again_within_fifteen_seconds() {
    let server = Redis::start().await;
    let client = server.client().await;
    let proxy = Proxy::to(&server).await;
    let lab = Lab::new();
    let _victim = lab.work(&through(&proxy).await, worker(1));
    client.enqueue(Act::new("left", &[Step::Hang, Step::Done]).job()).await.unwrap();
    lab.began("left", 1).await;
    let _heir = lab.work(&client, worker(1));
    server.idle_workers(1).await;
    proxy.cut();
    let killed = std::time::Instant::now();
    lab.began("left", 2).await;
    assert!(killed.elapsed() < Duration::from_secs(15), "{:?}", killed.elapsed());
}

#[tokio::test]
async fn an_outcome_kept_over_a_long_silence_is_refused_by_redis() {
    let server = Redis::start().await;
    let client = server.client().await;
    let proxy = Proxy::to(&server).await;
    let lab = Lab::new();
    let zombie = lab.work(&through(&proxy).await, short_lease());
    let act = Act::new("late", &[Step::FatalAtGate(1), Step::Gate(2)]);
    client.enqueue(act.job()).await.unwrap();
    lab.began("late", 1).await;
    proxy.cut();
    lab.open_gate(1);
    until("the first run ended", async || lab.runs()[0].ended.is_some()).await;
    let _heir = lab.work(&client, short_lease());
    lab.began("late", 2).await;
    proxy.heal();
    client.enqueue(Act::new("probe", &[Step::Done]).job()).await.unwrap();
    lab.began("probe", 1).await;
    until("the probe is settled", async || client.depth(QUEUE).await.unwrap().running == 1).await;
    assert!(lab.runs_of("late")[1].ended.is_none(), "the heir still has it");
    assert_eq!(client.depth(QUEUE).await.unwrap().dead, 0);
    lab.open_gate(2);
    empty(&client).await;
    assert_eq!(lab.attempts_of("late"), [1, 2]);
    assert!(zombie.is_running());
}

#[tokio::test]
async fn a_job_that_takes_its_worker_with_it_every_time_becomes_a_dead_letter() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    client.enqueue(Act::new("killer", &[Step::Hang]).job()).await.unwrap();
    for life in 1..=3 {
        let proxy = Proxy::to(&server).await;
        let victim = lab.work(&through(&proxy).await, short_lease());
        lab.began("killer", life).await;
        proxy.cut();
        drop(victim);
    }
    let survivor = lab.work(&client, short_lease());
    until("it is dead", async || client.depth(QUEUE).await.unwrap().dead == 1).await;
    assert_eq!(lab.attempts_of("killer"), [1, 2, 3], "never begun a fourth time");
    let letter = all_dead(&client).await.remove(0);
    let codes: Vec<&str> = letter.history.iter().map(|failure| failure.code.as_str()).collect();
    let expired = "lease_expired";
    assert_eq!(codes, [expired, expired, expired, "attempts_exhausted"]);
    survivor.stop().await.unwrap();
}

#[tokio::test]
async fn jobs_claimed_in_a_reply_that_was_lost_run_at_once_and_spend_no_attempt() {
    let server = Redis::start().await;
    let client = server.client().await;
    let proxy = Proxy::to(&server).await;
    let lab = Lab::new();
    // With the default lease, so that waiting for its end would take far too long.
    let _worker = lab.work(&through(&proxy).await, worker(4));
    server.idle_workers(1).await;
    let jobs: Vec<_> = ["a", "b"].map(|name| Act::new(name, &[Step::Done]).job()).into();
    proxy.lose_reply_with(jobs[0].id());
    let enqueued = std::time::Instant::now();
    client.enqueue_many(jobs).await.unwrap();
    empty(&client).await;
    assert!(proxy.lost_it());
    assert!(enqueued.elapsed() < WorkerConfig::DEFAULT_LEASE / 2);
    assert_eq!((lab.attempts_of("a"), lab.attempts_of("b")), (vec![1], vec![1]));
}
