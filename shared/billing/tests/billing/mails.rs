//! Every mail reaches the server once, also when it was away.

use std::collections::BTreeSet;

use store::{ChunkState, Notification};

use crate::{
    pipeline::Repeat,
    servers::Servers,
    world::{TENANT, WALL},
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
