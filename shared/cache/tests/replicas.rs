//! Two replicas on a real Redis: a change of one is seen by the other, and trouble with Redis is bounded by lives.

use std::{
    convert::Infallible,
    path::Path,
    time::{Duration, Instant},
};

use cache::{Cache, Key, Lives, Versioned};
use queue::QueueClient;
use services::Redis;
use tokio_util::sync::{CancellationToken, DropGuard};

const KEY: Key<'static> = Key { tenant: "ten_1", id: "pln_1" };
const LONG: Lives = Lives { here: Duration::from_secs(600), shared: Duration::from_secs(600) };

struct Replica {
    cache: Cache,
    queue: QueueClient,
    _listening: DropGuard,
}

async fn replica(redis: &Redis, lives: Lives) -> Replica {
    let queue = QueueClient::connect(&redis.url(), "test").await.unwrap();
    let cache = Cache::beside(&queue, lives);
    let shutdown = CancellationToken::new();
    let (following, token) = (cache.clone(), shutdown.clone());
    tokio::spawn(async move { following.follow(|key| key.id.starts_with("pln_"), token).await });
    Replica { cache, queue, _listening: shutdown.drop_guard() }
}

fn start(folder: &Path) -> Redis {
    Redis::start(&folder.canonicalize().unwrap()).unwrap()
}

/// What the replica believes; `stored` is what it would find in the database.
async fn read(replica: &Replica, (revision, value): (i64, &str)) -> String {
    let load = async || Ok::<_, Infallible>(Some(Versioned { revision, value: value.to_owned() }));
    replica.cache.read(KEY, load).await.unwrap().unwrap()
}

async fn until_read(replica: &Replica, stored: (i64, &str)) {
    let soon = async {
        while read(replica, stored).await != stored.1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), soon).await.expect("the change is seen");
}

#[tokio::test]
async fn a_change_of_one_replica_is_seen_by_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let redis = start(folder.path());
    let (one, other) = (replica(&redis, LONG).await, replica(&redis, LONG).await);
    // Both listen once each hears what is published.
    assert_eq!(read(&one, (1, "old")).await, "old");
    assert_eq!(read(&other, (2, "new")).await, "old", "it is shared");
    let announce = async || {
        let event = r#"{"id":"evt_1","type":"plan.updated","subject":"pln_1","revision":2,"data":{}}"#;
        other.queue.publish("events:ten_1", &[event.to_owned()]).await.unwrap();
    };
    let soon = async {
        while read(&one, (2, "new")).await != "new" || read(&other, (2, "new")).await != "new" {
            announce().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), soon).await.expect("the change is seen");
    // Somebody who loaded before the change is late.
    other.cache.outdate(KEY, 3).await;
    assert_eq!(read(&other, (2, "new")).await, "new", "it is told what it loaded");
    assert_eq!(read(&other, (3, "newest")).await, "newest", "but nobody else is");
}

#[tokio::test]
async fn a_lost_message_costs_no_more_than_both_lives() {
    let folder = tempfile::tempdir().unwrap();
    let redis = start(folder.path());
    let lives = Lives { here: Duration::from_millis(200), shared: Duration::from_millis(300) };
    let (one, other) = (replica(&redis, lives).await, replica(&redis, lives).await);
    let began = Instant::now();
    assert_eq!(read(&one, (1, "old")).await, "old");
    assert_eq!(read(&other, (2, "new")).await, "old");
    until_read(&one, (2, "new")).await;
    until_read(&other, (2, "new")).await;
    assert!(began.elapsed() >= lives.here, "it was believed for a while");
}

#[tokio::test]
async fn without_redis_a_replica_reads_what_is_stored_within_its_own_life() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = start(folder.path());
    let lives = Lives { here: Duration::from_millis(100), ..LONG };
    let replica = replica(&redis, lives).await;
    redis.stop().unwrap();
    assert_eq!(read(&replica, (1, "old")).await, "old");
    until_read(&replica, (2, "new")).await;
    redis.restart().unwrap();
    // Outdated by hand, as by whoever makes the change.
    replica.cache.outdate(KEY, 3).await;
    until_read(&replica, (3, "newest")).await;
}
