//! Interleavings: a seeded simulation of what happens around deciding.
//!
//! Runs, changes, usage, payments and webhooks go step by step, in any order, over books that know transactions as the store
//! does; workers are killed between any two steps, the queue is lost, the gateway's answers are. Everything that is decided is
//! decided by `domain`. Afterwards, when all is calm, a checker reads the books and the gateway's ledger, and knows nothing of
//! how they came about.
//!
//! A failure names its seed; `INTERLEAVING_SEED=<seed> cargo nextest run -p domain interleavings` tells that one again. That the
//! checker would notice is shown by protocols with a flaw.

mod books;
mod check;
mod gateway;
mod tasks;

use std::panic::catch_unwind;

use jiff::SignedDuration;

use books::Books;
use check::check;
use gateway::Gateway;
use tasks::{Billing, Deed, Ingestion, Job, Payment, Task};

/// Interleavings of a test.
const SEEDS: u64 = 400;
/// Steps of one, before it is calm.
const STEPS: usize = 300;
/// Tasks that are under way at once.
const MAX_TASKS: usize = 6;

/// What a protocol may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    Nothing,
    /// Usage is measured before the window is marked as closed.
    MeasuresFirst,
    /// What was loaded is committed, whatever has happened since.
    ComparesNoRevision,
    /// Every request to the gateway has a key of its own.
    NewKeys,
    /// A settled attempt is settled again.
    SettlesTwice,
}

/// Numbers that look random, the same ones for a seed (SplitMix64).
#[derive(Clone, Debug)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// Everything there is.
struct World {
    flaw: Flaw,
    dice: Dice,
    books: Books,
    gateway: Gateway,
    /// The queue: hints at work, which may be lost.
    queue: Vec<Job>,
    tasks: Vec<Task>,
}

impl World {
    fn new(seed: u64, flaw: Flaw) -> Self {
        let (dice, books, gateway) = (Dice(seed), Books::new(), Gateway::default());
        Self { flaw, dice, books, gateway, queue: Vec::new(), tasks: Vec::new() }
    }

    /// Something happens.
    fn step(&mut self) {
        match self.dice.below(20) {
            0 => self.books.now += SignedDuration::from_hours(1 + i64::try_from(self.dice.below(96)).unwrap()),
            1 => self.sweep(),
            2 if self.dice.one_in(4) => self.queue.clear(),
            3 if !self.tasks.is_empty() => {
                // A worker is killed.
                let killed = self.dice.below(self.tasks.len());
                self.tasks.remove(killed);
            }
            4 => self.request(),
            5 | 6 => self.report_usage(),
            7 => self.deliver(),
            8 if self.dice.one_in(3) => self.gateway.change_method(&mut self.dice),
            9..=11 => self.take_job(),
            _ => self.go_on(),
        }
    }

    /// A client changes or cancels something.
    fn request(&mut self) {
        let subscription = self.dice.below(self.books.subscriptions.len());
        let deed = if self.dice.one_in(12) { Deed::Cancel } else { Deed::Change(["a", "b"][self.dice.below(2)]) };
        self.begin(Task::Billing(Billing::new(subscription, deed)));
    }

    fn report_usage(&mut self) {
        let subscription = self.dice.below(self.books.subscriptions.len());
        // Some events come late.
        let hours = if self.dice.one_in(3) { self.dice.below(800) } else { 0 };
        let units = 1 + i64::try_from(self.dice.below(9)).unwrap();
        let at = self.books.now - SignedDuration::from_hours(i64::try_from(hours).unwrap());
        self.begin(Task::Ingestion(Ingestion::new(subscription, at, units)));
    }

    /// A webhook arrives: any that was sent, perhaps again.
    fn deliver(&mut self) {
        let sent = self.gateway.webhooks.len();
        if sent > 0 {
            let (attempt, is_paid) = self.gateway.webhooks[self.dice.below(sent)];
            self.begin(Task::Payment(Payment::settling(attempt, is_paid)));
        }
    }

    /// A worker takes a job.
    fn take_job(&mut self) {
        if !self.queue.is_empty() && self.tasks.len() < MAX_TASKS {
            let taken = self.dice.below(self.queue.len());
            let task = match self.queue.swap_remove(taken) {
                Job::Bill(subscription) => Task::Billing(Billing::new(subscription, Deed::Boundary)),
                Job::Collect(invoice) => Task::Payment(Payment::new(invoice)),
                Job::Check(event) => Task::Ingestion(Ingestion::checking(event)),
            };
            self.tasks.push(task);
        }
    }

    fn begin(&mut self, task: Task) {
        if self.tasks.len() < MAX_TASKS {
            self.tasks.push(task);
        }
    }

    /// A task goes one step on.
    fn go_on(&mut self) {
        if self.tasks.is_empty() {
            return;
        }
        let next = self.dice.below(self.tasks.len());
        let mut task = self.tasks.swap_remove(next);
        if task.step(self) {
            self.tasks.push(task);
        }
    }

    /// Everything that is due becomes a job.
    fn sweep(&mut self) {
        self.queue = self.books.due();
    }

    /// Nothing goes wrong any more: what is due is done, and then a few months go by.
    fn calm_down(&mut self) {
        for _ in 0..5 {
            self.gateway.is_reliable = true;
            loop {
                while !self.tasks.is_empty() {
                    self.go_on();
                }
                self.sweep();
                if self.queue.is_empty() {
                    break;
                }
                self.take_job();
            }
            self.books.now += SignedDuration::from_hours(24 * 31);
        }
    }
}

/// Tells an interleaving to its end.
fn told(seed: u64, flaw: Flaw) -> World {
    let mut world = World::new(seed, flaw);
    for _ in 0..STEPS {
        world.step();
    }
    world.calm_down();
    world
}

fn seeds() -> Vec<u64> {
    match std::env::var("INTERLEAVING_SEED") {
        Ok(seed) => vec![seed.parse().expect("a seed is a number")],
        Err(_) => (0..SEEDS).collect(),
    }
}

#[test]
fn whatever_comes_first_everything_is_billed_and_charged_once() {
    for seed in seeds() {
        let checked = catch_unwind(|| check(&told(seed, Flaw::Nothing)));
        assert!(checked.is_ok(), "INTERLEAVING_SEED={seed} tells it again");
    }
}

#[test]
fn a_seed_tells_the_same_again() {
    let [one, other] = [7, 7].map(|seed| told(seed, Flaw::Nothing).books);
    assert_eq!(one, other);
    assert_ne!(one, told(8, Flaw::Nothing).books);
}

/// Interleavings in which a flaw is noticed.
fn noticed(flaw: Flaw) -> usize {
    std::panic::set_hook(Box::new(|_| {}));
    let noticed = (0..SEEDS).filter(|seed| catch_unwind(|| check(&told(*seed, flaw))).is_err()).count();
    drop(std::panic::take_hook());
    noticed
}

#[test]
fn a_protocol_with_a_flaw_is_noticed() {
    for flaw in [Flaw::MeasuresFirst, Flaw::ComparesNoRevision, Flaw::NewKeys, Flaw::SettlesTwice] {
        assert!(noticed(flaw) > 0, "{flaw:?}");
    }
}
