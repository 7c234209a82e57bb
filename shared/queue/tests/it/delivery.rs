//! Stories of jobs on their way: at once, in order, in time, all of them, without a trace.

use std::time::{Duration, Instant};

use queue::{Depth, NewJob, Priority};

use crate::harness::{Act, Lab, QUEUE, Step, until, worker};
use crate::server::Redis;

/// Far below the five seconds of a blocking call: a worker that polled would not make it.
const AT_ONCE: Duration = Duration::from_secs(2);

fn acts(prefix: &str, count: usize) -> Vec<NewJob> {
    let names = (0..count).map(|index| format!("{prefix}{index}"));
    names.map(|name| Act::new(&name, &[Step::Done]).job()).collect()
}

#[tokio::test]
async fn an_idle_worker_picks_up_a_new_job_at_once() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(2));
    for name in ["one", "two", "three"] {
        server.idle_workers(1).await;
        let enqueued = Instant::now();
        client.enqueue(Act::new(name, &[Step::Done]).job()).await.unwrap();
        lab.began(name, 1).await;
        let waited = lab.runs_of(name)[0].began - enqueued;
        assert!(waited < AT_ONCE, "{name} waited {waited:?}");
    }
}

#[tokio::test]
async fn one_call_wakes_as_many_idle_workers_as_there_is_work_for() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _workers: Vec<_> = (0..3).map(|_| lab.work(&client, worker(1))).collect();
    server.idle_workers(3).await;
    let enqueued = Instant::now();
    let held = ["a", "b", "c"].map(|name| Act::new(name, &[Step::Gate(1)]).job());
    client.enqueue_many(held.into()).await.unwrap();
    until("all run at once", async || lab.runs().len() == 3).await;
    assert!(enqueued.elapsed() < AT_ONCE);
    lab.open_gate(1);
}

#[tokio::test]
async fn a_delayed_job_runs_when_it_is_due_and_not_before() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(2));
    server.idle_workers(1).await;
    let enqueued = Instant::now();
    let delay = Duration::from_millis(300);
    // The later one first: the worker must learn that something is due earlier than it thinks.
    let later = Act::new("later", &[Step::Done]).job().after(2 * delay);
    client.enqueue(later).await.unwrap();
    let sooner = Act::new("sooner", &[Step::Done]).job().after(delay);
    client.enqueue(sooner).await.unwrap();
    lab.began("later", 1).await;
    assert_eq!(lab.names(), ["sooner", "later"]);
    for (run, delay) in lab.runs().iter().zip([delay, 2 * delay]) {
        let waited = run.began - enqueued;
        assert!(waited >= delay, "{} ran after {waited:?}", run.name);
        assert!(waited < delay + AT_ONCE, "{} ran after {waited:?}", run.name);
    }
}

#[tokio::test]
async fn higher_priority_goes_first_and_equals_keep_their_order() {
    let server = Redis::start().await;
    let client = server.client().await;
    let priorities = [Priority::Low, Priority::Normal, Priority::High];
    let mut jobs = Vec::new();
    for round in ["1", "2"] {
        for priority in priorities {
            let act = Act::new(&format!("{priority:?}{round}"), &[Step::Done]);
            jobs.push(act.job().priority(priority));
        }
    }
    client.enqueue_many(jobs).await.unwrap();
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(1));
    until("all ran", async || lab.runs().len() == 6).await;
    let order = ["High1", "High2", "Normal1", "Normal2", "Low1", "Low2"];
    assert_eq!(lab.names(), order);
}

#[tokio::test]
async fn no_more_jobs_run_at_once_than_asked_for() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(3));
    let held = (0..8).map(|index| Act::new(&format!("held{index}"), &[Step::Gate(1)]).job());
    client.enqueue_many(held.collect()).await.unwrap();
    until("all slots are taken", async || lab.runs().len() == 3).await;
    server.idle_workers(0).await;
    let depth = client.depth(QUEUE).await.unwrap();
    let expected = Depth { ready: 5, running: 3, ..Depth::default() };
    assert_eq!(depth, expected, "jobs are not claimed ahead of a free slot");
    assert_eq!(lab.runs().len(), 3);
    lab.open_gate(1);
    until("all ran", async || lab.counts().len() == 8).await;
}

#[tokio::test]
async fn what_was_held_ahead_does_not_wait_behind_slow_jobs() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _first = lab.work(&client, worker(2));
    // So short that it holds some ahead.
    client.enqueue_many(acts("short", 500)).await.unwrap();
    until("the short ones are done", async || client.depth(QUEUE).await.unwrap() == Depth::default()).await;
    let slow = ["slow1", "slow2"].map(|name| Act::new(name, &[Step::Gate(1)]).job());
    client.enqueue_many(slow.into_iter().chain(acts("held", 5)).collect()).await.unwrap();
    lab.began("slow2", 1).await;
    let _second = lab.work(&client, worker(1));
    lab.began("held4", 1).await;
    let held: Vec<_> = lab.names().into_iter().filter(|name| name.starts_with("held")).collect();
    assert_eq!(held, ["held0", "held1", "held2", "held3", "held4"], "they keep their order");
    let only_slow = Depth { running: 2, ..Depth::default() };
    until("only the slow ones run", async || client.depth(QUEUE).await.unwrap() == only_slow).await;
    lab.open_gate(1);
    until("all are done", async || client.depth(QUEUE).await.unwrap() == Depth::default()).await;
    assert!(lab.counts().values().all(|runs| *runs == 1), "a job ran twice");
}

#[tokio::test]
async fn twelve_thousand_due_jobs_all_run_once_and_leave_nothing() {
    let server = Redis::start().await;
    let client = server.client().await;
    // Due at the same moment, from the scheduled set: what wedges a script that unpacks them all.
    let soon = Duration::from_millis(1);
    let scheduled = acts("scheduled", 9_000).into_iter().map(|job| job.after(soon));
    client.enqueue_many(scheduled.collect()).await.unwrap();
    client.enqueue_many(acts("ready", 3_000)).await.unwrap();
    let lab = Lab::new();
    let first = lab.work(&client, worker(16));
    let second = lab.work(&client, worker(16));
    until("all are settled", async || client.depth(QUEUE).await.unwrap() == Depth::default()).await;
    first.stop().await.unwrap();
    second.stop().await.unwrap();
    let counts = lab.counts();
    assert_eq!(counts.len(), 12_000);
    assert!(counts.values().all(|runs| *runs == 1), "a job ran twice");
    // One counter for the whole queue is all that remains.
    assert_eq!(server.all_keys().await, [Redis::key(QUEUE, "token")]);
}

#[tokio::test]
async fn a_handler_knows_its_run() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(1));
    let job = Act::new("known", &[Step::Done]).job().request_id("req-1").trace_parent("00-trace-01").parent("job-0");
    let id = job.id().to_owned();
    client.enqueue(job).await.unwrap();
    lab.began("known", 1).await;
    let context = lab.runs()[0].context.clone();
    assert_eq!((context.id, context.name), (id, "act"));
    assert_eq!((context.attempt, context.max_attempts), (1, 3));
    assert_eq!(context.queue, QUEUE);
    assert_eq!(context.tenant.as_deref(), Some("acme"));
    assert_eq!(context.request_id.as_deref(), Some("req-1"));
    assert_eq!(context.trace_parent.as_deref(), Some("00-trace-01"));
    assert_eq!(context.parent.as_deref(), Some("job-0"));
}
