//! What wallets, balances and credit notes pay is not charged, and what was voided is not collected.

use billing::{Actor, BalanceAdjustment, NewCreditNote, NewWallet};
use domain::{CreditOutcome, CreditRequest, CreditRequestLine, InvoiceStatus};
use store::{BalanceEntry, ChunkState, Customer, Invoice, WalletRecord};

use crate::{
    pipeline::Repeat,
    servers::Servers,
    world::{TENANT, WALL, World},
};

/// One boundary on 1 August after the initial invoice of 1 July, both of 20.00.
const START: &str = "2026-07-01T00:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_left_is_charged() {
    let servers = Servers::start();
    a_run_uses_purses_once_whatever_is_repeated(&servers.world("purses").await).await;
    what_was_withdrawn_is_not_collected(&servers.world("withdrawn").await).await;
}

async fn wallet(world: &World, id: &str, (customer, amount_minor): (&str, i64)) {
    let new =
        NewWallet { customer: customer.to_owned(), amount_minor, applies_to: Vec::new(), expires_at: None, name: None };
    let (store, actor, time) = (&world.billing.store, Actor::system(TENANT), world.time().await);
    let change = billing::create_wallet(store, &actor, &time, (id.to_owned(), new)).await.unwrap();
    world.billing.commit(change).await.unwrap();
}

async fn adjust(world: &World, customer: &str, amount_minor: i64) {
    let adjustment = BalanceAdjustment { amount_minor, reason: "goodwill".to_owned() };
    let (store, actor, time) = (&world.billing.store, Actor::system(TENANT), world.time().await);
    let change = billing::adjust_balance(store, &actor, &time, (customer, &adjustment)).await.unwrap();
    world.billing.commit(change).await.unwrap();
}

async fn credit(world: &World, id: &str, (invoice, amount_minor): (&str, i64)) {
    let new = NewCreditNote {
        invoice: invoice.to_owned(),
        request: CreditRequest::Lines(vec![CreditRequestLine { line: 0, amount_minor }]),
        outcome: CreditOutcome::Balance,
        reason: "outage".to_owned(),
    };
    let (store, actor, time) = (&world.billing.store, Actor::system(TENANT), world.time().await);
    let change = billing::create_credit_note(store, &actor, &time, (id, &new)).await.unwrap();
    world.billing.commit(change).await.unwrap();
}

/// Charges of the run's invoices: "invoice amount".
async fn august_charges(world: &World) -> Vec<String> {
    let mut charges = world.gateway.charges().await;
    charges.retain(|charge| charge.starts_with("inv_20260801p"));
    charges
}

async fn a_run_uses_purses_once_whatever_is_repeated(world: &World) {
    world.set_up().await;
    // Of two plans, since a meter is billed once for a customer.
    world.subscriber("both", ("dev", "pm_sandbox_ok"), START).await;
    while let Err(error) = world.subscribe("sub_second", ("cus_both", "base"), START).await {
        assert!(error.is_conflict(), "{error}");
    }
    world.subscriber("rich", ("base", "pm_sandbox_ok"), START).await;
    world.subscriber("poor", ("base", "pm_sandbox_ok"), START).await;
    world.drive_alone(WALL, Repeat::Once).await;
    wallet(world, "wal_both", ("cus_both", 2_500)).await;
    adjust(world, "cus_both", 700).await;
    wallet(world, "wal_rich", ("cus_rich", 5_000)).await;
    adjust(world, "cus_poor", -300).await;
    world.run("run_1").await;
    let totals = world.drive("run_1", Repeat::Twice).await;

    assert_eq!((totals.invoiced, totals.paid, totals.payment_failed, totals.failed), (4, 4, 0, 0));
    // 40.00 less 25.00 and 7.00; nothing of the rich one; a debt pays nothing.
    assert_eq!(august_charges(world).await, ["inv_20260801ppoor 2000", "inv_20260801psecond 800"]);
    let left: Vec<_> = world.all::<WalletRecord>().await.iter().map(|wallet| wallet.balance_minor).collect();
    assert_eq!(left, [0, 3_000]);
    let balances: Vec<_> = world.all::<Customer>().await.iter().map(|customer| customer.balance_minor).collect();
    assert_eq!(balances, [0, -300, 0]);
    assert_eq!(world.invoice("inv_20260801prich").await.attempts, 0, "it was paid without an attempt");
    for customer in world.all::<Customer>().await {
        let mut entries = world.all::<BalanceEntry>().await;
        entries.retain(|entry| entry.customer == customer.id);
        assert_eq!(entries.iter().map(|entry| entry.amount_minor).sum::<i64>(), customer.balance_minor);
        assert_eq!(entries.last().map_or(0, |entry| entry.balance_after_minor), customer.balance_minor);
    }
}

async fn what_was_withdrawn_is_not_collected(world: &World) {
    world.set_up().await;
    for name in ["half", "noted", "off", "void"] {
        world.subscriber(name, ("base", "pm_sandbox_ok"), START).await;
    }
    world.drive_alone(WALL, Repeat::Once).await;
    world.run("run_1").await;
    world.drive_to("run_1", ChunkState::Invoiced).await;
    credit(world, "cn_half", ("inv_20260801phalf", 1_200)).await;
    credit(world, "cn_noted", ("inv_20260801pnoted", 2_000)).await;
    let (store, actor, time) = (&world.billing.store, Actor::system(TENANT), world.time().await);
    for (id, change) in [
        ("void", billing::void_invoice(store, &actor, &time, "inv_20260801pvoid").await),
        ("off", billing::mark_uncollectible(store, &actor, &time, "inv_20260801poff").await),
    ] {
        let invoice: Invoice = world.billing.commit(change.unwrap()).await.unwrap();
        assert!(invoice.id.ends_with(id));
    }
    let totals = world.drive("run_1", Repeat::Twice).await;

    assert_eq!(august_charges(world).await, ["inv_20260801phalf 800"]);
    assert_eq!((totals.invoiced, totals.paid, totals.payment_failed, totals.notified), (4, 2, 0, 4));
    let chunk = world.chunks("run_1").await.remove(0);
    let [amount] = &*chunk.counts.amounts else { panic!("{chunk:?}") };
    assert_eq!((amount.invoiced_minor, amount.collected_minor), (8_000, 800), "notes collect nothing");
    let status = async |id: &str| world.invoice(&format!("inv_20260801p{id}")).await.status;
    assert_eq!((status("half").await, status("noted").await), (InvoiceStatus::Paid, InvoiceStatus::Paid));
    assert_eq!((status("void").await, status("off").await), (InvoiceStatus::Void, InvoiceStatus::Uncollectible));
    // A note on what was paid through the gateway goes to the balance.
    credit(world, "cn_more", ("inv_20260801phalf", 800)).await;
    let customer: Customer = store.find(TENANT, "cus_half").await.unwrap().unwrap();
    assert_eq!(customer.balance_minor, 800);
}
