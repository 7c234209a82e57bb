//! Takes each step with the real queue and with the [`Expected`] one, and sees that both answer alike.

use std::time::Duration;

use proptest::sample::Index;
use redis::aio::MultiplexedConnection;

use super::expected::{Expected, Limit, Place, WHOLE_QUEUE};
use super::fairness::LANES;
use super::server::Server;
use super::step::{Draft, End, Hearing, LIMITS, Pausable, Pick, QUEUE, Step, Target, WORKERS};
use super::{A_DAY, LATER};
use crate::client::QueueClient;
use crate::control::{self, PauseTarget, Rate};
use crate::dead::{By, Requeued};
use crate::delivery::{Lease, Settlement, Verdict, read_lease};
use crate::entry::{Entry, Failure};
use crate::job::Job;
use crate::new_job::{Enqueued, NewJob};
use crate::turn::{Beat, Claim, Orphans, Reply, Request, Seat};

/// What falls due in less than this is looked at again before it counts as held back.
const SOON: Duration = Duration::from_secs(1);

/// More turns than it takes until nothing more can be claimed, however the gates are passed.
const MOST_TURNS: usize = 200;

/// Claims per turn when everything is claimed.
const ROOM: usize = 20;

/// A claim as a worker remembers it.
#[derive(Clone)]
struct Held {
    lease: Lease,
    plain: bool,
    /// It was told that the lease is gone.
    lost: bool,
}

struct Worker {
    seat: Seat,
    held: Vec<Held>,
    /// A turn's reply was lost.
    doubts: bool,
}

/// One queue, its workers, and what it should be like.
pub(super) struct Stage {
    pub(super) client: QueueClient,
    pub(super) raw: MultiplexedConnection,
    workers: Vec<Worker>,
    starts: usize,
    /// The last score given out. All are below any real time and grow, so they say who runs out or falls due first.
    score: u64,
    last_turn_ms: i64,
    pub(super) expected: Expected,
}

/// What a worker is to do in a turn.
struct Order {
    ends: Vec<(Held, End)>,
    renew: bool,
    room: usize,
    hearing: Hearing,
}

fn by() -> By {
    By { who: "ada".to_owned(), reason: "a random step".to_owned() }
}

/// The places picked from so many, each once.
fn picked(picks: &[Pick], from: usize) -> Vec<usize> {
    let mut places = Vec::new();
    for place in picks.iter().filter(|_| from > 0).map(|pick: &Index| pick.index(from)) {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

fn settlement(run: &Held, end: End) -> Settlement {
    let (token, _, attempt) = read_lease(&run.lease).unwrap();
    let failure = Failure {
        at: 0,
        attempt,
        code: "hopeless".to_owned(),
        message: "a random step".to_owned(),
        worker: "worker".to_owned(),
    };
    let delay = |later| if later { LATER } else { Duration::ZERO };
    let verdict = match end {
        End::Done => Verdict::Done,
        End::Retry { later } => Verdict::Retry { delay: delay(later), note: failure.note() },
        End::Snooze { later } => Verdict::Snooze(delay(later)),
        End::Dead => Verdict::Dead { note: failure.dead_note("steady") },
        End::Release => Verdict::Release,
    };
    Settlement { token, lease: Lease::clone(&run.lease), plain: run.plain, verdict, ran: None }
}

impl Stage {
    pub(super) async fn new(server: &Server) -> Self {
        let client = QueueClient::connect(&server.url(), "model").await.unwrap();
        let mut raw = server.raw().await;
        redis::cmd("FLUSHALL").exec_async(&mut raw).await.unwrap();
        let expected = Expected::default();
        let mut stage = Self { client, raw, workers: Vec::new(), starts: 0, score: 0, last_turn_ms: 0, expected };
        for _ in 0..WORKERS {
            let worker = stage.hire();
            stage.workers.push(worker);
        }
        stage
    }

    fn hire(&mut self) -> Worker {
        self.starts += 1;
        let seat = Seat {
            keys: self.client.keys.queue(QUEUE),
            worker: format!("worker-{}", self.starts),
            lease_time: LATER,
            connection: self.client.connection.clone(),
        };
        Worker { seat, held: Vec::new(), doubts: false }
    }

    /// Takes a step and compares everything afterwards.
    pub(super) async fn take(&mut self, step: &Step) {
        match step {
            Step::Enqueue(drafts) => self.enqueue(drafts).await,
            Step::Turn { worker, ends, renew, room, hearing } => {
                let held = &self.workers[*worker].held;
                let picks: Vec<Pick> = ends.iter().map(|(pick, _)| *pick).collect();
                let runs = picked(&picks, held.len()).into_iter().map(|place| held[place].clone());
                let ends = runs.zip(ends).map(|(run, (_, end))| (run, *end)).collect();
                self.turn(*worker, Order { ends, renew: *renew, room: *room, hearing: *hearing }).await;
            }
            Step::ClaimAll { worker } => self.claim_all(*worker).await,
            Step::Crash { worker } => self.workers[*worker] = self.hire(),
            Step::Expire(picks) => {
                let running = self.expected.ids(|place| matches!(place, Place::Running { .. }));
                let ids: Vec<String> = picked(picks, running.len()).iter().map(|at| running[*at].clone()).collect();
                self.expire(&ids).await;
            }
            Step::FallDue(picks) => {
                let scheduled = self.expected.ids(|place| matches!(place, Place::Scheduled { .. }));
                let ids: Vec<String> = picked(picks, scheduled.len()).iter().map(|at| scheduled[*at].clone()).collect();
                self.fall_due(&ids).await;
            }
            Step::Pause(target) => self.pause(*target).await,
            Step::Resume(target) => self.resume(*target).await,
            Step::SetLimit { key, concurrency, units } => {
                let limit = Limit { concurrency: *concurrency, units: *units };
                self.set_limit(LIMITS[*key], limit).await;
            }
            Step::RemoveLimit { key } => self.remove_limit(LIMITS[*key]).await,
            Step::Requeue(pick) => self.requeue(*pick).await,
            Step::Discard(pick) => self.discard(*pick).await,
            Step::LoseEverything => {
                redis::cmd("FLUSHALL").exec_async(&mut self.raw).await.unwrap();
                self.expected = Expected::default();
            }
        }
        self.compare().await;
    }

    async fn enqueue(&mut self, drafts: &[Draft]) {
        let jobs: Vec<NewJob> = drafts.iter().map(Draft::job).collect();
        let ids: Vec<String> = jobs.iter().map(|job| job.id().to_owned()).collect();
        let answers = self.client.enqueue_many(jobs).await.unwrap();
        for ((draft, id), answer) in drafts.iter().zip(&ids).zip(answers) {
            let added = self.expected.enqueue(id, draft);
            assert_eq!(answer == Enqueued::Added, added, "{draft:?}");
        }
    }

    /// One turn, from what the worker knows to what it hears.
    async fn turn(&mut self, seat: usize, order: Order) -> Reply {
        let Order { mut ends, renew, room, hearing } = order;
        ends.sort_by_key(|(run, end)| !settlement(run, *end).ends_plainly());
        let settles = |run: &Held| ends.iter().any(|(settled, _)| settled.lease == run.lease);
        let worker = &self.workers[seat];
        let doubts = worker.doubts;
        let live = worker.held.iter().filter(|run| !run.lost && !settles(run));
        let renewals: Vec<Lease> = live.filter(|_| renew || doubts).map(|run| Lease::clone(&run.lease)).collect();
        let settle: Vec<Settlement> = ends.iter().map(|(run, end)| settlement(run, *end)).collect();
        // Orphans are given back in the order of their leases, each to the head of its line.
        let leases_before = self.leases().await;
        let reply = self.send(seat, (&settle, &renewals), room).await;
        self.expected.rings.begin_turn();

        let refused = ends.iter().enumerate().filter(|(_, (run, end))| !self.expected.settle(&run.lease, *end));
        assert_eq!(reply.refused, refused.map(|(at, _)| at).collect::<Vec<_>>(), "refused settlements");
        let lost = renewals.iter().enumerate().filter(|(_, lease)| !self.expected.renew(lease));
        assert_eq!(reply.lost, lost.map(|(at, _)| at).collect::<Vec<_>>(), "lost leases");
        if doubts {
            let suffix = format!(":{}", self.workers[seat].seat.worker);
            let orphans = leases_before.iter().filter(|lease| lease.ends_with(&suffix));
            for orphan in orphans.filter(|lease| !renewals.iter().any(|known| **known == **lease)) {
                self.expected.give_back(orphan);
            }
        }
        assert_eq!(reply.reclaimed, self.expected.take_back(), "leases taken back");
        assert_eq!(reply.buried, 0);
        if room > 0 && !self.expected.paused.contains(WHOLE_QUEUE) {
            self.expected.promote();
        }
        self.expect_claims(&reply.claimed, room);

        let worker = &mut self.workers[seat];
        worker.doubts = hearing == Hearing::Lost;
        if hearing == Hearing::Heard {
            worker.held.retain(|run| !ends.iter().any(|(settled, _)| settled.lease == run.lease));
            for run in &mut worker.held {
                run.lost |= reply.lost.iter().any(|at| renewals[*at] == run.lease);
            }
            worker.held.extend(reply.claimed.iter().map(held));
        }
        reply
    }

    /// Sends it once Redis's clock shows another millisecond than in the last turn: a gate is opened step by step,
    /// one per millisecond.
    async fn send(&mut self, seat: usize, (settle, renew): (&[Settlement], &[Lease]), room: usize) -> Reply {
        loop {
            let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(&mut self.raw).await.unwrap();
            if seconds * 1_000 + micros / 1_000 > self.last_turn_ms + 1 {
                break;
            }
        }
        let worker = &mut self.workers[seat];
        let orphans = if worker.doubts { Orphans::GiveBack } else { Orphans::None };
        let request = Request { settle, renew, room, orphans, beat: &Beat::None, statistics: &[] };
        let reply = worker.seat.take(&request).await.unwrap();
        self.last_turn_ms = reply.now_ms;
        reply
    }

    fn expect_claims(&mut self, claims: &[Claim], room: usize) {
        assert!(claims.len() <= room, "{} claims in a room of {room}", claims.len());
        self.expected.mix_lanes();
        let before = self.expected.clone();
        let mut lanes = Vec::new();
        for (lease, bytes) in claims {
            let (_, id, attempt) = read_lease(lease).unwrap();
            let entry = Entry::parse(std::str::from_utf8(bytes).unwrap()).unwrap();
            if let Err(why) = self.expected.claim(id, lease) {
                panic!("{lease} was claimed, but {why}");
            }
            let record = &self.expected.jobs[id];
            assert_eq!((attempt, entry.spent), (record.spent + 1, record.spent), "attempts of {lease}");
            lanes.push(record.lane);
        }
        assert!(lanes.iter().map(rank).is_sorted(), "high before normal before low: {lanes:?}");
        before.check_fairness(&self.expected);
    }

    async fn claim_all(&mut self, seat: usize) {
        for _ in 0..MOST_TURNS {
            let order = Order { ends: Vec::new(), renew: false, room: ROOM, hearing: Hearing::Heard };
            let reply = self.turn(seat, order).await;
            let soon = reply.next_due.is_some_and(|due| due < SOON) && !self.expected.paused.contains(WHOLE_QUEUE);
            if reply.claimed.is_empty() && !soon {
                assert!(!reply.waiting, "it is said that work is left");
                return self.expected.check_nothing_is_left();
            }
        }
        panic!("it never ends");
    }

    async fn expire(&mut self, ids: &[String]) {
        for id in ids {
            self.score += 1;
            let Place::Running { lease, expired } = &mut self.expected.jobs.get_mut(id).unwrap().place else {
                panic!("{id} does not run");
            };
            *expired = Some(self.score);
            let lease = lease.clone();
            self.set_score("leases", &lease).await;
        }
    }

    async fn fall_due(&mut self, ids: &[String]) {
        for id in ids {
            self.score += 1;
            self.expected.jobs.get_mut(id).unwrap().place = Place::Scheduled { due: Some(self.score) };
            self.set_score("scheduled", id).await;
        }
    }

    /// Time passes for one member of a sorted set.
    async fn set_score(&mut self, set: &str, member: &str) {
        let mut change = redis::cmd("ZADD");
        change.arg(self.client.keys.queue(QUEUE).part(set)).arg("XX").arg("CH").arg(self.score).arg(member);
        let changed: u32 = change.query_async(&mut self.raw).await.unwrap();
        assert_eq!(changed, 1, "{member} is in {set}");
    }

    async fn leases(&mut self) -> Vec<String> {
        let mut all = redis::cmd("ZRANGE");
        all.arg(self.client.keys.queue(QUEUE).part("leases")).arg(0).arg(-1);
        all.query_async(&mut self.raw).await.unwrap()
    }

    async fn pause(&mut self, target: Target) {
        let (target, name) = named(target);
        self.client.pause(QUEUE, target, "ada", "a random step").await.unwrap();
        self.expected.paused.insert(name);
    }

    async fn resume(&mut self, target: Target) {
        let (target, name) = named(target);
        let resumed = self.client.resume(QUEUE, target).await.unwrap();
        assert_eq!(resumed, self.expected.paused.remove(name));
    }

    async fn set_limit(&mut self, key: &str, limit: Limit) {
        let rate = limit.units.map(|burst| Rate { units: 1, per: A_DAY, burst });
        let set = control::Limit { concurrency: limit.concurrency, rate };
        self.client.set_limit(QUEUE, key, &set).await.unwrap();
        self.expected.set_limit(key, Some(limit));
    }

    async fn remove_limit(&mut self, key: &str) {
        let removed = self.client.remove_limit(QUEUE, key).await.unwrap();
        assert_eq!(removed, self.expected.limits.contains_key(key));
        self.expected.set_limit(key, None);
    }

    async fn requeue(&mut self, pick: Pick) {
        let dead = self.expected.ids(|place| *place == Place::Dead);
        for at in picked(&[pick], dead.len()) {
            let answer = self.client.requeue_dead(QUEUE, &dead[at], &by()).await.unwrap();
            let requeued = self.expected.requeue(&dead[at]);
            assert_eq!(answer, if requeued { Requeued::Requeued } else { Requeued::Duplicate });
        }
    }

    async fn discard(&mut self, pick: Pick) {
        let dead = self.expected.ids(|place| *place == Place::Dead);
        for at in picked(&[pick], dead.len()) {
            assert!(self.client.discard_dead(QUEUE, &dead[at], &by()).await.unwrap());
            self.expected.discard(&dead[at]);
        }
    }

    /// Opens every gate, runs everything to its end and discards the dead: nothing may be left.
    pub(super) async fn finish(&mut self) {
        for target in [Target::Queue, Target::PausableJobs] {
            self.take(&Step::Resume(target)).await;
        }
        for key in LIMITS {
            self.remove_limit(key).await;
        }
        let running = self.expected.ids(|place| matches!(place, Place::Running { .. }));
        self.expire(&running).await;
        self.fall_due(&self.expected.ids(|place| matches!(place, Place::Scheduled { .. }))).await;
        self.workers[0] = self.hire();
        self.claim_all(0).await;
        let ends: Vec<(Held, End)> = self.workers[0].held.iter().map(|run| (run.clone(), End::Done)).collect();
        assert_eq!(ends.len(), self.expected.ids(|place| *place != Place::Dead).len(), "all that is not dead runs");
        self.turn(0, Order { ends, renew: false, room: 0, hearing: Hearing::Heard }).await;
        for id in self.expected.ids(|place| *place == Place::Dead) {
            assert!(self.client.discard_dead(QUEUE, &id, &by()).await.unwrap());
            self.expected.discard(&id);
        }
        let picture = self.compare().await;
        assert!(picture.is_bare(), "{picture:?}");
    }
}

fn held((lease, bytes): &Claim) -> Held {
    let entry = Entry::parse(std::str::from_utf8(bytes).unwrap()).unwrap();
    Held { lease: Lease::from(lease.as_str()), plain: entry.ends_plainly(), lost: false }
}

fn rank(lane: &char) -> Option<usize> {
    LANES.iter().position(|other| other == lane)
}

fn named(target: Target) -> (PauseTarget<'static>, &'static str) {
    match target {
        Target::Queue => (PauseTarget::Queue, WHOLE_QUEUE),
        Target::PausableJobs => (PauseTarget::Job(Pausable::NAME), Pausable::NAME),
    }
}
