//! Money that goes back: never more than was taken, whatever is repeated or runs at once.

use billing::{Actor, BillingError, NewRefund, Progress};
use domain::ledger::Account;
use jiff::SignedDuration;
use store::{LedgerEntry, Notification, PaymentAttempt, Refund, RefundState};

use crate::{
    pipeline::Repeat,
    servers::Servers,
    world::{TENANT, WALL, World},
};

const PAYMENT: &str = "pay_20260710cone_1";

#[tokio::test(flavor = "multi_thread")]
async fn never_more_goes_back_than_was_paid() {
    let servers = Servers::start();
    refunds_at_once(&servers.world("at_once").await).await;
    a_refund_that_fails_can_be_made_again(&servers.world("fails").await).await;
    an_unknown_outcome_is_asked_for(&servers.world("unknown").await).await;
}

async fn paid(world: &World, token: &str) {
    world.set_up().await;
    world.subscriber("one", ("base", token), "2026-07-10T00:00:00Z").await;
    world.drive_alone(WALL, Repeat::Once).await;
}

async fn refund(world: &World, id: &str, amount_minor: i64) -> Result<Refund, BillingError> {
    let new = NewRefund { payment: PAYMENT.to_owned(), amount_minor: Some(amount_minor), reason: "test".to_owned() };
    loop {
        let (store, actor, time) = (&world.billing.store, Actor::system(TENANT), world.time().await);
        let change = billing::create_refund(store, &actor, &time, (id, &new)).await?;
        match world.billing.commit(change).await {
            Err(error) if error.is_conflict() => {}
            outcome => return outcome,
        }
    }
}

async fn send(world: &World, id: &str) -> Progress {
    billing::send_refund(&world.billing, (TENANT, id), WALL).await.unwrap()
}

async fn refunded_at_the_gateway(world: &World) -> i64 {
    let ledger: serde_json::Value = serde_json::from_str(&world.gateway.get("/_sandbox/ledger").await).unwrap();
    ledger["refunded_minor"]["usd"].as_i64().unwrap_or(0)
}

async fn cash(world: &World) -> i64 {
    let entries = world.all::<LedgerEntry>().await;
    let postings = entries.iter().flat_map(|entry| &entry.postings);
    postings.filter(|posting| posting.account == Account::Cash).map(|posting| posting.amount_minor).sum()
}

async fn refunds_at_once(world: &World) {
    paid(world, "pm_sandbox_ok").await;
    let taken = world.all::<PaymentAttempt>().await[0].amount.minor();
    let part = taken / 3;
    let ids: Vec<String> = (0..6).map(|number| format!("re_{number}")).collect();
    let asked = futures::future::join_all(ids.iter().map(|id| refund(world, id, part))).await;
    assert_eq!(asked.iter().filter(|outcome| outcome.is_ok()).count(), 3, "{asked:?}");
    assert!(matches!(refund(world, "re_more", taken - 3 * part + 1).await, Err(BillingError::Rule { .. })));
    let made: Vec<String> = world.all::<Refund>().await.into_iter().map(|refund| refund.id).collect();
    // Each twice at once, and once more.
    futures::future::join_all(made.iter().chain(&made).map(|id| send(world, id))).await;
    for id in &made {
        assert_eq!(send(world, id).await, Progress::Done);
    }
    assert_eq!(refunded_at_the_gateway(world).await, 3 * part);
    assert_eq!(cash(world).await, taken - 3 * part);
    let attempt: PaymentAttempt = world.billing.store.find(TENANT, PAYMENT).await.unwrap().unwrap();
    assert_eq!(attempt.refunded_minor, 3 * part);
    assert!(world.all::<Refund>().await.iter().all(|refund| refund.state == RefundState::Succeeded));
    let mails = world.all::<Notification>().await;
    assert_eq!(mails.iter().filter(|mail| mail.message.kind() == "refund_issued").count(), 3);
}

async fn a_refund_that_fails_can_be_made_again(world: &World) {
    paid(world, "pm_sandbox_refund_fails").await;
    let taken = world.all::<PaymentAttempt>().await[0].amount.minor();
    refund(world, "re_1", taken).await.unwrap();
    assert_eq!(send(world, "re_1").await, Progress::Done);
    let failed: Refund = world.billing.store.find(TENANT, "re_1").await.unwrap().unwrap();
    assert_eq!((failed.state, failed.failure_code.as_deref()), (RefundState::Failed, Some("lost_or_stolen_card")));
    assert_eq!(cash(world).await, taken);
    let body = r#"{"payment_method":"pm_sandbox_refund_fails","behaves_as":"pm_sandbox_ok"}"#;
    world.gateway.post("/_sandbox/payment_methods", body).await;
    refund(world, "re_2", taken).await.unwrap();
    send(world, "re_2").await;
    assert_eq!((refunded_at_the_gateway(world).await, cash(world).await), (taken, 0));
}

async fn an_unknown_outcome_is_asked_for(world: &World) {
    paid(world, "pm_sandbox_ok").await;
    refund(world, "re_1", 100).await.unwrap();
    world.gateway.behave(r#"{"answer_delay_ms":600000}"#).await;
    assert_eq!(send(world, "re_1").await, Progress::More, "it timed out after it was executed");
    assert_eq!(refunded_at_the_gateway(world).await, 100);
    world.gateway.behave("{}").await;
    // The gateway has forgotten the key.
    world.gateway.advance_clock(25 * 60 * 60).await;
    let late = WALL + SignedDuration::from_hours(25);
    let progress = billing::send_refund(&world.billing, (TENANT, "re_1"), late).await.unwrap();
    let found: Refund = world.billing.store.find(TENANT, "re_1").await.unwrap().unwrap();
    assert_eq!((progress, found.state), (Progress::Done, RefundState::Succeeded));
    assert_eq!(refunded_at_the_gateway(world).await, 100, "and it went back once");
}
