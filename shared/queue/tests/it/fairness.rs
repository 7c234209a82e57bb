//! Stories of tenants that share a queue: nobody's many jobs keep another's few waiting.

use queue::{Depth, Limit, Priority, QueueClient};

use crate::harness::{Act, Lab, QUEUE, Step, until, worker};
use crate::server::Redis;

/// How many jobs the crowding tenant has: many times what a worker claims at once.
const MANY: usize = 5_000;
const FEW: usize = 10;

fn jobs_of(tenant: &str, count: usize) -> Vec<Act> {
    (0..count).map(|index| Act::new(&format!("{tenant}-{index:05}"), &[Step::Done]).tenant(tenant)).collect()
}

async fn enqueue(client: &QueueClient, acts: &[Act]) {
    client.enqueue_many(acts.iter().map(Act::job).collect()).await.unwrap();
}

async fn all_done(client: &QueueClient) {
    until("all is done", async || client.depth(QUEUE).await.unwrap() == Depth::default()).await;
}

/// How many of the others' jobs began before the last of this tenant's.
fn others_before_last(names: &[String], tenant: &str) -> usize {
    let last = names.iter().rposition(|name| name.starts_with(tenant)).unwrap();
    names[..last].iter().filter(|name| !name.starts_with(tenant)).count()
}

fn in_order(names: &[String], tenant: &str) -> bool {
    let own: Vec<&String> = names.iter().filter(|name| name.starts_with(tenant)).collect();
    own.is_sorted()
}

#[tokio::test]
async fn a_tenant_with_few_jobs_does_not_wait_behind_one_with_thousands() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    enqueue(&client, &jobs_of("crowd", MANY)).await;
    enqueue(&client, &jobs_of("small", FEW)).await;
    let _worker = lab.work(&client, worker(1));
    all_done(&client).await;
    let names = lab.names();
    assert_eq!(names.len(), MANY + FEW);
    assert!(others_before_last(&names, "small") < 300, "{}", others_before_last(&names, "small"));
    assert!(in_order(&names, "crowd") && in_order(&names, "small"), "first come, first served within a tenant");
}

#[tokio::test]
async fn who_comes_while_thousands_wait_is_served_in_turn_also_at_the_lowest_priority() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let low = |acts: &[Act]| acts.iter().map(|act| act.job().priority(Priority::Low)).collect::<Vec<_>>();
    // The first job holds the only slot until all others are there.
    client.enqueue(Act::new("crowd-first", &[Step::Gate(1)]).tenant("crowd").job()).await.unwrap();
    let _worker = lab.work(&client, worker(1));
    lab.began("crowd-first", 1).await;
    client.enqueue_many(low(&jobs_of("crowd", MANY))).await.unwrap();
    for tenant in ["ten-a", "ten-b", "ten-c"] {
        client.enqueue_many(low(&jobs_of(tenant, FEW))).await.unwrap();
    }
    lab.open_gate(1);
    all_done(&client).await;
    let names = lab.names();
    for tenant in ["ten-a", "ten-b", "ten-c"] {
        assert!(others_before_last(&names, tenant) < 300, "{tenant} {}", others_before_last(&names, tenant));
    }
}

#[tokio::test]
async fn tenants_that_wait_for_the_same_limit_take_turns_as_well() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let limit = |acts: Vec<Act>| acts.into_iter().map(|act| act.limit("gateway", 1)).collect::<Vec<_>>();
    client.set_limit(QUEUE, "gateway", &Limit { concurrency: Some(0), rate: None }).await.unwrap();
    enqueue(&client, &limit(jobs_of("crowd", 500))).await;
    enqueue(&client, &limit(jobs_of("small", FEW))).await;
    let _worker = lab.work(&client, worker(4));
    until("all wait for the limit", async || client.depth(QUEUE).await.unwrap().limited == 510).await;
    client.set_limit(QUEUE, "gateway", &Limit { concurrency: Some(1), rate: None }).await.unwrap();
    all_done(&client).await;
    let names = lab.names();
    assert_eq!(names.len(), 510);
    assert!(others_before_last(&names, "small") < 50, "{}", others_before_last(&names, "small"));
    assert!(in_order(&names, "crowd") && in_order(&names, "small"), "first come, first served within a tenant");
}
