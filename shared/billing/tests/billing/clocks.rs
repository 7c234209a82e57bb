//! Test clocks on the way: months in one advance, killed in the middle, and advanced twice at once.

use std::collections::BTreeSet;

use billing::{BillingError, jobs::queues};
use futures::future::join;
use jiff::Timestamp;
use store::{Invoice, TestClock};

use crate::{
    fleet::{Fleet, until},
    servers::Servers,
    world::{TENANT, WALL, World, actor},
};

const CLOCK: &str = "clk_1";
/// Four boundaries after where the clock stands.
const TARGET: &str = "2026-12-15T08:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn an_advance_bills_every_boundary_at_its_own_time() {
    let servers = Servers::start();
    let world = servers.world("months").await;
    start(&world).await;
    let fleet = Fleet::start(&world, &queues::ALL);
    until("the clock stands", async || clock(&world).await.target.is_none()).await;
    fleet.stop().await;
    assert_advanced(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_advance_that_is_killed_goes_on_where_it_was() {
    let servers = Servers::start();
    let world = servers.world("killed").await;
    start(&world).await;
    let fleet = Fleet::start(&world, &queues::ALL);
    until("it is under way", async || clock(&world).await.stops >= 2).await;
    fleet.kill().await;
    let left = clock(&world).await;
    assert!(left.target.is_some(), "{left:?}");
    servers.flush_redis().await;
    billing::rebuild_deliveries(&world.billing, "gen_2", Timestamp::MAX).await.unwrap();
    let fleet = Fleet::start(&world, &queues::ALL);
    until("the clock stands", async || clock(&world).await.target.is_none()).await;
    fleet.stop().await;
    assert_advanced(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_move_the_clock_the_same_way() {
    let servers = Servers::start();
    let world = servers.world("twice").await;
    start(&world).await;
    let again = billing::start_advance(&world.billing.store, &actor(), WALL, (CLOCK, TARGET.parse().unwrap())).await;
    assert!(matches!(again, Err(BillingError::State { code: "clock_advancing", .. })), "{again:?}");
    // Everything but the steps themselves, which are taken here, two at a time.
    let others: Vec<&str> = queues::ALL.into_iter().filter(|queue| *queue != queues::OPERATIONS).collect();
    let fleet = Fleet::start(&world, &others);
    until("the clock stands", async || {
        let (one, other) = join(step(&world), step(&world)).await;
        one.and(other).unwrap();
        clock(&world).await.target.is_none()
    })
    .await;
    fleet.stop().await;
    assert_advanced(&world).await;
}

async fn step(world: &World) -> Result<(), BillingError> {
    billing::advance_test_clock(&world.billing, (TENANT, CLOCK), WALL).await.map(drop)
}

/// Three customers with a monthly subscription, and a clock on its way to [`TARGET`].
async fn start(world: &World) {
    world.set_up().await;
    for name in ["a", "b", "c"] {
        world.subscriber(name, ("dev", "pm_sandbox_ok"), "2026-08-01T00:00:00Z").await;
    }
    let to = TARGET.parse().unwrap();
    let change = billing::start_advance(&world.billing.store, &actor(), WALL, (CLOCK, to)).await.unwrap();
    world.billing.commit(change).await.unwrap();
}

async fn clock(world: &World) -> TestClock {
    world.billing.store.find(TENANT, CLOCK).await.unwrap().unwrap()
}

/// Each boundary was billed once, at its instant, and paid before the clock went on.
async fn assert_advanced(world: &World) {
    let clock = clock(world).await;
    assert_eq!((clock.now.to_string(), clock.stops), (TARGET.to_owned(), 5));
    let invoices = world.all::<Invoice>().await;
    assert_eq!(invoices.len(), 3 * 5);
    let moments: BTreeSet<String> = invoices
        .iter()
        .filter(|invoice| invoice.billing_run.is_some())
        .map(|invoice| format!("{} {}", invoice.content.issued_at, invoice.paid_at.unwrap()))
        .collect();
    let twice = |at: &str| format!("{at} {at}");
    let months = ["2026-09-01", "2026-10-01", "2026-11-01", "2026-12-01"];
    assert_eq!(moments, months.map(|day| twice(&format!("{day}T00:00:00Z"))).into());
    let mut charged: Vec<String> =
        invoices.iter().map(|invoice| format!("{} {}", invoice.id, invoice.content.total_minor)).collect();
    charged.sort();
    assert_eq!(world.gateway.charges().await, charged);
}
