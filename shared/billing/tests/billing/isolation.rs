//! One subscription that cannot be billed fails by itself; the others of its chunk go on and the run completes.

use std::collections::BTreeMap;

use store::{ChunkState, Invoice, SubscriptionRecord};

use crate::{
    pipeline::Repeat,
    servers::Servers,
    world::{TENANT, World},
};

const START: &str = "2026-06-10T00:00:00Z";
/// The largest quantity of one event.
const LARGEST: &str = "999999999999999.999999999999";
/// A price that is too high for it: the amount has more minor units than an invoice can owe.
const FINE: &str = r#"
    {"key":"base","kind":"fixed","timing":"advance","model":{"type":"flat","amount":"20.00"}},
    {"key":"lines","kind":"usage","timing":"arrears","meter":"lines",
     "model":{"type":"per_unit","unit_amount":"999999999999999"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_billed_fails_alone() {
    let servers = Servers::start();
    let world = servers.world("isolation").await;
    world.set_up().await;
    world.plan("pln_fine", "fine", FINE).await;
    let plans =
        [("good1", "dev"), ("good2", "dev"), ("heavy", "dev"), ("huge", "fine"), ("orphan", "dev"), ("taken", "dev")];
    for (name, plan) in plans {
        world.subscriber(name, (plan, "pm_sandbox_ok"), START).await;
    }
    too_much_to_sum(&world).await;
    world.lines("huge", "cus_huge", ("2026-06-15T00:00:00Z", LARGEST)).await;
    no_plan(&world).await;
    world.run("run_1").await;
    world.drive_to("run_1", ChunkState::Usage).await;
    its_invoice_exists(&world).await;

    let totals = world.drive("run_1", Repeat::Once).await;

    let failed: BTreeMap<String, String> = world
        .chunks("run_1")
        .await
        .into_iter()
        .flat_map(|chunk| chunk.failed)
        .map(|failed| (failed.subscription, failed.code))
        .collect();
    let expected = [
        ("sub_heavy", "usage_not_measured"),
        ("sub_huge", "not_billable"),
        ("sub_orphan", "missing_parent"),
        ("sub_taken", "not_committed"),
    ];
    let expected = expected.map(|(subscription, code)| (subscription.to_owned(), code.to_owned()));
    assert_eq!(failed, BTreeMap::from(expected));
    assert_eq!((totals.subscriptions, totals.failed, totals.skipped, totals.invoiced), (6, 4, 0, 4));
    assert_eq!((totals.paid, totals.notified), (4, 4));
    for name in ["sub_good1", "sub_good2"] {
        let billed = world.billed(name).await;
        assert_eq!(billed, ["2026-06-10 paid 1400", "2026-07-01 paid 2000", "2026-08-01 paid 2000"]);
    }
    for name in ["sub_heavy", "sub_huge", "sub_orphan"] {
        let billed = world.billed(name).await;
        assert_eq!(billed, ["2026-06-10 paid 1400"]);
        let record: SubscriptionRecord = world.billing.store.find(TENANT, name).await.unwrap().unwrap();
        assert_eq!(record.subscription.next_boundary(), "2026-07-01".parse().ok(), "it waits to be billed");
        assert!(record.due.at.is_some());
    }
    let passes = world.dump().await.keys().filter(|key| key.starts_with("usage_passes/")).count();
    assert_eq!(passes, 0, "no frozen usage is left behind");
}

/// Events whose sum has more digits than can be held.
async fn too_much_to_sum(world: &World) {
    for index in 0..100 {
        world.lines(&format!("h{index}"), "cus_heavy", ("2026-06-15T00:00:00Z", LARGEST)).await;
    }
}

/// Its plan is gone behind the product's back.
async fn no_plan(world: &World) {
    let subscriptions = world.database.collection::<bson::Document>("subscriptions");
    let gone = bson::doc! { "$set": { "subscription.plan": "pln_gone" } };
    let changed = subscriptions.update_one(bson::doc! { "_id": "sub_orphan" }, gone).await.unwrap();
    assert_eq!(changed.modified_count, 1);
}

/// An invoice of the id that the pass is about to issue.
async fn its_invoice_exists(world: &World) {
    let invoices = world.database.collection::<bson::Document>("invoices");
    let initial: Invoice =
        world.all::<Invoice>().await.into_iter().find(|one| one.subscription.as_deref() == Some("sub_taken")).unwrap();
    let mut copy = invoices.find_one(bson::doc! { "_id": &initial.id }).await.unwrap().unwrap();
    copy.insert("_id", "inv_20260701ptaken");
    copy.insert("subscription", "sub_other");
    invoices.insert_one(copy).await.unwrap();
}
