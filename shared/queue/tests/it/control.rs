//! Stories of pauses: of a queue and of a job type, while work waits and while it arrives.

use queue::{Depth, PauseTarget, QueueError};

use crate::harness::{Act, Cameo, Lab, QUEUE, Step, until, worker};
use crate::server::Redis;

const ALL: PauseTarget<'static> = PauseTarget::Queue;
const CAMEOS: PauseTarget<'static> = PauseTarget::Job("cameo");

#[tokio::test]
async fn a_paused_queue_hands_nothing_out_and_goes_on_where_it_stopped() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(1));
    client.enqueue(Act::new("running", &[Step::Gate(1)]).job()).await.unwrap();
    client.enqueue(Act::new("waits", &[Step::Done]).job()).await.unwrap();
    lab.began("running", 1).await;
    client.pause(QUEUE, ALL, "ada", "the gateway is down").await.unwrap();

    lab.open_gate(1);
    until("the running job ends", async || client.depth(QUEUE).await.unwrap().running == 0).await;
    // Arrives at a queue where an idle worker listens, which is told of it.
    client.enqueue(Act::new("arrives", &[Step::Done]).job()).await.unwrap();
    let delayed = Act::new("delayed", &[Step::Done]).job().after(std::time::Duration::from_millis(1));
    client.enqueue(delayed).await.unwrap();
    server.idle_workers(1).await;
    let held = Depth { ready: 2, scheduled: 1, ..Depth::default() };
    until("the worker has looked", async || {
        client.depth(QUEUE).await.unwrap() == held && !server.all_keys().await.contains(&Redis::key(QUEUE, "wake"))
    })
    .await;
    assert_eq!(lab.names(), ["running"]);
    let pauses = client.pauses(QUEUE).await.unwrap();
    let [(None, pause)] = &pauses[..] else { panic!("{pauses:?}") };
    assert_eq!((pause.by.as_str(), pause.reason.as_str()), ("ada", "the gateway is down"));
    assert!(pause.at_ms > 0);

    assert!(client.resume(QUEUE, ALL).await.unwrap());
    until("all is done", async || client.depth(QUEUE).await.unwrap() == Depth::default()).await;
    let mut names = lab.names();
    assert_eq!(&names[..2], ["running", "waits"]);
    names.sort();
    assert_eq!(names, ["arrives", "delayed", "running", "waits"], "each ran once");
    assert!(!client.resume(QUEUE, ALL).await.unwrap(), "it is not paused any more");
    assert_eq!(client.pauses(QUEUE).await.unwrap(), []);
}

#[tokio::test]
async fn a_paused_job_type_waits_aside_while_others_go_on_and_then_runs_once_in_order() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    client.pause(QUEUE, CAMEOS, "ada", "a bad release").await.unwrap();
    let before: Vec<_> = (0..300).map(|index| Cameo::job(&format!("cameo-{index:04}"))).collect();
    client.enqueue_many(before).await.unwrap();
    client.enqueue(Act::new("other", &[Step::Done]).job()).await.unwrap();
    let worker = lab.work(&client, worker(2));
    lab.began("other", 1).await;
    let after: Vec<_> = (300..600).map(|index| Cameo::job(&format!("cameo-{index:04}"))).collect();
    client.enqueue_many(after).await.unwrap();
    let aside = Depth { limited: 600, ..Depth::default() };
    until("they are set aside", async || client.depth(QUEUE).await.unwrap() == aside).await;
    assert_eq!(lab.names(), ["other"]);

    assert!(client.resume(QUEUE, CAMEOS).await.unwrap());
    until("all is done", async || client.depth(QUEUE).await.unwrap() == Depth::default()).await;
    worker.stop().await.unwrap();
    assert_eq!(lab.names().len(), 601, "each ran once");
    assert!(lab.counts().values().all(|runs| *runs == 1));
    assert_eq!(server.all_keys().await, [Redis::key(QUEUE, "token")], "the gate is gone");
}

#[tokio::test]
async fn pausing_again_replaces_who_and_why_and_both_pauses_must_end() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    for (target, by) in [(CAMEOS, "ada"), (ALL, "ada"), (ALL, "grace")] {
        client.pause(QUEUE, target, by, "maintenance").await.unwrap();
    }
    let pauses = client.pauses(QUEUE).await.unwrap();
    let told: Vec<_> = pauses.iter().map(|(job, pause)| (job.as_deref(), pause.by.as_str())).collect();
    assert_eq!(told, [(None, "grace"), (Some("cameo"), "ada")]);
    client.enqueue(Cameo::job("cameo")).await.unwrap();
    let _worker = lab.work(&client, worker(1));
    assert!(client.resume(QUEUE, ALL).await.unwrap());
    until("it is set aside", async || client.depth(QUEUE).await.unwrap().limited == 1).await;
    assert!(client.resume(QUEUE, CAMEOS).await.unwrap());
    lab.began("cameo", 1).await;
}

#[tokio::test]
async fn a_pause_without_a_reason_or_of_no_name_is_refused() {
    let server = Redis::start().await;
    let client = server.client().await;
    for (queue, target, by, reason) in [
        (QUEUE, ALL, "ada", " "),
        (QUEUE, ALL, "", "why"),
        (QUEUE, PauseTarget::Job("a b"), "ada", "why"),
        (QUEUE, PauseTarget::Job("*"), "ada", "why"),
        ("a}b", ALL, "ada", "why"),
        (QUEUE, ALL, "ada", &"x".repeat(513)),
    ] {
        let refused = client.pause(queue, target, by, reason).await;
        assert!(matches!(refused, Err(QueueError::Invalid { .. })), "{refused:?}");
    }
    assert_eq!(server.all_keys().await, [""; 0]);
}
