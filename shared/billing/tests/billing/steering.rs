//! A run that is steered: each of pause, resume, cancel and retry takes effect within a chunk, and bills nothing twice.

use billing::{BillingError, Steering, jobs::queues};
use domain::RunState;
use store::{AuditEntry, BillingRun, ChunkState, Invoice, RunTotals, SubscriptionRecord};

use crate::{
    books::assert_same,
    fleet::{Fleet, until},
    pipeline::Repeat,
    servers::Servers,
    world::{TENANT, WALL, World},
};

/// Two boundaries are due: 1 July and 1 August.
const START: &str = "2026-06-10T00:00:00Z";

const STAGES: [ChunkState; 4] = [ChunkState::Planned, ChunkState::Usage, ChunkState::Invoiced, ChunkState::Collected];

async fn set_up(world: &World) {
    world.set_up().await;
    for name in ["one", "two"] {
        world.subscriber(name, ("dev", "pm_sandbox_ok"), START).await;
    }
    // The initial invoices are not the run's.
    world.drive_alone(WALL, Repeat::Once).await;
    world.run("run_1").await;
}

impl World {
    async fn steer(&self, run: &str, steering: Steering) -> Result<BillingRun, BillingError> {
        let (store, time) = (&self.billing.store, self.time().await);
        let actor = billing::Actor::system(TENANT);
        let change = billing::steer_billing_run(store, &actor, &time, (run, steering)).await?;
        self.billing.commit(change).await
    }

    async fn run_state(&self, run: &str) -> RunState {
        self.billing.store.find::<BillingRun>(TENANT, run).await.unwrap().unwrap().state
    }

    async fn totals(&self, run: &str) -> RunTotals {
        RunTotals::of(&self.chunks(run).await)
    }

    /// Whatever jobs there may be: of the run, of its chunks, and the sweep's.
    async fn poke(&self, run: &str) {
        for _ in 0..3 {
            billing::plan_billing_run(&self.billing, (TENANT, run), WALL).await.unwrap();
            for chunk in self.chunks(run).await {
                self.step(&chunk).await.unwrap();
            }
        }
    }

    async fn refused(&self, run: &str, steering: Steering) -> &'static str {
        match self.steer(run, steering).await.unwrap_err() {
            BillingError::State { code, .. } => code,
            error => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_run_holds_still_in_every_stage_and_a_cancelled_one_lets_go() {
    let servers = Servers::start();
    for stage in STAGES {
        let world = servers.world(&format!("pause_{stage:?}").to_lowercase()).await;
        set_up(&world).await;
        a_pause_holds(&world, stage).await;
        let world = servers.world(&format!("cancel_{stage:?}").to_lowercase()).await;
        set_up(&world).await;
        a_cancelled_run_bills_no_more(&world, stage).await;
    }
    a_pause_stops_planning(&servers.world("planning").await).await;
}

async fn a_pause_holds(world: &World, stage: ChunkState) {
    world.drive_to("run_1", stage).await;
    world.steer("run_1", Steering::Pause).await.unwrap();
    let held = world.dump().await;
    world.poke("run_1").await;
    assert_same(&held, &world.dump().await);
    let hour_later = WALL + jiff::SignedDuration::from_hours(1);
    let swept = billing::sweep_overdue(&world.billing, hour_later).await.unwrap();
    assert_eq!(swept.offered, 2, "the tenant's events and audit entries are, and nothing of the run is offered");
    assert_eq!(world.refused("run_1", Steering::Pause).await, "invalid_state");
    assert_eq!(world.refused("run_1", Steering::RetryFailed).await, "invalid_state");

    let resumed = world.steer("run_1", Steering::Resume).await.unwrap();
    assert_eq!(resumed.state, RunState::Running);
    let totals = world.drive("run_1", Repeat::Twice).await;
    assert_eq!((totals.subscriptions, totals.invoiced, totals.paid, totals.notified), (2, 4, 4, 4));
    assert_eq!(world.refused("run_1", Steering::Resume).await, "invalid_state");
    assert_eq!(world.refused("run_1", Steering::RetryFailed).await, "nothing_failed");
    let audits = world.all::<AuditEntry>().await;
    let of_chunks = audits.iter().filter(|entry| entry.action.starts_with("chunk.")).count();
    assert_eq!(of_chunks, 1, "one audit entry for a chunk");
}

async fn a_cancelled_run_bills_no_more(world: &World, stage: ChunkState) {
    world.drive_to("run_1", stage).await;
    let issued = world.all::<Invoice>().await.len();
    let charged = world.gateway.charges().await.len();
    world.steer("run_1", Steering::Cancel).await.unwrap();
    world.poke("run_1").await;
    world.poke("run_1").await;

    let run: BillingRun = world.billing.store.find(TENANT, "run_1").await.unwrap().unwrap();
    assert_eq!((run.state, run.finished_at, run.due.at), (RunState::Cancelled, Some(WALL), None));
    assert!(world.chunks("run_1").await.iter().all(|chunk| chunk.state == ChunkState::Notified));
    assert_eq!(world.all::<Invoice>().await.len(), issued, "nothing more was issued");
    assert_eq!(world.gateway.charges().await.len(), charged, "nothing more was charged by the run");
    assert_eq!(world.dump().await.keys().filter(|key| key.starts_with("usage_passes/")).count(), 0);

    // What it issued is collected and mailed outside of it, and counted where it belongs.
    world.drive_alone(WALL, Repeat::Twice).await;
    let totals = world.totals("run_1").await;
    let of_run = i64::try_from(issued - 2).unwrap();
    assert_eq!((totals.invoiced, totals.paid, totals.notified), (of_run, of_run, of_run));
    for steering in [Steering::Pause, Steering::Resume, Steering::Cancel, Steering::RetryFailed] {
        assert_eq!(world.refused("run_1", steering).await, "invalid_state");
    }
    // The rest waits for another run, which bills it once.
    world.run("run_2").await;
    assert_eq!(world.drive("run_2", Repeat::Once).await.invoiced, 4 - of_run);
    assert_eq!(world.gateway.charges().await.len(), 2 * 3);
}

async fn a_pause_stops_planning(world: &World) {
    set_up(world).await;
    world.steer("run_1", Steering::Pause).await.unwrap();
    world.poke("run_1").await;
    assert_eq!(world.chunks("run_1").await.len(), 0);
    assert_eq!(world.steer("run_1", Steering::Resume).await.unwrap().state, RunState::Planning);
    assert_eq!(world.drive("run_1", Repeat::Once).await.invoiced, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_failed_is_retried_and_a_damaged_document_fails_alone() {
    let servers = Servers::start();
    let world = servers.world("retry").await;
    world.set_up().await;
    for name in ["good", "orphan", "torn"] {
        world.subscriber(name, ("dev", "pm_sandbox_ok"), START).await;
    }
    let subscriptions = world.database.collection::<bson::Document>("subscriptions");
    let damage = async |id: &str, field: &str, value: &str| {
        let set = bson::doc! { "$set": { field: value } };
        assert_eq!(subscriptions.update_one(bson::doc! { "_id": id }, set).await.unwrap().modified_count, 1);
    };
    let orphan = subscriptions.find_one(bson::doc! { "_id": "sub_orphan" }).await.unwrap().unwrap();
    let plan = orphan.get_document("subscription").unwrap().get_str("plan").unwrap();
    damage("sub_orphan", "subscription.plan", "pln_gone").await;
    damage("sub_torn", "subscription.status", "torn").await;
    world.run("run_1").await;
    let totals = world.drive("run_1", Repeat::Once).await;
    assert_eq!((totals.subscriptions, totals.invoiced, totals.failed), (3, 2, 2));
    let errors: Vec<(&str, i64)> = totals.errors.iter().map(|error| (error.code.as_str(), error.count)).collect();
    assert_eq!(errors, [("damaged", 1), ("missing_parent", 1)]);
    assert_eq!(world.run_state("run_1").await, RunState::Completed);

    damage("sub_orphan", "subscription.plan", plan).await;
    let before = world.billing.store.find::<SubscriptionRecord>(TENANT, "sub_good").await.unwrap().unwrap().revision;
    assert_eq!(world.steer("run_1", Steering::RetryFailed).await.unwrap().state, RunState::Running);
    let totals = world.drive("run_1", Repeat::Twice).await;
    assert_eq!((totals.subscriptions, totals.invoiced, totals.failed, totals.paid), (3, 4, 1, 4));
    assert_eq!(totals.errors[0].example.subscription, "sub_torn");
    assert_eq!(world.run_state("run_1").await, RunState::Completed);
    let after = world.billing.store.find::<SubscriptionRecord>(TENANT, "sub_good").await.unwrap().unwrap().revision;
    assert_eq!(before, after, "what had succeeded is left alone");
    damage("sub_torn", "subscription.status", "active").await;
    world.steer("run_1", Steering::RetryFailed).await.unwrap();
    let totals = world.drive("run_1", Repeat::Once).await;
    assert_eq!((totals.invoiced, totals.failed, totals.paid), (6, 0, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_workers_are_in_the_middle_of_is_paused_and_goes_on() {
    let servers = Servers::start();
    let world = servers.world("fleet").await;
    world.set_up().await;
    world.subscriber("000", ("base", "pm_sandbox_ok"), START).await;
    world.multiply(450).await;
    world.run("run_1").await;
    let fleet = Fleet::start(&world, &queues::ALL);
    until("invoices are issued", async || world.totals("run_1").await.invoiced > 0).await;
    while let Err(error) = world.steer("run_1", Steering::Pause).await {
        assert!(error.is_conflict(), "{error}");
    }
    let quiet = async || {
        let mut waiting = 0;
        for queue in queues::partitions(&world.billing.queue, None) {
            let depth = world.billing.queue.depth(&queue).await.unwrap();
            waiting += depth.ready + depth.limited + depth.scheduled + depth.running;
        }
        waiting == 0
    };
    until("every job has ended", quiet).await;
    let held = world.totals("run_1").await;
    assert!(world.chunks("run_1").await.iter().any(|chunk| chunk.state != ChunkState::Notified), "{held:?}");

    while let Err(error) = world.steer("run_1", Steering::Resume).await {
        assert!(error.is_conflict(), "{error}");
    }
    until("the run completes", async || world.run_state("run_1").await == RunState::Completed).await;
    let totals = world.totals("run_1").await;
    assert_eq!((totals.subscriptions, totals.invoiced, totals.paid, totals.failed), (450, 900, 900, 0));
    fleet.stop().await;
    let mut charges = world.gateway.charges().await;
    charges.dedup();
    assert_eq!(charges.len(), 900 + 1, "each invoice is charged once");
}
