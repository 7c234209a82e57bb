//! Dead letters: one per piece of work however often the sweep comes by, mirrored into the store, put back when Redis has
//! lost them, and done after all when a person requeues them.

use billing::{
    Sweep,
    jobs::{CalculateUsage, CollectPayment, queues},
};
use bson::doc;
use futures::future::join;
use jiff::SignedDuration;
use queue::{By, DeadLetter, Edited, NewJob, Requeued};
use store::{DeadLetterRecord, DeadLetterState};

use crate::{
    fleet::{Fleet, until},
    servers::Servers,
    world::{TENANT, WALL, World},
};

/// The initial invoice of the subscriber `one`.
const INVOICE: &str = "inv_20260710cone";
/// Its total: 22 of the 31 days of July at 20.00 a month.
const TOTAL: i64 = 1_419;

impl World {
    pub(crate) async fn dead(&self, queue: &str) -> u64 {
        let mut dead = 0;
        for name in queues::partitions(&self.billing.queue, Some(queue)) {
            dead += self.billing.queue.depth(&name).await.unwrap().dead;
        }
        dead
    }

    async fn letters(&self, queue: &str) -> Vec<DeadLetter> {
        let (client, all) = (&self.billing.queue, queue::DeadFilter::default());
        let mut letters = Vec::new();
        for name in queues::partitions(client, Some(queue)) {
            let page = queue::Page { before: None, limit: 100 };
            letters.extend(client.dead_letters(&name, &all, page).await.unwrap());
        }
        letters
    }

    /// Jobs of a queue that may still run.
    pub(crate) async fn alive(&self, queue: &str) -> u64 {
        let mut alive = 0;
        for name in queues::partitions(&self.billing.queue, Some(queue)) {
            let depth = self.billing.queue.depth(&name).await.unwrap();
            alive += depth.ready + depth.limited + depth.scheduled + depth.running;
        }
        alive
    }

    /// Has jobs die that name chunks `chk_0`, `chk_1`, ... which do not exist.
    pub(crate) async fn die(&self, tenant: &str, count: usize) {
        let expected = self.dead(queues::USAGE).await + count as u64;
        let job = |index: usize| {
            NewJob::of(&CalculateUsage { tenant: tenant.to_owned(), chunk: format!("chk_{index}"), pass: 1 }).unwrap()
        };
        self.billing.queue.enqueue_many((0..count).map(job).collect()).await.unwrap();
        let fleet = Fleet::start(self, &[queues::USAGE]);
        until("the jobs die", async || self.dead(queues::USAGE).await == expected).await;
        fleet.stop().await;
    }

    pub(crate) async fn mirror(&self) -> usize {
        billing::mirror_dead_letters(&self.billing).await.unwrap()
    }

    /// What the mirror holds of a letter.
    pub(crate) async fn mirrored(&self, queue: &str, id: &str) -> Option<DeadLetterRecord> {
        let letters = self.database.collection("dead_letters");
        letters.find_one(doc! { "_id": format!("{queue}:{id}") }).await.unwrap()
    }
}

fn by(who: &str) -> By {
    By { who: who.to_owned(), reason: "the customer called".to_owned() }
}

/// An invoice that cannot be read, whose collection is thus given up at once.
async fn unreadable_invoice(world: &World) {
    world.set_up().await;
    world.subscriber("one", ("base", "pm_sandbox_ok"), "2026-07-10T00:00:00Z").await;
    set_total(world, "a lot").await;
    let fleet = Fleet::start(world, &[queues::PAYMENTS]);
    until("the collection dies", async || world.dead(queues::PAYMENTS).await == 1).await;
    fleet.stop().await;
}

async fn set_total(world: &World, total: impl Into<bson::Bson>) {
    let change = doc! { "$set": { "content.total_minor": total.into() } };
    let invoices = world.database.collection::<bson::Document>("invoices");
    let changed = invoices.update_one(doc! { "_id": INVOICE }, change).await.unwrap();
    assert_eq!(changed.modified_count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_died_waits_for_a_person() {
    let servers = Servers::start();
    let world = servers.world("dead").await;
    unreadable_invoice(&world).await;
    let later = WALL + SignedDuration::from_mins(10);
    for _ in 0..3 {
        let swept = billing::sweep_overdue(&world.billing, later).await.unwrap();
        assert!(swept.offered > 0, "the invoice is due, and offered");
        assert_eq!((world.alive(queues::PAYMENTS).await, world.dead(queues::PAYMENTS).await), (0, 1));
    }
    let letter = world.letters(queues::PAYMENTS).await.remove(0);
    assert_eq!((letter.tenant.as_deref(), letter.attempts), (Some(TENANT), 1));
    assert_eq!(letter.history.last().unwrap().code, "corrupt_document");

    set_total(&world, TOTAL).await;
    let requeued = world.billing.queue.requeue_dead(queues::PAYMENTS, &letter.id, &by("ada")).await.unwrap();
    assert_eq!(requeued, Requeued::Requeued);
    let fleet = Fleet::start(&world, &[queues::PAYMENTS]);
    until("the invoice is paid", async || world.invoice(INVOICE).await.status.as_str() == "paid").await;
    until("its job is done", async || world.alive(queues::PAYMENTS).await == 0).await;
    fleet.stop().await;
    assert_eq!(world.dead(queues::PAYMENTS).await, 0);
    assert_eq!(world.gateway.charges().await, [format!("{INVOICE} {TOTAL}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_a_chunk_that_has_died() {
    let servers = Servers::start();
    let world = servers.world("chunk").await;
    world.set_up().await;
    world.subscriber("one", ("dev", "pm_sandbox_ok"), "2026-07-10T00:00:00Z").await;
    // What belongs to one subscription would fail with it alone; this does not.
    let meters = world.database.collection::<bson::Document>("meters");
    meters.update_many(doc! {}, doc! { "$set": { "meter.aggregation": "unreadable" } }).await.unwrap();
    world.run("run_1").await;
    let fleet = Fleet::start(&world, &[queues::BILLING_CYCLE, queues::USAGE]);
    until("the chunk's job dies", async || world.dead(queues::USAGE).await == 1).await;
    until("the run is planned", async || world.alive(queues::BILLING_CYCLE).await == 0).await;
    fleet.stop().await;
    for _ in 0..3 {
        billing::plan_billing_run(&world.billing, (TENANT, "run_1"), WALL).await.unwrap();
        billing::sweep_overdue(&world.billing, WALL + SignedDuration::from_mins(10)).await.unwrap();
        assert_eq!((world.alive(queues::USAGE).await, world.dead(queues::USAGE).await), (0, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_redis_loses_no_dead_letter() {
    let servers = Servers::start();
    let world = servers.world("restore").await;
    unreadable_invoice(&world).await;
    world.die(TENANT, 30).await;
    // Two schedulers at once.
    let read = join(world.mirror(), world.mirror()).await;
    assert!(read.0 + read.1 >= 31, "{read:?}");
    assert_eq!(world.mirror().await, 0, "the journals are empty");
    let (payments, usage) = (world.letters(queues::PAYMENTS).await, world.letters(queues::USAGE).await);
    let mirrored = world.mirrored(queues::PAYMENTS, &payments[0].id).await.unwrap();
    let content = mirrored.content.unwrap();
    assert_eq!((mirrored.queue.as_str(), mirrored.state), (queues::PAYMENTS, DeadLetterState::Dead));
    assert_eq!((content.tenant.as_deref(), content.job.as_str()), (Some(TENANT), "collect_payment"));
    assert_eq!((content.code.as_str(), &content.fingerprint), ("corrupt_document", &payments[0].fingerprint));
    assert_eq!(content.died_at.as_millisecond(), payments[0].died_at_ms);

    servers.flush_redis().await;
    let rebuilt = billing::rebuild_deliveries(&world.billing, "gen_1", WALL).await.unwrap().unwrap();
    // Offered, too, are the invoice, its mail, the tenant's events and its audit entries.
    assert_eq!(rebuilt, Sweep { offered: 4, restored: 31 });
    assert_eq!(world.letters(queues::PAYMENTS).await, payments, "exactly what it was");
    let mut restored = world.letters(queues::USAGE).await;
    let mut usage = usage;
    let id = |letter: &DeadLetter| letter.id.clone();
    restored.sort_by_key(id);
    usage.sort_by_key(id);
    assert_eq!(restored, usage);
    assert_eq!(world.alive(queues::PAYMENTS).await, 0, "restored before its work was offered");
    assert_eq!(world.mirror().await, 0, "putting back is no change");

    // It is a dead letter like any other.
    let requeued = world.billing.queue.requeue_dead(queues::PAYMENTS, &payments[0].id, &by("ada")).await.unwrap();
    assert_eq!((requeued, world.alive(queues::PAYMENTS).await), (Requeued::Requeued, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_does_is_mirrored_and_kept() {
    let servers = Servers::start();
    let world = servers.world("handled").await;
    world.set_up().await;
    world.die(TENANT, 3).await;
    world.mirror().await;
    let queue = &world.billing.queue;
    let letters = world.letters(queues::USAGE).await;
    let [one, two, three] = [0, 1, 2].map(|at| (letters[at].queue.as_str(), letters[at].id.as_str()));
    let payload = r#"{"tenant":"ten_1","chunk":"chk_other","pass":1}"#;
    assert_eq!(queue.edit_dead(one.0, one.1, payload, &by("eve")).await.unwrap(), Edited::Edited);
    assert_eq!(queue.requeue_dead(two.0, two.1, &by("ada")).await.unwrap(), Requeued::Requeued);
    assert!(queue.discard_dead(three.0, three.1, &by("bob")).await.unwrap());
    assert_eq!(world.mirror().await, 3);

    let edited = world.mirrored(one.0, one.1).await.unwrap();
    assert_eq!((edited.state, edited.edited.unwrap().by.as_str()), (DeadLetterState::Dead, "eve"));
    assert!(edited.content.unwrap().entry.contains("chk_other"));
    for (at, who, state) in [(two, "ada", DeadLetterState::Requeued), (three, "bob", DeadLetterState::Discarded)] {
        let letter = world.mirrored(at.0, at.1).await.unwrap();
        let resolved = letter.resolved.unwrap();
        assert_eq!((letter.state, resolved.by.as_str()), (state, who));
        assert_eq!(resolved.reason, "the customer called");
        assert_eq!(letter.content.unwrap().job, "calculate_usage", "what it was is kept");
    }
    servers.flush_redis().await;
    let rebuilt = billing::rebuild_deliveries(&world.billing, "gen_1", WALL).await.unwrap().unwrap();
    assert_eq!(rebuilt.restored, 1, "the edited one alone");
    let letters = world.letters(queues::USAGE).await;
    assert_eq!((letters[0].id.as_str(), letters[0].payload.as_str()), (one.1, payload));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_was_refused_is_sent_when_its_dead_letter_is_requeued() {
    let servers = Servers::start();
    let world = servers.world("refused").await;
    world.set_up().await;
    let customers = world.database.collection::<bson::Document>("customers");
    let address = |address: &str| doc! { "$set": { "email": address } };
    world.subscriber("one", ("base", "pm_sandbox_ok"), "2026-07-10T00:00:00Z").await;
    customers.update_one(doc! { "_id": "cus_one" }, address("nowhere")).await.unwrap();
    let fleet = Fleet::start(&world, &[queues::NOTIFICATIONS]);
    until("the mail is refused", async || world.dead(queues::NOTIFICATIONS).await == 1).await;
    assert_eq!(servers.mail.count(), 0);

    customers.update_one(doc! { "_id": "cus_one" }, address("one@example.com")).await.unwrap();
    let id = world.letters(queues::NOTIFICATIONS).await.remove(0).id;
    world.billing.queue.requeue_dead(queues::NOTIFICATIONS, &id, &by("ada")).await.unwrap();
    until("its job is done", async || world.alive(queues::NOTIFICATIONS).await == 0).await;
    fleet.stop().await;
    assert_eq!((servers.mail.count(), world.dead(queues::NOTIFICATIONS).await), (1, 0));
}

#[test]
fn calls_to_others_declare_their_limits() {
    let (tenant, id) = (TENANT.to_owned(), "x".to_owned());
    let limits = |uses: Vec<queue::LimitUse>| uses.into_iter().map(|used| (used.key, used.cost)).collect::<Vec<_>>();
    let payment = CollectPayment::Invoice { tenant: tenant.clone(), invoice: id.clone() };
    assert_eq!(limits(queue::Job::limits(&payment)), [("gateway:stripe".to_owned(), 1)]);
    let mail = billing::jobs::SendNotification::Notification { tenant, notification: id };
    assert_eq!(limits(queue::Job::limits(&mail)), [("smtp".to_owned(), 1)]);
}
