//! Stories of many dead letters at once: sweeps that are bounded, interrupted and resumed, and long random lives after
//! which everything still agrees.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use queue::{
    By, DeadAction, DeadChangeKind, DeadFilter, Depth, Edited, Enqueued, NewJob, QueueClient, QueueError, Requeued,
    SweepCursor, SweepStep,
};

use crate::dead_state::{DeadState, Sketch, by, consistent, count, put};
use crate::harness::{Act, Lab, QUEUE, Scope, Step, until, worker};
use crate::proxy::Proxy;
use crate::server::{PREFIX, Redis};

/// A sweep of one filter, as whoever drives it keeps it.
struct Sweep<'a> {
    client: &'a QueueClient,
    action: DeadAction,
    filter: DeadFilter,
    limit: usize,
}

impl Sweep<'_> {
    async fn step(&self, cursor: &SweepCursor) -> Result<SweepStep, QueueError> {
        // Between steps it lies in some store.
        let stored = serde_json::to_string(cursor).unwrap();
        let cursor = serde_json::from_str(&stored).unwrap();
        self.client.sweep_dead(QUEUE, self.action, &self.filter, &by(), cursor, self.limit).await
    }

    /// To its end; the steps it took and what they did in sum.
    async fn finish(&self, mut cursor: SweepCursor) -> (usize, u64, u64) {
        let (mut steps, mut done, mut skipped) = (0, 0, 0);
        loop {
            let step = self.step(&cursor).await.unwrap();
            assert_eq!(step.matched, step.done + step.skipped);
            assert!(step.matched as usize <= self.limit);
            (steps, done, skipped) = (steps + 1, done + step.done, skipped + step.skipped);
            cursor = step.cursor;
            if step.finished {
                return (steps, done, skipped);
            }
        }
    }
}

fn of_tenant(tenant: &str) -> DeadFilter {
    DeadFilter { tenant: Some(tenant.to_owned()), ..DeadFilter::default() }
}

fn letters_of(tenant: &'static str, count: usize) -> impl Iterator<Item = queue::StoredDeadLetter> {
    (0..count).map(move |at| {
        let id = format!("{tenant}{at}");
        Sketch { id, died_at_ms: 1_000 + (at / 7) as i64, tenant, ..Sketch::default() }.letter()
    })
}

#[tokio::test]
async fn a_sweep_takes_all_that_match_oldest_first_and_no_others() {
    let server = Redis::start().await;
    let client = server.client().await;
    put(&client, letters_of("acme", 250).chain(letters_of("globex", 40)).collect()).await;
    let sweep = Sweep { client: &client, action: DeadAction::Requeue, filter: of_tenant("acme"), limit: 100 };
    let first = sweep.step(&SweepCursor::default()).await.unwrap();
    assert_eq!((first.matched, first.done, first.finished), (100, 100, false));
    let oldest = DeadState::read(&server).await.died_at.into_iter().filter(|(id, _)| id.starts_with("acme"));
    assert!(oldest.map(|(_, at)| at).min().unwrap() >= 1_000 + 100 / 7);
    assert_eq!(sweep.finish(first.cursor).await, (2, 150, 0));
    assert_eq!(client.depth(QUEUE).await.unwrap(), Depth { ready: 250, dead: 40, ..Depth::default() });

    let rest = Sweep { action: DeadAction::Discard, filter: DeadFilter::default(), limit: 20, ..sweep };
    let unsaid = By { reason: String::new(), ..by() };
    let refused = client.sweep_dead(QUEUE, rest.action, &rest.filter, &unsaid, SweepCursor::default(), 20).await;
    assert!(matches!(refused, Err(QueueError::Invalid { .. })), "{refused:?}");
    assert_eq!(rest.finish(SweepCursor::default()).await, (2, 40, 0));
    assert_eq!(rest.finish(SweepCursor::default()).await, (1, 0, 0), "nothing is left");
    consistent(&server).await;
}

#[tokio::test]
async fn a_sweep_interrupted_in_the_middle_of_a_step_goes_on_and_takes_each_once() {
    let server = Redis::start().await;
    let client = server.client().await;
    put(&client, letters_of("acme", 500).collect()).await;
    let proxy = Proxy::to(&server).await;
    let through = QueueClient::connect(&proxy.url(), PREFIX).await.unwrap();
    let sweep = |client| Sweep { client, action: DeadAction::Requeue, filter: of_tenant("acme"), limit: 300 };
    // A step of three calls: Redis does the first, its reply is lost, and with it whoever drives the sweep.
    proxy.lose_reply_with("requeued");
    let interrupted = sweep(&through).step(&SweepCursor::default()).await;
    assert!(matches!(interrupted, Err(QueueError::Unavailable { .. })), "{interrupted:?}");
    proxy.cut();
    assert_eq!(count(&client).await, 400, "a part of the step was done");
    consistent(&server).await;
    assert_eq!(sweep(&client).finish(SweepCursor::default()).await, (2, 400, 0));
    let changes = client.dead_changes(QUEUE, 1_000).await.unwrap();
    let mut ids: Vec<_> = changes.iter().map(|change| (&change.id, change.what)).collect();
    ids.sort_by_key(|(id, _)| *id);
    ids.dedup();
    assert_eq!((ids.len(), changes.len()), (500, 500), "each was requeued once");
    assert!(ids.iter().all(|(_, what)| *what == DeadChangeKind::Requeued));
    consistent(&server).await;
}

#[tokio::test]
async fn two_who_sweep_the_same_at_once_take_each_once() {
    let server = Redis::start().await;
    let client = server.client().await;
    put(&client, letters_of("acme", 400).collect()).await;
    let sweep = |limit| Sweep { client: &client, action: DeadAction::Requeue, filter: of_tenant("acme"), limit };
    let (one, other) = (sweep(30), sweep(50));
    let ((_, one, _), (_, other, _)) =
        tokio::join!(one.finish(SweepCursor::default()), other.finish(SweepCursor::default()));
    assert_eq!(one + other, 400);
    assert_eq!(client.depth(QUEUE).await.unwrap(), Depth { ready: 400, ..Depth::default() });
    assert_eq!(client.dead_changes(QUEUE, 1_000).await.unwrap().len(), 400);
    consistent(&server).await;
}

#[tokio::test]
async fn what_dies_again_meanwhile_is_not_taken_twice() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(8));
    let jobs = (0..60).map(|at| Act::new(&format!("n{at}"), &[Step::Fatal]).job());
    client.enqueue_many(jobs.collect()).await.unwrap();
    until("all died", async || count(&client).await == 60).await;
    let latest = DeadState::read(&server).await.died_at.into_values().max();
    let until_ms = latest.map(|at| at + 1);
    until("the clock goes on", async || {
        let (seconds, micros): (i64, i64) = server.ask(&["TIME"]).await;
        Some(seconds * 1_000 + micros / 1_000) > until_ms
    })
    .await;
    let filter = DeadFilter { died_until_ms: until_ms, ..DeadFilter::default() };
    let sweep = Sweep { client: &client, action: DeadAction::Requeue, filter, limit: 7 };
    let (steps, done, skipped) = sweep.finish(SweepCursor::default()).await;
    assert_eq!((steps, done, skipped), (9, 60, 0));
    until("all died again", async || client.depth(QUEUE).await.unwrap() == Depth { dead: 60, ..Depth::default() })
        .await;
    assert!(lab.counts().values().all(|runs| *runs == 2), "{:?}", lab.counts());
    consistent(&server).await.check_journal();
}

#[tokio::test]
async fn a_step_is_bounded_also_where_it_finds_nothing() {
    let server = Redis::start().await;
    let client = server.client().await;
    put(&client, letters_of("acme", 10_500).collect()).await;
    let last = Sketch { died_at_ms: 9_000, tenant: "globex", ..Sketch::default() };
    put(&client, vec![last.letter()]).await;
    let sweep = Sweep { client: &client, action: DeadAction::Discard, filter: of_tenant("globex"), limit: 10 };
    let first = sweep.step(&SweepCursor::default()).await.unwrap();
    assert_eq!((first.matched, first.finished), (0, false));
    let second = sweep.step(&first.cursor).await.unwrap();
    assert_eq!((second.matched, second.done, second.finished), (1, 1, true));
    assert_eq!(count(&client).await, 10_500);
    let again = sweep.step(&second.cursor).await.unwrap();
    assert_eq!((again.matched, again.finished), (0, true));
}

#[tokio::test]
async fn what_cannot_be_requeued_is_skipped_and_stays() {
    let server = Redis::start().await;
    let client = server.client().await;
    let sketch =
        |id: &str, at, unique| Sketch { id: id.to_owned(), died_at_ms: at, job: "act", unique, ..Sketch::default() };
    let mut letters = vec![sketch("free", 1, "rmine").letter(), sketch("held", 2, "rtheirs").letter()];
    letters.extend([sketch("later", 4, "wshared").letter(), sketch("older", 3, "wshared").letter()]);
    put(&client, letters).await;
    let holder = Act::new("holder", &[Step::Done]).unique("theirs", Scope::WaitingOrRunning).job();
    assert_eq!(client.enqueue(holder).await.unwrap(), Enqueued::Added);
    let sweep = Sweep { client: &client, action: DeadAction::Requeue, filter: DeadFilter::default(), limit: 3 };
    assert_eq!(sweep.finish(SweepCursor::default()).await, (2, 2, 2));
    let left = consistent(&server).await;
    assert_eq!(left.died_at.keys().collect::<Vec<_>>(), ["held", "later"]);
    assert_eq!(left.holders.len(), 2);
}

/// What a random life should have led to.
#[derive(Default)]
struct Model {
    /// Dead ids with their unique keys.
    dead: BTreeMap<String, Option<u8>>,
    /// The letter that died last with a key, while it is dead.
    latest: BTreeMap<u8, String>,
    /// Keys that scheduled work holds.
    held: Vec<u8>,
}

impl Model {
    fn died(&mut self, id: &str, key: Option<u8>) {
        self.dead.insert(id.to_owned(), key);
        if let Some(key) = key {
            self.latest.insert(key, id.to_owned());
        }
    }

    fn gone(&mut self, id: &str) -> Option<u8> {
        let key = self.dead.remove(id).flatten();
        self.latest.retain(|_, latest| latest != id);
        key
    }

    fn is_held(&self, key: Option<u8>) -> bool {
        key.is_some_and(|key| self.held.contains(&key))
    }
}

struct Life {
    server: Redis,
    client: QueueClient,
    rng: Rng,
    model: Model,
}

fn act(name: &str, key: Option<u8>) -> NewJob {
    let act = Act::new(name, &[Step::Fatal]);
    match key {
        None => act.job(),
        Some(key) if key % 2 == 0 => act.unique(&key.to_string(), Scope::Waiting).job(),
        Some(key) => act.unique(&key.to_string(), Scope::WaitingOrRunning).job(),
    }
}

impl Life {
    fn key(&mut self) -> Option<u8> {
        self.rng.bool().then(|| self.rng.u8(0..6))
    }

    /// A dead letter, or now and then nobody.
    fn someone(&mut self) -> String {
        let known: Vec<&String> = self.model.dead.keys().collect();
        if known.is_empty() || self.rng.u8(0..10) == 0 {
            return "nobody".to_owned();
        }
        known[self.rng.usize(0..known.len())].clone()
    }

    async fn step(&mut self) {
        match self.rng.u8(0..12) {
            0..=4 => self.die().await,
            5..=6 => self.requeue().await,
            7..=8 => self.discard().await,
            9 => self.edit().await,
            10 => self.hold().await,
            _ => self.sweep().await,
        }
        self.settled().await;
    }

    async fn die(&mut self) {
        let (key, unless_dead) = (self.key(), self.rng.bool());
        let job = if unless_dead { act("mortal", key).unless_dead() } else { act("mortal", key) };
        let id = job.id().to_owned();
        let blocked = unless_dead && key.is_some_and(|key| self.model.latest.contains_key(&key));
        let expected = if blocked || self.model.is_held(key) { Enqueued::Duplicate } else { Enqueued::Added };
        assert_eq!(self.client.enqueue(job).await.unwrap(), expected);
        if expected == Enqueued::Added {
            self.model.died(&id, key);
        }
    }

    async fn requeue(&mut self) {
        let id = self.someone();
        let answer = self.client.requeue_dead(QUEUE, &id, &by()).await.unwrap();
        let Some(key) = self.model.dead.get(&id).copied() else { return assert_eq!(answer, Requeued::Missing) };
        if self.model.is_held(key) {
            return assert_eq!(answer, Requeued::Duplicate);
        }
        assert_eq!(answer, Requeued::Requeued);
        // And dies again.
        self.model.gone(&id);
        self.model.died(&id, key);
    }

    async fn discard(&mut self) {
        let id = self.someone();
        let was_there = self.model.dead.contains_key(&id);
        assert_eq!(self.client.discard_dead(QUEUE, &id, &by()).await.unwrap(), was_there);
        self.model.gone(&id);
    }

    async fn edit(&mut self) {
        let id = self.someone();
        let payload = serde_json::to_string(&Act::new("edited", &[Step::Fatal])).unwrap();
        let edited = self.client.edit_dead(QUEUE, &id, &payload, &by()).await.unwrap();
        let expected = if self.model.dead.contains_key(&id) { Edited::Edited } else { Edited::Missing };
        assert_eq!(edited, expected);
    }

    /// Has work wait for an hour with a key.
    async fn hold(&mut self) {
        let key = self.rng.u8(0..6);
        let job = act("holder", Some(key)).after(Duration::from_secs(3_600));
        if self.client.enqueue(job).await.unwrap() == Enqueued::Added {
            assert!(!self.model.held.contains(&key));
            self.model.held.push(key);
        }
    }

    /// Discards some of the oldest; which ones is Redis's to say.
    async fn sweep(&mut self) {
        let limit = self.rng.usize(1..4);
        let (all, begin) = (DeadFilter::default(), SweepCursor::default());
        let step = self.client.sweep_dead(QUEUE, DeadAction::Discard, &all, &by(), begin, limit).await.unwrap();
        assert_eq!(step.done as usize, limit.min(self.model.dead.len()));
        let left = DeadState::read(&self.server).await.died_at;
        let swept: Vec<String> = self.model.dead.keys().filter(|id| !left.contains_key(*id)).cloned().collect();
        assert_eq!(swept.len() as u64, step.done);
        for id in swept {
            self.model.gone(&id);
        }
    }

    /// Waits until nothing is on its way, then compares.
    async fn settled(&self) {
        let expected =
            Depth { dead: self.model.dead.len() as u64, scheduled: self.model.held.len() as u64, ..Depth::default() };
        until("nothing is on its way", async || self.client.depth(QUEUE).await.unwrap() == expected).await;
        let state = consistent(&self.server).await;
        state.check_journal();
        assert_eq!(state.died_at.keys().collect::<Vec<_>>(), self.model.dead.keys().collect::<Vec<_>>());
        let latest: BTreeMap<String, String> =
            self.model.latest.iter().map(|(key, id)| (format!("act:{key}"), id.clone())).collect();
        assert_eq!(state.holders.into_iter().collect::<BTreeMap<_, _>>(), latest);
    }
}

#[tokio::test]
async fn whatever_is_done_to_dead_letters_all_that_is_known_of_them_agrees() {
    const SEEDS: u64 = 4;
    const STEPS: usize = 120;
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let server = Redis::start().await;
        let client = server.client().await;
        let lab = Lab::new();
        let _worker = lab.work(&client, worker(2));
        let mut life = Life { server, client, rng: Rng::with_seed(seed), model: Model::default() };
        for _ in 0..STEPS {
            life.step().await;
        }
    }
}
