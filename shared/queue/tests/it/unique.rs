//! Stories of unique keys: who holds one, and until when.

use queue::{Depth, Enqueued, Requeued};

use crate::dead_state::by;
use crate::harness::{Act, Lab, QUEUE, Scope, Step, until, worker};
use crate::server::Redis;

fn waiting(name: &str, steps: &[Step]) -> Act {
    Act::new(name, steps).unique("the key", Scope::Waiting)
}

fn to_the_end(name: &str, steps: &[Step]) -> Act {
    Act::new(name, steps).unique("the key", Scope::WaitingOrRunning)
}

#[tokio::test]
async fn duplicates_are_found_within_a_call_and_between_calls() {
    let server = Redis::start().await;
    let client = server.client().await;
    let other = Act::new("other", &[Step::Done]).unique("another key", Scope::Waiting);
    let jobs = vec![
        waiting("first", &[Step::Done]).job(),
        Act::new("plain", &[Step::Done]).job(),
        waiting("second", &[Step::Done]).job(),
        other.job(),
    ];
    let results = client.enqueue_many(jobs).await.unwrap();
    use Enqueued::{Added, Duplicate};
    assert_eq!(results, [Added, Added, Duplicate, Added]);
    let third = waiting("third", &[Step::Done]).job();
    assert_eq!(client.enqueue(third).await.unwrap(), Duplicate);
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(1));
    until("all ran", async || client.depth(QUEUE).await.unwrap() == Depth::default()).await;
    assert_eq!(lab.names(), ["first", "plain", "other"]);
    assert_eq!(server.all_keys().await, [Redis::key(QUEUE, "token")]);
}

#[tokio::test]
async fn a_waiting_key_is_free_while_the_job_runs_and_taken_again_for_a_retry() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(1));
    client.enqueue(waiting("held", &[Step::Gate(1)]).job()).await.unwrap();
    lab.began("held", 1).await;
    let next = waiting("next", &[Step::RetryAfter(60_000)]);
    assert_eq!(client.enqueue(next.job()).await.unwrap(), Enqueued::Added);
    assert_eq!(client.enqueue(next.job()).await.unwrap(), Enqueued::Duplicate);
    lab.open_gate(1);
    until("the next waits for its retry", async || client.depth(QUEUE).await.unwrap().scheduled == 1).await;
    assert_eq!(client.enqueue(next.job()).await.unwrap(), Enqueued::Duplicate);
}

#[tokio::test]
async fn a_key_held_to_the_end_is_given_back_by_every_end() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(1));
    for (name, last) in [("done", Step::Gate(1)), ("gone", Step::Cancel), ("dead", Step::Fatal)] {
        let act = to_the_end(name, &[Step::Snooze(1), Step::Retry, last]);
        until("the key is free", async || client.enqueue(act.job()).await.unwrap() == Enqueued::Added).await;
        if name == "done" {
            lab.began(name, 3).await;
            let other = to_the_end("other", &[Step::Done]).job();
            assert_eq!(client.enqueue(other).await.unwrap(), Enqueued::Duplicate);
            lab.open_gate(1);
        }
    }
    until("the last died", async || {
        let depth = client.depth(QUEUE).await.unwrap();
        depth == Depth { dead: 1, ..Depth::default() }
    })
    .await;
    assert!(!server.all_keys().await.contains(&Redis::key(QUEUE, "unique")));
    assert!(!lab.names().contains(&"other".to_owned()));
}

#[tokio::test]
async fn a_dead_letter_is_not_requeued_beside_work_of_the_same_key() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let working = lab.work(&client, worker(1));
    let dead = to_the_end("dead", &[Step::Fatal, Step::Done]).job();
    let id = dead.id().to_owned();
    client.enqueue(dead).await.unwrap();
    until("it died", async || client.depth(QUEUE).await.unwrap().dead == 1).await;
    working.stop().await.unwrap();

    let other = to_the_end("other", &[Step::Done]).job();
    assert_eq!(client.enqueue(other).await.unwrap(), Enqueued::Added);
    assert_eq!(client.requeue_dead(QUEUE, &id, &by()).await.unwrap(), Requeued::Duplicate);
    let _worker = lab.work(&client, worker(1));
    until("the key is free", async || client.requeue_dead(QUEUE, &id, &by()).await.unwrap() == Requeued::Requeued)
        .await;
    lab.began("dead", 2).await;
}
