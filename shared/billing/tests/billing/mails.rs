//! Every mail reaches the server once, also when it was away.

use std::collections::BTreeSet;

use billing::{NewSubscription, When};
use store::{ChunkState, Notification};

use crate::{
    pipeline::Repeat,
    servers::Servers,
    world::{TENANT, WALL, actor},
};

/// Mails that wait for the server: several, so that they count their chunk at once.
const MAILS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_was_away_gets_every_mail_once() {
    let mut servers = Servers::start();
    let world = servers.world("mails").await;
    world.set_up().await;
    for index in 0..MAILS {
        world.subscriber(&format!("{index}"), ("dev", "pm_sandbox_ok"), "2026-07-10T00:00:00Z").await;
    }
    world.drive_alone(WALL, Repeat::Once).await;
    assert_eq!(servers.mail.count(), MAILS, "the initial invoices");

    world.run("run_1").await;
    world.drive_to("run_1", ChunkState::Collected).await;
    servers.mail.stop();
    world.drive_to("run_1", ChunkState::Notified).await;
    let away = world.chunks("run_1").await.remove(0);
    assert_eq!((away.counts.paid, away.counts.notified), (MAILS as i64, 0));
    let waiting = world.billing.store.due::<Notification>(WALL, None, 100).await.unwrap();
    assert_eq!(waiting.len(), MAILS, "each mail goes on alone");
    let refused = billing::send_notification(&world.billing, (TENANT, &waiting[0].id), WALL).await;
    assert!(matches!(refused, Err(billing::BillingError::Mail(_))), "{refused:?}");

    servers.mail.restart().unwrap();
    // All at once, so that they count their chunk at once as well.
    let send = waiting.iter().map(|due| billing::send_notification(&world.billing, (TENANT, &due.id), WALL));
    for sent in futures::future::join_all(send).await {
        sent.unwrap();
    }
    let totals = world.drive("run_1", Repeat::Once).await;
    assert_eq!((totals.paid, totals.notified), (MAILS as i64, MAILS as i64));
    let ids: BTreeSet<String> = servers.mail.mails().into_iter().map(|mail| mail.message_id).collect();
    assert_eq!((servers.mail.count(), ids.len()), (2 * MAILS, 2 * MAILS));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_is_announced_on_the_tenants_clock_unless_nothing_follows_it() {
    let servers = Servers::start();
    let world = servers.world("trials").await;
    world.set_up().await;
    let (store, time) = (&world.billing.store, world.time().await);
    for name in ["goes_on", "leaves"] {
        let customer = world.customer(&format!("cus_{name}"), "pm_sandbox_ok").await.id;
        let new = NewSubscription { customer, plan: "base".to_owned(), trial_days: Some(14), ..Default::default() };
        let change = billing::create_subscription(store, &actor(), &time, (format!("sub_{name}"), new)).await.unwrap();
        world.billing.commit(change).await.unwrap();
    }
    let leave = ("sub_leaves", When::PeriodEnd, None);
    let change = billing::cancel_subscription(store, &actor(), &time, leave).await.unwrap();
    world.billing.commit(change).await.unwrap();

    // From 1 August on fourteen days, less three.
    let due = async |at: &str| store.due_on::<Notification>(("clk_1", at.parse().unwrap()), 10).await.unwrap();
    assert_eq!(due("2026-08-11T23:59:59Z").await.len(), 0);
    let notices = due("2026-08-12T00:00:00Z").await;
    let by_wall = store.due::<Notification>(WALL, None, 100).await.unwrap();
    for mail in notices.iter().chain(&by_wall) {
        billing::send_notification(&world.billing, (TENANT, &mail.id), WALL).await.unwrap();
    }
    assert_eq!((notices.len(), due("2026-08-12T00:00:00Z").await.len()), (2, 0));
    let mails = servers.mail.mails();
    let told = |name: &str| -> Vec<String> {
        let to = format!("cus_{name}@example.com");
        let to_them = mails.iter().filter(|mail| mail.to.iter().any(|address| address.address == to));
        to_them.map(|mail| mail.subject.clone()).filter(|subject| !subject.contains("invoice")).collect()
    };
    assert_eq!(told("goes_on"), ["Acme: your trial ends soon"]);
    assert_eq!(told("leaves"), ["Acme: your subscription is cancelled"]);
}
