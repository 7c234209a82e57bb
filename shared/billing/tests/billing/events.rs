//! Events reach those who must not miss them: once in effect, whatever is lost or repeated.

use billing::{BillingError, TenantTime};
use futures::future::join_all;
use mongodb::bson::{Document, doc};
use store::{SubscriptionRecord, Tenant, UnitOfWork};

use crate::{
    servers::Servers,
    world::{TENANT, WALL, World},
};

/// The subscription that follows for `cus_ada`.
const FOLLOWING: &str = "sub_adad";

async fn set_default_plan(world: &World, plan: &str) {
    let store = &world.billing.store;
    let mut tenant: Tenant = store.find(TENANT, TENANT).await.unwrap().unwrap();
    tenant.default_plan = Some(plan.to_owned());
    let mut unit = UnitOfWork::default();
    unit.replace(&mut tenant).unwrap();
    store.commit(unit).await.unwrap();
}

async fn dispatch(world: &World) {
    while billing::dispatch_events(&world.billing, TENANT, WALL).await.unwrap() == billing::Progress::More {}
}

async fn deliveries(world: &World) -> Vec<String> {
    let mut rows = world.database.collection::<Document>("event_deliveries").find(doc! {}).await.unwrap();
    let mut ids = Vec::new();
    while rows.advance().await.unwrap() {
        ids.push(rows.current().get_str("_id").unwrap().to_owned());
    }
    ids
}

async fn deliver(world: &World, id: &str) -> Result<(), BillingError> {
    let billing = world.billing.caused_by(Some("req_delivery"));
    billing::deliver_event(&billing, (TENANT, id), WALL).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_customer_gets_the_default_plan_once_whatever_is_lost_or_repeated() {
    let servers = Servers::start();
    let world = servers.world("events").await;
    world.set_up().await;
    set_default_plan(&world, "base").await;
    world.customer("cus_ada", "pm_sandbox_ok").await;
    // Somebody who chose a plan before the event arrived keeps to it.
    world.subscriber("bob", ("dev", "pm_sandbox_ok"), "2026-07-10T00:00:00Z").await;
    dispatch(&world).await;
    let made = deliveries(&world).await;
    assert_eq!(made.len(), 2, "{made:?}");

    // A dispatch that died before it marked its events is repeated, and Redis loses every job.
    let events = world.database.collection::<Document>("events");
    let again = doc! { "$set": { "due_at": mongodb::bson::DateTime::from_millis(WALL.as_millisecond()) } };
    events.update_many(doc! { "type": "customer.created" }, again).await.unwrap();
    dispatch(&world).await;
    assert_eq!(deliveries(&world).await, made);
    servers.flush_redis().await;
    let sweep = billing::rebuild_deliveries(&world.billing, "gen_1", WALL).await.unwrap().unwrap();
    assert!(sweep.offered >= made.len(), "{sweep:?}");

    for id in &made {
        // At once, and once more.
        let outcomes = join_all((0..4).map(|_| deliver(&world, id))).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        deliver(&world, id).await.unwrap();
    }
    let store = &world.billing.store;
    let live = store.live_subscriptions(TENANT, "cus_ada").await.unwrap();
    assert_eq!(live.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), [FOLLOWING]);
    assert_eq!(live[0].subscription.plan(), "pln_base_v1");
    let bob = store.live_subscriptions(TENANT, "cus_bob").await.unwrap();
    assert_eq!(bob.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["sub_bob"]);
    let invoices = world.database.collection::<Document>("invoices");
    assert_eq!(invoices.count_documents(doc! { "customer": "cus_ada" }).await.unwrap(), 1);
    let caused = doc! { "subject": FOLLOWING, "request_id": "req_delivery" };
    assert_eq!(events.count_documents(caused.clone()).await.unwrap(), 1, "the event names what caused its job");
    let audited = world.database.collection::<Document>("audit_entries").count_documents(caused).await.unwrap();
    assert_eq!(audited, 1, "and so does the audit entry");
    let again = billing::rebuild_deliveries(&world.billing, "gen_2", WALL).await.unwrap();
    assert_eq!(again, None, "nothing was lost since");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_cannot_do_its_work_fails_its_job_and_nothing_else() {
    let servers = Servers::start();
    let world = servers.world("broken").await;
    world.set_up().await;
    set_default_plan(&world, "pln_gone").await;
    world.customer("cus_ada", "pm_sandbox_ok").await;
    dispatch(&world).await;
    let [id] = &deliveries(&world).await[..] else { panic!("one delivery") };
    let refused = deliver(&world, id).await.unwrap_err();
    assert!(matches!(refused, BillingError::Rule { code: "unknown_plan", .. }), "{refused}");
    // Mended, and tried again as from its dead letter.
    set_default_plan(&world, "pln_base").await;
    deliver(&world, id).await.unwrap();
    let subscription = world.billing.store.find::<SubscriptionRecord>(TENANT, FOLLOWING).await.unwrap();
    assert!(subscription.is_some());
    let time = TenantTime::read(&world.billing.store, TENANT, WALL).await.unwrap();
    assert_eq!(subscription.unwrap().subscription.start_at(), time.now, "it begins on the tenant's clock");
}
