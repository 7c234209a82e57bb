//! Redis only delivers: what it loses is rebuilt from the store, all of it and nothing else.

use billing::{Sweep, jobs::queues};
use jiff::SignedDuration;
use store::ChunkState;

use crate::{
    pipeline::Repeat,
    servers::Servers,
    world::{TENANT, WALL, World},
};

/// Jobs that wait, by queue.
async fn waiting(world: &World) -> Vec<(&'static str, u64)> {
    let mut waiting = Vec::new();
    for queue in queues::ALL {
        let alive = world.alive(queue).await;
        if alive > 0 {
            waiting.push((queue, alive));
        }
    }
    waiting
}

async fn rebuild(world: &World, generation: &str) -> Option<Sweep> {
    billing::rebuild_deliveries(&world.billing, generation, WALL).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_has_lost_is_rebuilt_and_nothing_else() {
    let servers = Servers::start();
    let world = servers.world("deliveries").await;
    world.set_up().await;
    for (name, token) in [("one", "pm_sandbox_ok"), ("two", "pm_sandbox_ok")] {
        world.subscriber(name, ("dev", token), "2026-07-10T00:00:00Z").await;
    }
    world.run("run_1").await;
    world.drive_to("run_1", ChunkState::Invoiced).await;
    assert!(rebuild(&world, "gen_1").await.is_some(), "nothing has marked Redis yet");
    assert_eq!(rebuild(&world, "gen_2").await, None, "nothing was lost");

    servers.flush_redis().await;
    let left = [
        // The run, its chunk, and of each initial invoice the collection and the mail; the events and the audit entries of the tenant.
        (queues::BILLING_CYCLE, 1),
        (queues::PAYMENTS, 1 + 2),
        (queues::NOTIFICATIONS, 2),
        (queues::EVENTS, 2),
    ];
    assert_eq!(rebuild(&world, "gen_3").await, Some(Sweep { offered: 8, restored: 0 }));
    assert_eq!(waiting(&world).await, left);
    // Another scheduler sweeps as well, and finds everything there.
    let later = WALL + SignedDuration::from_mins(10);
    assert_eq!(billing::sweep_overdue(&world.billing, later).await.unwrap(), Sweep { offered: 8, restored: 0 });
    assert_eq!(waiting(&world).await, left);
    assert_eq!(rebuild(&world, "gen_4").await, None);

    world.drive("run_1", Repeat::Once).await;
    while billing::dispatch_events(&world.billing, TENANT, WALL).await.unwrap() == billing::Progress::More {}
    while billing::seal_audit(&world.billing, TENANT, WALL).await.unwrap() == billing::Progress::More {}
    servers.flush_redis().await;
    assert_eq!(rebuild(&world, "gen_5").await, Some(Sweep { offered: 0, restored: 0 }), "nothing is left to do");
    assert_eq!(waiting(&world).await, []);
}
