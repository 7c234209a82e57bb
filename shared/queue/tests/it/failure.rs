//! Stories of runs that fail: again, later, never; and of bytes that are no job at all.

use std::time::Duration;

use queue::{DeadLetter, Depth, NewJob, QueueClient, Requeued};

use crate::dead_state::{all_dead, by};
use crate::harness::{Act, Hasty, Lab, QUEUE, Step, until, worker};
use crate::server::Redis;

async fn dead(client: &QueueClient, count: u64) -> Vec<DeadLetter> {
    until("there are dead letters", async || {
        let depth = client.depth(QUEUE).await.unwrap();
        depth.dead == count && depth.running == 0
    })
    .await;
    all_dead(client).await
}

fn codes(letter: &DeadLetter) -> Vec<(u32, &str)> {
    let history = letter.history.iter();
    history.map(|failure| (failure.attempt, failure.code.as_str())).collect()
}

#[tokio::test]
async fn an_exhausted_job_is_a_dead_letter_with_its_whole_history_and_can_be_requeued() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(2));
    let steps = [Step::Retry, Step::Panic, Step::Retry, Step::Done];
    let job = Act::new("stubborn", &steps).job();
    let id = job.id().to_owned();
    client.enqueue(job).await.unwrap();

    let letters = dead(&client, 1).await;
    let [letter] = &letters[..] else { panic!("one dead letter: {letters:?}") };
    assert_eq!(letter.id, id);
    assert_eq!((letter.job.as_str(), letter.attempts), ("act", 3));
    assert_eq!(letter.tenant.as_deref(), Some("acme"));
    assert!(letter.payload.contains("stubborn"));
    assert!(letter.died_at_ms > 0 && letter.history[0].at > 0);
    assert_eq!(codes(letter), [(1, "try_again"), (2, "panic"), (3, "try_again")]);
    assert_eq!(letter.history[1].message, "the handler fell over");
    assert!(letter.history[1].worker.starts_with("tester-"));
    assert_eq!(lab.attempts_of("stubborn"), [1, 2, 3]);
    assert_eq!(client.dead_letter(QUEUE, &id).await.unwrap().as_ref(), Some(letter));

    assert_eq!(client.requeue_dead(QUEUE, &id, &by()).await.unwrap(), Requeued::Requeued);
    lab.began("stubborn", 4).await;
    assert_eq!(lab.attempts_of("stubborn"), [1, 2, 3, 1]);
    until("it is done", async || client.depth(QUEUE).await.unwrap() == Depth::default()).await;
    assert_eq!(client.requeue_dead(QUEUE, &id, &by()).await.unwrap(), Requeued::Missing);
    assert_eq!(client.dead_letter(QUEUE, &id).await.unwrap(), None);
}

#[tokio::test]
async fn a_fatal_failure_dies_at_once() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(2));
    client.enqueue(Act::new("hopeless", &[Step::Fatal]).job()).await.unwrap();
    let letters = dead(&client, 1).await;
    assert_eq!(codes(&letters[0]), [(1, "hopeless")]);
    assert_eq!(lab.attempts_of("hopeless"), [1]);
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_aborted_and_counts() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(2));
    client.enqueue(NewJob::of(&Hasty).unwrap()).await.unwrap();
    let letters = dead(&client, 1).await;
    assert_eq!(codes(&letters[0]), [(1, "timeout"), (2, "timeout")]);
    assert_eq!(letters[0].tenant, None);
    assert_eq!(lab.attempts_of("hasty"), [1, 2]);
}

#[tokio::test]
async fn a_delay_named_by_the_failure_is_kept() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(2));
    // Eight times the longest back-off of the policy.
    let steps = [Step::RetryAfter(400), Step::Done];
    client.enqueue(Act::new("told", &steps).job()).await.unwrap();
    lab.began("told", 2).await;
    let runs = lab.runs_of("told");
    let waited = runs[1].began - runs[0].ended.unwrap();
    assert!(waited >= Duration::from_millis(400), "{waited:?}");
    assert_eq!(lab.attempts_of("told"), [1, 2]);
}

#[tokio::test]
async fn snoozing_spends_no_attempt_and_cancelling_leaves_nothing() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(2));
    let naps = [Step::Snooze(0), Step::Snooze(20), Step::Snooze(0), Step::Snooze(1)];
    let sleepy = Act::new("sleepy", &[&naps[..], &[Step::Done]].concat()).job();
    let dropped = Act::new("dropped", &[Step::Cancel]).job();
    client.enqueue_many(vec![sleepy, dropped]).await.unwrap();
    lab.began("sleepy", 5).await;
    assert_eq!(lab.attempts_of("sleepy"), [1, 1, 1, 1, 1]);
    until("both are gone", async || client.depth(QUEUE).await.unwrap() == Depth::default()).await;
    assert_eq!(lab.attempts_of("dropped"), [1]);
}

#[tokio::test]
async fn what_is_no_job_becomes_a_dead_letter_and_the_worker_lives_on() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let working = lab.work(&client, worker(1));
    let poison: [(&str, &[u8], &str); 8] = [
        ("a0", b"no job at all", "malformed_entry"),
        ("a1", b".0 n 1+0 nobody - - -\n\n{}", "unknown_job"),
        ("a2", b".0 n 1+0 act - - -\n\n{\"name\":7}", "undecodable_payload"),
        ("a3", b".0 n 1+0 act - - -\n\nnot json", "undecodable_payload"),
        ("a4", b".2 n 1+0 act - - -\nnot json\n{}", "malformed_entry"),
        ("a5", b".0 n 1+0 act - - -\n", "malformed_entry"),
        ("a6", b".0 n 1+0 act - - -\n\n\"\xff\"", "malformed_entry"),
        ("a7", b"!0 n 1+0 act -", "malformed_entry"),
    ];
    let mut connection = server.raw().await;
    for (id, bytes, _) in poison {
        let mut put = redis::cmd("HSET");
        put.arg(Redis::key(QUEUE, "jobs")).arg(id).arg(bytes).exec_async(&mut connection).await.unwrap();
        let _length: i64 = server.ask(&["RPUSH", &Redis::key(QUEUE, "ready/n/-"), id]).await;
    }
    let _length: i64 = server.ask(&["RPUSH", &Redis::key(QUEUE, "ready/n"), "-"]).await;
    client.enqueue(Act::new("good", &[Step::Done]).job()).await.unwrap();
    lab.began("good", 1).await;

    let letters = dead(&client, poison.len() as u64).await;
    for (id, _, code) in &poison {
        let letter = letters.iter().find(|letter| letter.id == *id).unwrap();
        let index: String = server.ask(&["HGET", &Redis::key(QUEUE, "dead:index"), id]).await;
        assert!(index.ends_with(&format!(" {code}")), "{index}");
        assert!(!letter.payload.is_empty());
    }
    let malformed = letters.iter().find(|letter| letter.id == "a0").unwrap();
    assert_eq!(malformed.payload, "no job at all");
    let requeued = client.requeue_dead(QUEUE, &malformed.id, &by()).await.unwrap();
    assert_eq!(requeued, Requeued::Malformed);
    assert!(working.is_running());
    assert_eq!(lab.names(), ["good"]);
}
