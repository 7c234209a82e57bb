//! Money is charged once: declines, failures, time-outs, crashes and forgotten keys.

use billing::Progress;
use jiff::SignedDuration;
use store::{AttemptState, ChunkState, Invoice, Notification};

use crate::{
    pipeline::Repeat,
    servers::Servers,
    world::{TENANT, WALL, World},
};

/// One boundary on 1 August after the initial invoice of 10 July.
const START: &str = "2026-07-10T00:00:00Z";
const DAY: u64 = 24 * 60 * 60;

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_charged_once_whatever_the_gateway_does() {
    let servers = Servers::start();
    a_decline_leaves_the_invoice_open(&servers.world("decline").await).await;
    a_method_that_does_not_exist_is_a_decline(&servers.world("no_method").await).await;
    a_failure_goes_on_alone(&servers.world("failures").await).await;
    a_payment_method_that_is_gone_holds_up_nobody(&servers.world("gone").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_is_asked_for_and_never_repeated_blindly() {
    let servers = Servers::start();
    a_timeout_after_charging(&servers.world("timeout").await).await;
    a_forgotten_key_is_looked_up(&servers.world("forgotten").await).await;
    a_crash_before_the_call_is_resumed(&servers.world("crash").await).await;
    what_the_gateway_never_had_is_closed_as_failed(&servers.world("never").await).await;
}

/// A subscriber whose initial invoice is settled, and a run whose chunk has one invoice to collect.
async fn one_invoice(world: &World, token: &str) -> Invoice {
    world.set_up().await;
    world.subscriber("one", ("base", token), START).await;
    world.drive_alone(WALL, Repeat::Once).await;
    world.run("run_1").await;
    world.drive_to("run_1", ChunkState::Invoiced).await;
    world.invoice("inv_20260801pone").await
}

async fn payment_failed_mails(world: &World, invoice: &str) -> usize {
    let mails = world.dump().await;
    let about = |mail: &bson::Document, field, value| mail.get_str(field).is_ok_and(|found| found == value);
    let of = |mail: &&bson::Document| about(mail, "invoice", invoice) && about(mail, "kind", "payment_failed");
    mails.iter().filter(|(key, _)| key.starts_with("notifications/")).map(|(_, mail)| mail).filter(of).count()
}

async fn charges_of(world: &World, invoice: &str) -> usize {
    world.gateway.charges().await.iter().filter(|charge| charge.starts_with(invoice)).count()
}

async fn assert_paid_once(world: &World, invoice: &str) {
    let paid = world.invoice(invoice).await;
    assert_eq!((paid.status.as_str(), paid.attempts, paid.open_attempt), ("paid", 1, None));
    assert_eq!(charges_of(world, invoice).await, 1);
    let attempts = world.attempts(invoice).await;
    assert_eq!(attempts.iter().map(|attempt| attempt.state).collect::<Vec<_>>(), [AttemptState::Succeeded]);
    assert_eq!(payment_failed_mails(world, invoice).await, 0);
    let totals = world.drive("run_1", Repeat::Once).await;
    assert_eq!((totals.paid, totals.payment_failed, totals.notified), (1, 0, 1));
}

async fn assert_failed_once(world: &World, invoice: &str, code: &str) {
    let open = world.invoice(invoice).await;
    assert_eq!((open.status.as_str(), open.attempts, open.open_attempt), ("open", 1, None));
    assert_eq!(charges_of(world, invoice).await, 0);
    let attempts = world.attempts(invoice).await;
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].state, attempts[0].failure_code()), (AttemptState::Failed, Some(code)));
    assert_eq!(payment_failed_mails(world, invoice).await, 1);
    let totals = world.drive("run_1", Repeat::Twice).await;
    assert_eq!((totals.paid, totals.payment_failed, totals.notified), (0, 1, 2));
    assert_eq!(world.attempts(invoice).await.len(), 1, "nobody tries again");
}

async fn a_decline_leaves_the_invoice_open(world: &World) {
    let invoice = one_invoice(world, "pm_sandbox_decline").await;
    world.drive("run_1", Repeat::Once).await;
    assert_failed_once(world, &invoice.id, "generic_decline").await;
}

async fn a_method_that_does_not_exist_is_a_decline(world: &World) {
    let invoice = one_invoice(world, "pm_mistyped").await;
    world.drive("run_1", Repeat::Once).await;
    assert_failed_once(world, &invoice.id, "resource_missing").await;
}

/// A 500 before charging, and one after it that the gateway replays for ever.
async fn a_failure_goes_on_alone(world: &World) {
    world.set_up().await;
    let tokens =
        [("ok", "pm_sandbox_ok"), ("before", "pm_sandbox_fail_once"), ("after", "pm_sandbox_fail_after_charge")];
    for (name, token) in tokens {
        world.subscriber(name, ("base", token), START).await;
    }
    world.drive_alone(WALL, Repeat::Once).await;
    world.run("run_1").await;
    world.drive_to("run_1", ChunkState::Notified).await;

    let counts = world.chunks("run_1").await.remove(0).counts;
    assert_eq!((counts.invoiced, counts.paid, counts.payment_failed), (3, 1, 0), "unknown is not failed");
    let alone = world.billing.store.due::<Invoice>(WALL + SignedDuration::from_secs(2), None, 10).await.unwrap();
    assert_eq!(alone.len(), 2);
    // All at once, so that they count their chunk at once as well.
    let collect = alone.iter().map(|due| world.collect(&due.id, WALL));
    for collected in futures::future::join_all(collect).await {
        assert_eq!(collected.unwrap(), Progress::Done);
    }
    let totals = world.drive("run_1", Repeat::Once).await;
    assert_eq!((totals.paid, totals.payment_failed), (3, 0));
    // Killed between settling and counting: the redelivered job counts.
    let chunks = world.database.collection::<bson::Document>("chunks");
    chunks.update_one(bson::doc! {}, bson::doc! { "$set": { "counts.paid": 2_i64 } }).await.unwrap();
    assert_eq!(world.collect(&alone[0].id, WALL).await.unwrap(), Progress::Done);
    assert_eq!(world.chunks("run_1").await[0].counts.paid, 3);
    for name in ["ok", "before", "after"] {
        let id = format!("inv_20260801p{name}");
        assert_eq!((world.invoice(&id).await.attempts, charges_of(world, &id).await), (1, 1), "{name}");
    }
}

async fn a_payment_method_that_is_gone_holds_up_nobody(world: &World) {
    world.set_up().await;
    world.subscriber("gone", ("base", "pm_sandbox_ok"), START).await;
    world.subscriber("there", ("base", "pm_sandbox_ok"), START).await;
    world.drive_alone(WALL, Repeat::Once).await;
    world.run("run_1").await;
    world.drive_to("run_1", ChunkState::Invoiced).await;
    let customers = world.database.collection::<bson::Document>("customers");
    let unset = bson::doc! { "$unset": { "payment_method": "" } };
    customers.update_one(bson::doc! { "_id": "cus_gone" }, unset).await.unwrap();

    let totals = world.drive("run_1", Repeat::Once).await;
    assert_eq!((totals.invoiced, totals.paid, totals.payment_failed), (2, 1, 0));
    let open = world.invoice("inv_20260801pgone").await;
    assert_eq!((open.status.as_str(), open.attempts, open.collectible), ("open", 0, false));
}

async fn a_timeout_after_charging(world: &World) {
    let invoice = one_invoice(world, "pm_sandbox_ok").await;
    world.gateway.behave(r#"{"answer_delay_ms":600000}"#).await;
    world.drive_to("run_1", ChunkState::Collected).await;
    let unknown = world.invoice(&invoice.id).await;
    assert_eq!((unknown.status.as_str(), unknown.attempts), ("open", 1));
    assert!(unknown.open_attempt.is_some() && unknown.due.at.is_some(), "it goes on alone");
    assert_eq!(charges_of(world, &invoice.id).await, 1, "the gateway has charged");

    world.gateway.behave("{}").await;
    // A second late, an hour late, whenever: the identical request under the same key.
    world.drive_alone(WALL + SignedDuration::from_hours(19), Repeat::Twice).await;
    assert_paid_once(world, &invoice.id).await;
}

async fn a_forgotten_key_is_looked_up(world: &World) {
    let invoice = one_invoice(world, "pm_sandbox_ok").await;
    world.gateway.behave(r#"{"answer_delay_ms":600000}"#).await;
    world.drive_to("run_1", ChunkState::Collected).await;
    assert_eq!(charges_of(world, &invoice.id).await, 1, "the gateway has charged");

    world.gateway.behave("{}").await;
    world.gateway.advance_clock(DAY + 1).await;
    world.drive_alone(WALL + SignedDuration::from_hours(20), Repeat::Twice).await;
    assert_paid_once(world, &invoice.id).await;
}

/// The attempt as `collect_chunk` stores it before it calls; then the process died.
async fn stored_without_a_call(world: &World, invoice: &Invoice) {
    world.gateway.behave(r#"{"fail_before_per_mille":1000}"#).await;
    world.drive_to("run_1", ChunkState::Collected).await;
    world.gateway.behave("{}").await;
    let alone = bson::doc! { "$unset": { "due_at": "" } };
    let invoices = world.database.collection::<bson::Document>("invoices");
    invoices.update_one(bson::doc! { "_id": &invoice.id }, alone).await.unwrap();
    let chunks = world.database.collection::<bson::Document>("chunks");
    let chunk = chunks.update_one(bson::doc! {}, bson::doc! { "$set": { "state": "invoiced" } }).await.unwrap();
    assert_eq!(chunk.modified_count, 1);
    let open = world.invoice(&invoice.id).await;
    assert!(open.open_attempt.is_some() && open.due.at.is_none());
    assert_eq!(charges_of(world, &invoice.id).await, 0);
}

async fn a_crash_before_the_call_is_resumed(world: &World) {
    let invoice = one_invoice(world, "pm_sandbox_ok").await;
    stored_without_a_call(world, &invoice).await;
    world.drive("run_1", Repeat::AtOnce).await;
    assert_paid_once(world, &invoice.id).await;
}

async fn what_the_gateway_never_had_is_closed_as_failed(world: &World) {
    let invoice = one_invoice(world, "pm_sandbox_ok").await;
    stored_without_a_call(world, &invoice).await;
    let chunk = world.chunks("run_1").await.remove(0).id;
    let late = WALL + SignedDuration::from_hours(20);
    billing::collect_chunk(&world.billing, (TENANT, &chunk), late).await.unwrap();
    world.drive("run_1", Repeat::Once).await;
    assert_failed_once(world, &invoice.id, "not_executed").await;
    assert!(world.billing.store.due::<Notification>(late, None, 10).await.unwrap().is_empty());
}
