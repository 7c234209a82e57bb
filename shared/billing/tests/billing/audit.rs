//! The audit chain: sealed by whoever comes first, and honest about everything that is done to it behind our back.

use billing::{AuditVerification, BrokenLink, Damage, Progress, jobs::queues};
use futures::future::join_all;
use mongodb::{
    Collection,
    bson::{Document, doc},
};

use crate::{
    servers::Servers,
    world::{TENANT, WALL, World},
};

fn entries(world: &World) -> Collection<Document> {
    world.database.collection("audit_entries")
}

async fn seal(world: &World) {
    while billing::seal_audit(&world.billing, TENANT, WALL).await.unwrap() == Progress::More {}
}

async fn verify(world: &World) -> AuditVerification {
    billing::verify_audit(&world.billing.store, TENANT).await.unwrap()
}

async fn broken(world: &World) -> Option<(i64, Damage)> {
    verify(world).await.broken.map(|BrokenLink { number, damage, .. }| (number, damage))
}

/// The entry at a place.
async fn at(world: &World, number: i64) -> Document {
    entries(world).find_one(doc! { "seal.number": number }).await.unwrap().unwrap()
}

async fn put(world: &World, entry: &Document) {
    let id = doc! { "_id": entry.get_str("_id").unwrap() };
    entries(world).replace_one(id, entry).upsert(true).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn any_number_of_sealers_make_one_chain() {
    let servers = Servers::start();
    let world = servers.world("sealers").await;
    world.set_up().await;
    let before = verify(&world).await;
    assert_eq!((before.sealed, before.broken.clone()), (0, None));
    assert!(before.unsealed > 3 && before.head.is_empty(), "{before:?}");
    assert!(world.alive(queues::EVENTS).await >= 2, "the commit has asked for dispatch and seal");

    for round in 0..4 {
        world.customer(&format!("cus_{round}"), "pm_sandbox_ok").await;
        let sealers = join_all((0..6).map(|_| billing::seal_audit(&world.billing, TENANT, WALL))).await;
        assert!(sealers.iter().all(Result::is_ok), "{sealers:?}");
    }
    let after = verify(&world).await;
    let sealed = i64::try_from(before.unsealed).unwrap() + 4;
    assert_eq!((after.sealed, after.unsealed, after.broken.clone()), (sealed, 0, None));
    assert_eq!(after.head, at(&world, sealed).await.get_document("seal").unwrap().get_str("hash").unwrap());
    // Redis loses the job: the sweep finds what is not sealed.
    world.customer("cus_late", "pm_sandbox_ok").await;
    servers.flush_redis().await;
    billing::rebuild_deliveries(&world.billing, "gen_1", WALL).await.unwrap();
    assert_eq!(verify(&world).await, AuditVerification { unsealed: 1, ..after });
    assert_eq!(world.alive(queues::EVENTS).await, 2, "one job dispatches, one seals");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_edits_deletes_moves_or_cuts_is_found_out() {
    let servers = Servers::start();
    let world = servers.world("tampering").await;
    world.set_up().await;
    for number in 0..4 {
        world.customer(&format!("cus_{number}"), "pm_sandbox_ok").await;
    }
    seal(&world).await;
    let whole = verify(&world).await;
    assert_eq!(whole.broken, None);
    let last = whole.sealed;
    let (second, third) = (at(&world, 2).await, at(&world, 3).await);

    for (field, value) in [("actor", "usr_2"), ("action", "customer.deleted"), ("subject", "cus_9"), ("before", "x")] {
        let mut edited = second.clone();
        edited.insert(field, value);
        put(&world, &edited).await;
        assert_eq!(broken(&world).await, Some((2, Damage::Altered)), "{field}");
    }
    put(&world, &second).await;

    entries(&world).delete_one(doc! { "seal.number": 2 }).await.unwrap();
    assert_eq!(broken(&world).await, Some((2, Damage::Missing)));
    put(&world, &second).await;

    let (mut moved, mut other) = (second.clone(), third.clone());
    moved.insert("seal", third.get_document("seal").unwrap());
    other.insert("seal", second.get_document("seal").unwrap());
    put(&world, &moved).await;
    put(&world, &other).await;
    assert_eq!(broken(&world).await, Some((2, Damage::Altered)));
    put(&world, &second).await;
    put(&world, &third).await;

    let end = at(&world, last).await;
    entries(&world).delete_one(doc! { "seal.number": last }).await.unwrap();
    assert_eq!(broken(&world).await, Some((last, Damage::Truncated)));
    put(&world, &end).await;
    assert_eq!(verify(&world).await, whole, "restored to the byte");

    let chains = world.database.collection::<Document>("audit_chains");
    chains.update_one(doc! { "_id": TENANT }, doc! { "$set": { "count": last - 1 } }).await.unwrap();
    assert_eq!(broken(&world).await, Some((last - 1, Damage::Altered)));
    chains.update_one(doc! { "_id": TENANT }, doc! { "$set": { "count": last } }).await.unwrap();
    let mut forged = end;
    forged.insert("_id", "aud_forged");
    forged.insert("seal", doc! { "number": last + 1, "hash": "00" });
    put(&world, &forged).await;
    assert_eq!(broken(&world).await, Some((last + 1, Damage::Altered)));
}
