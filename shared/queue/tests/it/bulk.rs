//! Stories of many jobs in one call, of limits, and of messages on channels.

use futures::StreamExt;
use queue::{Depth, Enqueued, Job, MAX_PAYLOAD_BYTES, NewJob, QueueError, RetryPolicy};
use serde::{Deserialize, Serialize};

use crate::harness::{Act, QUEUE, Step};
use crate::server::Redis;

/// A job whose payload is a hundred bytes.
#[derive(Serialize, Deserialize)]
struct Plain(String);

impl Job for Plain {
    const NAME: &'static str = "calculate_usage";
    const QUEUE: &'static str = "usage";
    const RETRY: RetryPolicy = RetryPolicy::exponential(1, std::time::Duration::ZERO, std::time::Duration::ZERO);
    const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

    fn tenant(&self) -> Option<&str> {
        Some("tenant-0001")
    }
}

#[tokio::test]
async fn thousands_of_jobs_for_several_queues_go_in_one_call_and_stay_small() {
    let server = Redis::start().await;
    let client = server.client().await;
    let count: u64 = 20_000;
    let mut jobs: Vec<NewJob> = Vec::new();
    for index in 0..count {
        let payload = Plain(format!("{index:098}"));
        jobs.push(NewJob::of(&payload).unwrap());
    }
    jobs.push(Act::new("other", &[Step::Done]).job());
    let results = client.enqueue_many(jobs).await.unwrap();
    assert_eq!(results.len() as u64, count + 1);
    assert!(results.iter().all(|result| *result == Enqueued::Added));
    let ready = |ready| Depth { ready, ..Depth::default() };
    assert_eq!(client.depth("usage").await.unwrap(), ready(count));
    assert_eq!(client.depth(QUEUE).await.unwrap(), ready(1));
    let first: String = server.ask(&["LINDEX", &Redis::key("usage", "ready/n/tenant-0001"), "0"]).await;
    let first: String = server.ask(&["HGET", &Redis::key("usage", "jobs"), &first]).await;
    assert!(first.contains(&format!("{:098}", 0)), "order of arrival: {first}");

    let mut used = 0;
    for key in server.all_keys().await.iter().filter(|key| key.contains("usage")) {
        used += server.ask::<u64>(&["MEMORY", "USAGE", key, "SAMPLES", "0"]).await;
    }
    let each = used / count;
    assert!(each <= 250, "a waiting job with 100 bytes of payload takes {each} bytes");
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_travels() {
    let large = Act::new(&"x".repeat(MAX_PAYLOAD_BYTES), &[]);
    let error = NewJob::of(&large).unwrap_err();
    assert!(matches!(error, QueueError::Invalid { .. }));
    assert!(error.to_string().contains("payload of job act"), "{error}");
    let blank = Act::new("act", &[]).unique("", crate::harness::Scope::Waiting);
    assert!(matches!(NewJob::of(&blank), Err(QueueError::Invalid { .. })));
}

#[tokio::test]
async fn messages_reach_who_listens_in_order() {
    let server = Redis::start().await;
    let client = server.client().await;
    client.ping().await.unwrap();
    let redis = redis::Client::open(server.url()).unwrap();
    let mut listener = redis.get_async_pubsub().await.unwrap();
    listener.subscribe(client.channel("events:acme")).await.unwrap();
    let sent: Vec<String> = (0..1_200).map(|index| index.to_string()).collect();
    client.publish("events:acme", &sent).await.unwrap();
    let messages = listener.on_message().take(sent.len());
    let heard: Vec<String> = messages.map(|message| message.get_payload().unwrap()).collect().await;
    assert_eq!(heard, sent);
}
