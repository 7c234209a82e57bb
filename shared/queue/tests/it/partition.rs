//! Stories of a queue that is split into partitions.

use std::collections::BTreeSet;

use queue::{Depth, Enqueued, Limit, NewJob, PauseTarget, QueueClient, QueueError};

use crate::harness::{Act, Lab, QUEUE, Scope, Step, until, worker};
use crate::server::Redis;

const TENANTS: usize = 40;

/// Two jobs of each tenant, in the order of the round.
fn acts() -> Vec<NewJob> {
    let act = |round: &str, tenant: usize| {
        Act::new(&format!("{round} of {tenant}"), &[Step::Done]).tenant(&format!("tenant-{tenant}")).job()
    };
    ["first", "second"].iter().flat_map(|round| (0..TENANTS).map(|tenant| act(round, tenant))).collect()
}

async fn depths(client: &QueueClient) -> Vec<Depth> {
    let mut depths = Vec::new();
    for partition in client.partitions(QUEUE) {
        depths.push(client.depth(&partition).await.unwrap());
    }
    depths
}

async fn empty(client: &QueueClient) {
    until("nothing is left", async || depths(client).await.iter().all(|depth| *depth == Depth::default())).await;
}

#[tokio::test]
async fn a_split_queue_is_worked_on_everywhere_and_keeps_each_tenants_order() {
    let server = Redis::start().await;
    let client = server.client().await.with_partitions([(QUEUE, 4)]).await.unwrap();
    assert_eq!(client.partitions(QUEUE), ["acts", "acts~1", "acts~2", "acts~3"]);
    assert_eq!(client.partitions("other"), ["other"]);
    let enqueued = client.enqueue_many(acts()).await.unwrap();
    assert_eq!(enqueued, vec![Enqueued::Added; 2 * TENANTS]);
    let ready: Vec<u64> = depths(&client).await.iter().map(|depth| depth.ready).collect();
    assert_eq!(ready.iter().sum::<u64>(), 2 * TENANTS as u64);
    assert!(ready.iter().all(|jobs| *jobs > 0 && jobs % 2 == 0), "{ready:?}");

    let lab = Lab::new();
    let working = lab.work(&client, worker(2));
    empty(&client).await;
    working.stop().await.unwrap();
    assert_eq!(lab.runs().len(), 2 * TENANTS);
    let names = lab.names();
    let at =
        |round: &str, tenant: usize| names.iter().position(|name| *name == format!("{round} of {tenant}")).unwrap();
    assert!((0..TENANTS).all(|tenant| at("first", tenant) < at("second", tenant)));
    let mut left: Vec<String> = client.partitions(QUEUE).iter().map(|name| Redis::key(name, "token")).collect();
    left.push("test:partitions".to_owned());
    assert_eq!(BTreeSet::from_iter(server.all_keys().await), BTreeSet::from_iter(left));
}

#[tokio::test]
async fn what_a_larger_setting_spread_is_drained_after_it_was_lowered_or_removed() {
    let server = Redis::start().await;
    let client = server.client().await.with_partitions([(QUEUE, 4)]).await.unwrap();
    client.enqueue_many(acts()).await.unwrap();
    let lowered = server.client().await.with_partitions([(QUEUE, 2)]).await.unwrap();
    let removed = server.client().await;
    for later in [&lowered, &removed] {
        assert_eq!(later.partitions(QUEUE), client.partitions(QUEUE));
    }
    for job in acts() {
        assert!(["acts", "acts~1"].contains(&&*lowered.partition_for(&job)));
        assert_eq!(removed.partition_for(&job), "acts");
    }
    let lab = Lab::new();
    let _worker = lab.work(&removed, worker(2));
    empty(&client).await;
    assert_eq!(lab.runs().len(), 2 * TENANTS);
}

#[tokio::test]
async fn limits_pauses_and_unique_keys_hold_over_all_partitions_and_new_ones() {
    let server = Redis::start().await;
    let whole = server.client().await;
    let one = Limit { concurrency: Some(1), rate: None };
    whole.set_limit(QUEUE, "gateway", &one).await.unwrap();
    whole.pause(QUEUE, PauseTarget::Queue, "ada", "before it is split").await.unwrap();
    let client = whole.with_partitions([(QUEUE, 4)]).await.unwrap();
    for partition in client.partitions(QUEUE) {
        assert_eq!(client.pauses(&partition).await.unwrap().len(), 1, "{partition}");
        assert_eq!(client.limits(&partition).await.unwrap()[0].limit, Some(one), "{partition}");
    }
    for tenant in ["a", "b", "c", "d"] {
        let limited = Act::new("limited", &[Step::Gate(1)]).tenant(tenant).limit("gateway", 1);
        client.enqueue(limited.job()).await.unwrap();
        let unique = Act::new("unique", &[Step::Done]).tenant(tenant).unique("key", Scope::Waiting);
        let expected = if tenant == "a" { Enqueued::Added } else { Enqueued::Duplicate };
        assert_eq!(client.enqueue(unique.job()).await.unwrap(), expected);
    }
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(16));
    server.idle_workers(4).await;
    assert_eq!(lab.names(), [""; 0], "all partitions are paused");

    assert!(client.resume(QUEUE, PauseTarget::Queue).await.unwrap());
    lab.began("unique", 1).await;
    until("the rest waits for the limit", async || {
        let depths = depths(&client).await;
        depths.iter().map(|depth| (depth.running, depth.limited)).max() == Some((1, 3))
    })
    .await;
    assert_eq!(lab.runs_of("limited").len(), 1);
    assert!(client.remove_limit(QUEUE, "gateway").await.unwrap());
    lab.began("limited", 4).await;
    lab.open_gate(1);
    empty(&client).await;
}

#[tokio::test]
async fn a_split_that_makes_no_sense_is_refused() {
    let server = Redis::start().await;
    for (queue, count) in [(QUEUE, 0), (QUEUE, 65), ("a b", 2), ("acts~1", 2)] {
        let refused = server.client().await.with_partitions([(queue, count)]).await;
        assert!(matches!(refused.err(), Some(QueueError::Invalid { .. })), "{queue} {count}");
    }
    // Nothing was remembered of it.
    assert_eq!(server.client().await.partitions(QUEUE), [QUEUE]);
}
