//! Operations on many dead letters: the tenant's own and no others, paced, resumable, done once.

use app::Clock;
use billing::{
    Actor, Advance, BillingError, Change, NewOperation, TenantTime,
    jobs::{AdvanceOperation, queues},
};
use bson::doc;
use jiff::{SignedDuration, Timestamp};
use queue::{DeadFilter, Job};
use store::{DeadLetterState, Operation, OperationCounts, OperationFilter, OperationKind, OperationState};

use crate::{
    fleet::{Fleet, until},
    servers::Servers,
    world::{TENANT, World},
};

const OTHER: &str = "ten_2";

/// Just after everything that has died so far: the queue's clock is the machine's.
fn after_all_deaths() -> Timestamp {
    Clock.now() + SignedDuration::from_millis(1)
}

fn new(id: &str, kind: OperationKind) -> NewOperation {
    NewOperation {
        id: id.to_owned(),
        kind,
        filter: OperationFilter::default(),
        reason: "the gateway is back".to_owned(),
        pace: None,
    }
}

impl World {
    fn decide(&self, new: NewOperation) -> Result<Change<Operation>, BillingError> {
        let wall = after_all_deaths();
        let time = TenantTime { wall, now: wall, clock: None, advancing: false };
        let actor = Actor { tenant: TENANT.to_owned(), id: "usr_1".to_owned(), request_id: None };
        billing::start_operation(&self.billing.queue, &actor, &time, new)
    }

    async fn start(&self, new: NewOperation) -> Operation {
        self.billing.commit(self.decide(new).unwrap()).await.unwrap()
    }

    async fn operation(&self, id: &str) -> Operation {
        self.billing.store.find(TENANT, id).await.unwrap().unwrap()
    }

    async fn advance(&self, id: &str) -> Advance {
        billing::advance_operation(&self.billing, (TENANT, id), Clock.now()).await.unwrap()
    }

    async fn dead_of(&self, tenant: &str) -> u64 {
        let filter = DeadFilter { tenant: Some(tenant.to_owned()), ..DeadFilter::default() };
        let mut dead = 0;
        for name in queues::partitions(&self.billing.queue, Some(queues::USAGE)) {
            dead += self.billing.queue.count_dead(&name, &filter).await.unwrap();
        }
        dead
    }
}

fn counts(matched: i64, done: i64) -> OperationCounts {
    OperationCounts { matched, done, skipped: matched - done }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_tenant_are_retried_once_and_nobody_elses() {
    let servers = Servers::start();
    let world = servers.world("retry").await;
    world.set_up().await;
    world.die(TENANT, 30).await;
    world.die(OTHER, 5).await;
    let everything = OperationFilter::default();
    assert_eq!(billing::count_dead_letters(&world.billing.queue, TENANT, &everything).await.unwrap(), 30);

    world.start(NewOperation { pace: Some(20), ..new("op_1", OperationKind::RetryDeadLetters) }).await;
    // They die again at once, after the operation's end of time.
    let fleet = Fleet::start(&world, &[queues::USAGE, queues::OPERATIONS]);
    let completed = async || world.operation("op_1").await.state == OperationState::Completed;
    until("the operation completes", completed).await;
    until("they die again", async || world.dead_of(TENANT).await == 30).await;
    fleet.stop().await;
    let operation = world.operation("op_1").await;
    assert_eq!((operation.expected, operation.totals()), (Some(30), counts(30, 30)));
    assert_eq!((operation.due.at, operation.finished_at.is_some()), (None, true));
    assert_eq!(world.dead_of(OTHER).await, 5);
    assert_eq!(world.advance("op_1").await, Advance::Completed, "a redelivery finds nothing to do");

    world.mirror().await;
    let dead = doc! { "tenant": TENANT, "state": "dead" };
    assert_eq!(world.database.collection::<bson::Document>("dead_letters").count_documents(dead).await.unwrap(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_goes_on_where_it_was_killed() {
    let servers = Servers::start();
    let world = servers.world("resume").await;
    world.set_up().await;
    world.die(TENANT, 30).await;
    world.die(OTHER, 1).await;
    world.mirror().await;
    let filter = OperationFilter { queue: Some(queues::USAGE.to_owned()), ..OperationFilter::default() };
    let discard = NewOperation { filter, pace: Some(10), ..new("op_1", OperationKind::DiscardDeadLetters) };
    let started = world.start(discard).await;
    assert_eq!(started.queues.len(), 3, "the partitions of one queue");
    let stored = world.database.collection::<bson::Document>("operations");
    let before = stored.find_one(doc! { "_id": "op_1" }).await.unwrap().unwrap();

    let Advance::After(pause) = world.advance("op_1").await else { panic!("ten of thirty are not all") };
    assert_eq!(pause.as_secs(), 1, "ten letters at ten a second");
    let progress = world.operation("op_1").await;
    assert_eq!((progress.state, progress.totals()), (OperationState::Running, counts(10, 10)));
    assert_eq!(world.dead_of(TENANT).await, 20);

    // Killed after the step and before it was stored: the step is not counted, and nothing is done twice or left out.
    stored.replace_one(doc! { "_id": "op_1" }, before).await.unwrap();
    // Two workers at once: the one that loses the race begins again from what the other has stored.
    futures::future::join(world.advance("op_1"), world.advance("op_1")).await;
    while world.advance("op_1").await != Advance::Completed {}
    assert_eq!((world.dead_of(TENANT).await, world.dead_of(OTHER).await), (0, 1));
    let operation = world.operation("op_1").await;
    assert_eq!((operation.state, operation.expected), (OperationState::Completed, Some(20)));
    assert!(operation.totals().done <= 20, "{:?}", operation.totals());

    world.mirror().await;
    let letters = world.database.collection::<store::DeadLetterRecord>("dead_letters");
    let one = letters.find_one(doc! { "tenant": TENANT }).await.unwrap().unwrap();
    let resolved = one.resolved.unwrap();
    assert_eq!(one.state, DeadLetterState::Discarded);
    assert_eq!((resolved.by.as_str(), resolved.reason.as_str()), ("usr_1", "the gateway is back"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_whose_job_is_lost_is_swept() {
    let servers = Servers::start();
    let world = servers.world("swept").await;
    world.set_up().await;
    world.die(TENANT, 3).await;
    world.mirror().await;
    world.start(new("op_1", OperationKind::DiscardDeadLetters)).await;
    servers.flush_redis().await;
    let rebuilt = billing::rebuild_deliveries(&world.billing, "gen_1", after_all_deaths()).await.unwrap().unwrap();
    assert_eq!(rebuilt.restored, 3);
    assert_eq!(world.billing.queue.depth(AdvanceOperation::QUEUE).await.unwrap().ready, 1);
    let fleet = Fleet::start(&world, &[queues::OPERATIONS]);
    until("it completes", async || world.operation("op_1").await.state == OperationState::Completed).await;
    fleet.stop().await;
    assert_eq!((world.operation("op_1").await.totals(), world.dead_of(TENANT).await), (counts(3, 3), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused() {
    let servers = Servers::start();
    let world = servers.world("refused").await;
    let code = |new: NewOperation| match world.decide(new) {
        Err(BillingError::Rule { code, pointer, .. }) => (code, pointer),
        other => panic!("{:?}", other.map(|change| change.result)),
    };
    let retry = || new("op_1", OperationKind::RetryDeadLetters);
    let filtered = |filter| NewOperation { filter, ..retry() };
    let unknown = OperationFilter { queue: Some("paiments".to_owned()), ..OperationFilter::default() };
    assert_eq!(code(filtered(unknown)), ("unknown_queue", "/filter/queue"));
    let now = Some(Clock.now());
    let empty = OperationFilter { died_from: now, died_until: now, ..OperationFilter::default() };
    assert_eq!(code(filtered(empty)), ("empty_period", "/filter"));
    assert_eq!(code(NewOperation { reason: " ".to_owned(), ..retry() }), ("reason_required", "/reason"));
    assert_eq!(code(NewOperation { reason: "x".repeat(501), ..retry() }), ("reason_too_long", "/reason"));
    for pace in [0, -1, 1_001] {
        assert_eq!(code(NewOperation { pace: Some(pace), ..retry() }), ("pace_out_of_range", "/pace"));
    }
    let operation = world.decide(retry()).unwrap().result;
    assert_eq!((operation.tenant.as_str(), operation.queues.len()), (TENANT, queues::ALL.len() + 2));
    assert_eq!(operation.filter.died_until, Some(operation.created), "it has an end");
}
