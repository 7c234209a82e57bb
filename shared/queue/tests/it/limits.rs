//! Stories of limits that hold across workers: concurrency, rates, both, and while they are changed.

use std::time::{Duration, Instant};

use queue::{Depth, Limit, LimitStatus, QueueClient, QueueError, Rate, WorkerConfig};

use crate::harness::{Act, Lab, QUEUE, Run, Step, until, worker};
use crate::proxy::Proxy;
use crate::server::{PREFIX, Redis};

const KEY: &str = "gateway:stripe";

fn at_once(most: u32) -> Limit {
    Limit { concurrency: Some(most), rate: None }
}

fn per_second(units: u32, burst: u32) -> Limit {
    Limit { concurrency: None, rate: Some(Rate { units, per: Duration::from_secs(1), burst }) }
}

fn limited(name: &str, steps: &[Step]) -> Act {
    Act::new(name, steps).limit(KEY, 1)
}

async fn all_done(client: &QueueClient) {
    until("all is done", async || client.depth(QUEUE).await.unwrap() == Depth::default()).await;
}

async fn limit_of(client: &QueueClient, key: &str) -> LimitStatus {
    let limits = client.limits(QUEUE).await.unwrap();
    limits.into_iter().find(|status| status.key == key).unwrap()
}

/// The most runs that went on at the same moment.
fn most_at_once(runs: &[Run]) -> usize {
    let overlap = |run: &Run| {
        let others = runs.iter().filter(|other| other.began <= run.began);
        others.filter(|other| other.ended.is_none_or(|ended| ended > run.began)).count()
    };
    runs.iter().map(overlap).max().unwrap_or_default()
}

#[tokio::test]
async fn a_concurrency_limit_holds_across_workers_and_those_that_wait_hold_no_slot() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    client.set_limit(QUEUE, KEY, &at_once(2)).await.unwrap();
    let jobs: Vec<_> =
        (0..40).map(|index| limited(&format!("limited-{index}"), &[Step::Snooze(1), Step::Done]).job()).collect();
    client.enqueue_many(jobs).await.unwrap();
    client.enqueue_many(vec![limited("slow", &[Step::Gate(1)]).job()]).await.unwrap();
    let free: Vec<_> = (0..10).map(|index| Act::new(&format!("free-{index}"), &[Step::Gate(1)]).job()).collect();
    client.enqueue_many(free).await.unwrap();
    // Two slots for the limited ones, ten that must stay open for the others.
    let _workers = [lab.work(&client, worker(6)), lab.work(&client, worker(6))];
    for index in 0..10 {
        lab.began(&format!("free-{index}"), 1).await;
    }
    until("all but the slow one are done", async || client.depth(QUEUE).await.unwrap().running == 11).await;
    until("none is parked", async || client.depth(QUEUE).await.unwrap() == Depth { running: 11, ..Depth::default() })
        .await;
    assert_eq!(
        limit_of(&client, KEY).await,
        LimitStatus { key: KEY.into(), limit: Some(at_once(2)), in_use: 1, parked: 0 }
    );
    lab.open_gate(1);
    all_done(&client).await;
    let mut runs = lab.runs();
    runs.retain(|run| !run.name.starts_with("free"));
    assert_eq!(runs.len(), 81);
    assert!(most_at_once(&runs) <= 2, "{}", most_at_once(&runs));
}

#[tokio::test]
async fn the_limit_is_exact_again_after_a_worker_was_lost() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    client.set_limit(QUEUE, KEY, &at_once(2)).await.unwrap();
    let proxy = Proxy::to(&server).await;
    let short = || -> WorkerConfig { worker(4).lease(Duration::from_millis(1_000)) };
    let through = QueueClient::connect(&proxy.url(), PREFIX).await.unwrap();
    let victim = lab.work(&through, short());
    let names = ["a", "b", "c", "d"];
    let jobs = names.map(|name| limited(name, &[Step::Gate(1)]).job()).into();
    client.enqueue_many(jobs).await.unwrap();
    lab.began("a", 1).await;
    lab.began("b", 1).await;
    until("two wait", async || limit_of(&client, KEY).await.parked == 2).await;
    proxy.cut();
    drop(victim);

    let _heir = lab.work(&client, short());
    until("the heir runs two", async || lab.runs().len() == 4).await;
    let status = limit_of(&client, KEY).await;
    assert_eq!((status.in_use, status.parked), (2, 2));
    lab.open_gate(1);
    all_done(&client).await;
    assert_eq!(limit_of(&client, KEY).await.in_use, 0);
    let heirs = &lab.runs()[2..];
    assert_eq!((heirs.len(), most_at_once(heirs)), (4, 2));
    assert_eq!((lab.attempts_of("a"), lab.attempts_of("c")), (vec![1, 2], vec![1]));
}

#[tokio::test]
async fn a_rate_limit_counts_cost_and_lets_a_burst_through() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    // Ten units at once, then one every 20 ms.
    client.set_limit(QUEUE, KEY, &per_second(50, 10)).await.unwrap();
    let jobs: Vec<_> =
        (0..8).map(|index| Act::new(&format!("job-{index}"), &[Step::Done]).limit(KEY, 5).job()).collect();
    client.enqueue_many(jobs).await.unwrap();
    let _worker = lab.work(&client, worker(8));
    all_done(&client).await;
    let runs = lab.runs();
    assert_eq!(runs.len(), 8);
    let first = runs[0].began;
    // The first two are the burst; the other six cost thirty units, which take 600 ms. Claims are told a little
    // after they are made, so a few milliseconds may be missing.
    let slack = Duration::from_millis(30);
    for (index, run) in runs.iter().enumerate().skip(3) {
        let units = (index as u32 - 1) * 5;
        let earliest = Duration::from_millis(20) * units;
        let took = run.began.duration_since(first);
        assert!(took + slack >= earliest, "run {index} began after {took:?}");
    }
    assert!(runs[7].began.duration_since(first) + slack >= Duration::from_millis(600));
}

#[tokio::test]
async fn jobs_that_wait_for_a_rate_keep_their_order() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    client.set_limit(QUEUE, KEY, &per_second(1_000, 10)).await.unwrap();
    let jobs: Vec<_> =
        (0..60).map(|index| Act::new(&format!("job-{index:02}"), &[Step::Done]).limit(KEY, 5).job()).collect();
    client.enqueue_many(jobs).await.unwrap();
    let _worker = lab.work(&client, worker(1));
    all_done(&client).await;
    assert_eq!(lab.names().len(), 60);
    assert!(lab.names().is_sorted(), "{:?}", lab.names());
}

#[tokio::test]
async fn a_job_that_costs_more_than_the_burst_runs_when_nothing_is_owed() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    client.set_limit(QUEUE, KEY, &per_second(100, 2)).await.unwrap();
    let jobs = ["one", "two"].map(|name| Act::new(name, &[Step::Done]).limit(KEY, 10).job()).into();
    client.enqueue_many(jobs).await.unwrap();
    let _worker = lab.work(&client, worker(2));
    all_done(&client).await;
    let runs = lab.runs();
    assert!(runs[1].began.duration_since(runs[0].began) >= Duration::from_millis(70), "ten units take 100 ms");
}

#[tokio::test]
async fn a_limit_can_be_changed_and_removed_while_jobs_wait_for_it() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    client.set_limit(QUEUE, KEY, &at_once(0)).await.unwrap();
    let jobs = (0..6).map(|index| limited(&format!("job-{index}"), &[Step::Gate(1)]).job()).collect();
    client.enqueue_many(jobs).await.unwrap();
    let _workers = [lab.work(&client, worker(4)), lab.work(&client, worker(4))];
    let stands = async |running: u64, parked: u64| {
        let what = format!("{running} run and {parked} wait");
        until(&what, async || {
            let depth = client.depth(QUEUE).await.unwrap();
            (depth.running, depth.limited, depth.ready) == (running, parked, 0)
        })
        .await;
    };
    stands(0, 6).await;
    client.set_limit(QUEUE, KEY, &at_once(1)).await.unwrap();
    stands(1, 5).await;
    client.set_limit(QUEUE, KEY, &at_once(3)).await.unwrap();
    stands(3, 3).await;
    client.set_limit(QUEUE, KEY, &at_once(1)).await.unwrap();
    assert_eq!(limit_of(&client, KEY).await.in_use, 3, "running jobs run on");
    assert!(client.remove_limit(QUEUE, KEY).await.unwrap());
    stands(6, 0).await;
    assert!(!client.remove_limit(QUEUE, KEY).await.unwrap());
    let counted = LimitStatus { key: KEY.into(), limit: None, in_use: 6, parked: 0 };
    assert_eq!(client.limits(QUEUE).await.unwrap(), [counted]);
    lab.open_gate(1);
    all_done(&client).await;
    until("nothing is left of it", async || client.limits(QUEUE).await.unwrap().is_empty()).await;
    assert!(lab.counts().values().all(|runs| *runs == 1));
}

#[tokio::test]
async fn both_limits_of_a_job_hold_and_neither_is_taken_while_it_waits_for_the_other() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    client.set_limit(QUEUE, KEY, &at_once(3)).await.unwrap();
    client.set_limit(QUEUE, "tenant:acme", &at_once(1)).await.unwrap();
    let both = |name: &str, gate| Act::new(name, &[Step::Gate(gate)]).limit(KEY, 1).limit("tenant:acme", 1).job();
    let jobs = vec![both("both-1", 1), both("both-2", 1), both("both-3", 1)];
    client.enqueue_many(jobs).await.unwrap();
    let others = ["one", "two", "three"].map(|name| limited(name, &[Step::Gate(2)]).job()).into();
    client.enqueue_many(others).await.unwrap();
    let _worker = lab.work(&client, worker(8));
    until("three run", async || client.depth(QUEUE).await.unwrap().running == 3).await;
    until("three wait", async || client.depth(QUEUE).await.unwrap().limited == 3).await;
    let in_use = async |key| limit_of(&client, key).await.in_use;
    assert_eq!((in_use(KEY).await, in_use("tenant:acme").await), (3, 1));
    lab.open_gate(1);
    until("one by one they get through", async || {
        ["both-1", "both-2", "both-3"].iter().all(|name| lab.runs_of(name).iter().any(|run| run.ended.is_some()))
    })
    .await;
    lab.open_gate(2);
    all_done(&client).await;
    let runs: Vec<Run> = lab.runs().into_iter().filter(|run| run.name.starts_with("both")).collect();
    assert_eq!((runs.len(), most_at_once(&runs)), (3, 1));
}

#[tokio::test]
async fn every_way_out_of_a_run_gives_its_share_back() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    client.set_limit(QUEUE, KEY, &at_once(1)).await.unwrap();
    let ways: [(&str, &[Step]); 8] = [
        ("done", &[Step::Done]),
        ("cancelled", &[Step::Cancel]),
        ("snoozed", &[Step::Snooze(1), Step::Done]),
        ("snoozed-for-nothing", &[Step::Snooze(0), Step::Done]),
        ("retried", &[Step::Retry, Step::Done]),
        ("panicked", &[Step::Panic, Step::Done]),
        ("dead", &[Step::Fatal]),
        ("last", &[Step::Done]),
    ];
    client.enqueue_many(ways.map(|(name, steps)| limited(name, steps).job()).into()).await.unwrap();
    let _worker = lab.work(&client, worker(3));
    until("all have ended", async || client.depth(QUEUE).await.unwrap() == Depth { dead: 1, ..Depth::default() }).await;
    assert_eq!(limit_of(&client, KEY).await.in_use, 0);
    let mut runs = lab.runs();
    assert_eq!(runs.len(), 12);
    // A run that panicked never says that it ended.
    runs.retain(|run| run.name != "panicked");
    assert_eq!(most_at_once(&runs), 1);
}

#[tokio::test]
async fn waiting_for_a_slot_ends_at_once_when_one_is_given_back() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    client.set_limit(QUEUE, KEY, &at_once(1)).await.unwrap();
    client.enqueue(limited("first", &[Step::Gate(1)]).job()).await.unwrap();
    let _holder = lab.work(&client, worker(1));
    lab.began("first", 1).await;
    let _idle = lab.work(&client, worker(1));
    client.enqueue(limited("second", &[Step::Done]).job()).await.unwrap();
    until("it waits", async || client.depth(QUEUE).await.unwrap().limited == 1).await;
    let opened = Instant::now();
    lab.open_gate(1);
    lab.began("second", 1).await;
    assert!(opened.elapsed() < Duration::from_secs(1), "{:?}", opened.elapsed());
}

#[tokio::test]
async fn limits_that_make_no_sense_are_refused() {
    let server = Redis::start().await;
    let client = server.client().await;
    for (key, limit) in
        [("", at_once(1)), ("a b", at_once(1)), ("a=b", at_once(1)), (KEY, Limit::default()), (KEY, per_second(0, 1))]
    {
        let refused = client.set_limit(QUEUE, key, &limit).await;
        assert!(matches!(refused, Err(QueueError::Invalid { .. })), "{key:?} {refused:?}");
    }
    assert_eq!(server.all_keys().await, [""; 0]);
}
