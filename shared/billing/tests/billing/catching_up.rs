//! After an outage of any length every missed period is billed, each once, with its own dates; whatever is repeated.

use jiff::ToSpan;
use jiff::civil::date;
use store::Invoice;

use crate::{books::assert_same, pipeline::Repeat, servers::Servers, world::World};

/// Five subscribers, one of whom missed fourteen months and never pays, and one whose charges fail once each.
async fn set_up(world: &World) {
    world.set_up().await;
    world.subscriber("late", ("dev", "pm_sandbox_decline"), "2025-06-15T09:00:00Z").await;
    world.subscriber("shaky", ("dev", "pm_sandbox_fail_once"), "2026-05-31T23:59:59Z").await;
    for name in ["one", "two"] {
        world.subscriber(name, ("dev", "pm_sandbox_ok"), "2026-06-01T00:00:00Z").await;
    }
    world.subscriber("future", ("dev", "pm_sandbox_ok"), "2026-08-01T12:00:01Z").await;
    world.lines("e1", "cus_late", ("2025-07-01T00:00:00Z", "10")).await;
    world.lines("e2", "cus_late", ("2025-07-31T23:59:59.999Z", "5")).await;
    world.lines("e3", "cus_late", ("2026-08-01T00:00:00Z", "1000")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fourteen_missed_months_are_billed_each_once_however_often_each_job_runs() {
    let servers = Servers::start();
    let once = servers.world("once").await;
    set_up(&once).await;
    once.run("run_1").await;
    let totals = once.drive("run_1", Repeat::Once).await;

    assert_eq!((totals.subscriptions, totals.invoiced, totals.skipped, totals.failed), (4, 14 + 3 + 2 + 2, 0, 0));
    assert_eq!((totals.paid, totals.payment_failed), (3 + 2 + 2, 14));
    assert_eq!(totals.notified, totals.invoiced + totals.payment_failed);
    every_boundary_has_its_own_dates(&once).await;
    assert_eq!(once.billed("sub_future").await, [""; 0]);

    let clean = once.dump().await;
    once.run("run_2").await;
    let again = once.drive("run_2", Repeat::Once).await;
    assert_eq!((again.subscriptions, again.invoiced), (0, 0), "a second run finds nothing");

    let charged = once.gateway.charges().await;
    assert_eq!(charged.len(), (1 + 3) + 2 * (1 + 2));
    for (name, repeat) in [("twice", Repeat::Twice), ("at_once", Repeat::AtOnce)] {
        let world = servers.world(name).await;
        set_up(&world).await;
        world.run("run_1").await;
        assert_eq!(world.drive("run_1", repeat).await, totals);
        assert_eq!(world.gateway.charges().await, charged);
        if repeat == Repeat::Twice {
            assert_same(&clean, &world.dump().await);
        } else {
            assert_same(&settled(clean.clone()), &settled(world.dump().await));
        }
    }
}

/// Of two calls at once under one key the gateway refuses one as unfinished. Its invoice then goes on alone, which is told
/// in events and counted in revisions, and changes nothing else.
fn settled(
    mut dump: std::collections::BTreeMap<String, bson::Document>,
) -> std::collections::BTreeMap<String, bson::Document> {
    dump.retain(|key, _| !key.starts_with("events/"));
    for document in dump.values_mut() {
        document.remove("revision");
    }
    dump
}

async fn every_boundary_has_its_own_dates(world: &World) {
    let mut invoices = world.all::<Invoice>().await;
    invoices.retain(|invoice| invoice.subscription.as_deref() == Some("sub_late"));
    assert_eq!(invoices.len(), 15, "the initial one and fourteen by the run");
    let initial = invoices.remove(0);
    assert_eq!((initial.boundary, initial.content.total_minor), (date(2025, 6, 15), 1_067));
    let mut boundary = date(2025, 7, 1);
    for invoice in &invoices {
        assert_eq!(invoice.boundary, boundary);
        assert_eq!(invoice.content.issued_at.to_string(), format!("{boundary}T00:00:00Z"));
        let usage = if boundary == date(2025, 8, 1) { 150 } else { 0 };
        assert_eq!(invoice.content.total_minor, 2_000 + usage, "{boundary}");
        boundary = boundary.checked_add(1.month()).unwrap();
    }
    assert_eq!(boundary, date(2026, 9, 1));
    let mut numbers: Vec<String> = world.all::<Invoice>().await.into_iter().map(|invoice| invoice.number).collect();
    numbers.sort();
    let expected: Vec<String> = (1..=numbers.len()).map(|number| domain::invoice_number(number as u64)).collect();
    assert_eq!(numbers, expected);
}
