//! Replicas that count together on a real Redis, and what they do without it.

use std::{path::Path, time::Duration};

use queue::QueueClient;
use rate_limit::{Limit, Quota, RateLimiter, Standing};
use services::Redis;

async fn limiter(redis: &Redis) -> RateLimiter {
    RateLimiter::beside(&QueueClient::connect(&redis.url(), "test").await.unwrap())
}

fn limit(who: &str, requests: u32, window: Duration) -> Limit {
    Limit { who: who.to_owned(), quota: Quota { requests, window } }
}

fn start(folder: &Path) -> Redis {
    Redis::start(&folder.canonicalize().unwrap()).unwrap()
}

#[tokio::test]
async fn replicas_share_one_quota_and_redis_ends_the_window() {
    let folder = tempfile::tempdir().unwrap();
    let redis = start(folder.path());
    let (one, other) = (limiter(&redis).await, limiter(&redis).await);
    let window = Duration::from_millis(600);
    let limits = [limit("tenant", 20, window), limit("usr_1", 10, window)];
    let mut passed = 0;
    let mut last = None;
    for number in 0..30 {
        let replica = if number % 2 == 0 { &one } else { &other };
        let standing = replica.take("ten_1", &limits).await;
        passed += u32::from(standing.passed);
        last = Some(standing);
    }
    let Standing { passed: last_passed, remaining, resets_in, quota } = last.unwrap();
    assert_eq!((passed, last_passed, remaining, quota.requests), (10, false, 0, 10));
    assert!(resets_in <= window && !resets_in.is_zero());
    // The refused ones have not been counted on the tenant, and another tenant is another group.
    assert_eq!(one.take("ten_1", &limits[..1]).await.remaining, 9);
    assert_eq!(one.take("ten_2", &limits).await.remaining, 9);
    tokio::time::timeout(Duration::from_secs(10), async {
        while !one.take("ten_1", &limits).await.passed {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the window ends by Redis's clock");
}

#[tokio::test]
async fn without_redis_each_replica_counts_by_itself_and_goes_back_when_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = start(folder.path());
    let (one, other) = (limiter(&redis).await, limiter(&redis).await);
    let limits = [limit("usr_1", 3, Duration::from_secs(60))];
    redis.stop().unwrap();
    for replica in [&one, &other] {
        let mut passed = Vec::new();
        for _ in 0..5 {
            passed.push(replica.take("ten_1", &limits).await.passed);
        }
        assert_eq!(passed, [true, true, true, false, false]);
    }
    redis.restart().unwrap();
    // Redis has seen none of these requests: it is asked again once it has had its rest.
    tokio::time::timeout(Duration::from_secs(20), async {
        while !one.take("ten_1", &limits).await.passed {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("Redis counts again");
}
