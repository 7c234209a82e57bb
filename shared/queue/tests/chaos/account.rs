//! The account: what became of each job of the known set, by what Redis holds and by what was written down beside it.

use std::collections::{BTreeMap, BTreeSet};

use queue::Depth;
use serde::Deserialize;

use crate::picture::{Picture, Spot};
use crate::plan::{Fate, Plan, QUEUE};
use crate::server::Redis;
use crate::worker::{ATTEMPTS, EFFECTS, RUNS};

/// The known set.
#[derive(Debug, Default)]
pub(crate) struct Known {
    plans: BTreeMap<u32, Plan>,
    /// Refused because another job held the key.
    duplicates: BTreeSet<u32>,
    /// Enqueued by a call that failed, and again: perhaps there twice, or refused by itself.
    doubtful: BTreeSet<u32>,
}

impl Known {
    pub(crate) fn add(&mut self, plan: &Plan, duplicate: bool) {
        self.plans.insert(plan.number(), plan.clone());
        if duplicate {
            self.duplicates.insert(plan.number());
        }
    }

    /// A call failed that may have enqueued these.
    pub(crate) fn doubt(&mut self, plans: &[Plan]) {
        for plan in plans {
            self.plans.insert(plan.number(), plan.clone());
            self.doubtful.insert(plan.number());
        }
    }
}

/// What all payloads have.
#[derive(Deserialize)]
struct Numbered {
    number: u32,
}

/// What was found in the end.
pub(crate) struct Account {
    picture: Picture,
    /// Where the jobs of each number are.
    places: BTreeMap<u32, Vec<Fate>>,
    effects: BTreeMap<u32, String>,
    runs: BTreeMap<u32, u32>,
    attempts: BTreeMap<String, u32>,
}

impl Account {
    pub(crate) async fn take(redis: &Redis, records: &Redis) -> Self {
        let base = Redis::key(QUEUE, "");
        let picture = Picture::take(&mut redis.raw().await, base.trim_end_matches(':')).await;
        let mut places: BTreeMap<u32, Vec<Fate>> = BTreeMap::new();
        for (id, spots) in picture.spots() {
            let payload = picture.jobs[&id].split('\n').nth(2).unwrap();
            let Numbered { number } = serde_json::from_str(payload).unwrap();
            for spot in spots {
                places.entry(number).or_default().push(match spot {
                    Spot::Dead => Fate::Dead,
                    Spot::Scheduled => Fate::Scheduled,
                    Spot::Parked { .. } => Fate::Parked,
                    Spot::Ready(_) | Spot::Leased(_) => panic!("{number} is still {spot:?}"),
                });
            }
        }
        Self {
            picture,
            places,
            effects: records.ask(&["HGETALL", EFFECTS]).await,
            runs: records.ask(&["HGETALL", RUNS]).await,
            attempts: records.ask(&["HGETALL", ATTEMPTS]).await,
        }
    }

    /// Checks everything; answers with the figures.
    pub(crate) fn balance(&self, known: &Known, depth: Depth) -> String {
        self.picture.check();
        assert!(self.picture.in_use.is_empty(), "nothing runs, yet limits count {:?}", self.picture.in_use);
        assert!(self.picture.unique.is_empty(), "nothing unique waits, yet keys are held: {:?}", self.picture.unique);
        assert!(!self.picture.wake, "workers are told of work that is not there");
        let mut fates: BTreeMap<&str, usize> = BTreeMap::new();
        for (number, plan) in &known.plans {
            *fates.entry(self.settle(*number, plan, known)).or_default() += 1;
        }
        let strangers: Vec<&u32> =
            self.places.keys().chain(self.runs.keys()).filter(|number| !known.plans.contains_key(number)).collect();
        assert!(strangers.is_empty(), "jobs that nobody enqueued: {strangers:?}");
        let count = |fate: Fate| self.places.values().flatten().filter(|found| **found == fate).count() as u64;
        let found = Depth {
            dead: count(Fate::Dead),
            scheduled: count(Fate::Scheduled),
            limited: count(Fate::Parked),
            ..Depth::default()
        };
        assert_eq!(depth, found, "depth, and a recount");
        self.check_attempts(known);
        let runs: u32 = self.runs.values().sum();
        let again = runs - u32::try_from(self.runs.len()).unwrap();
        format!(
            "{} jobs: {fates:?}, {} of them enqueued in doubt; {runs} runs, {again} of them repeated",
            known.plans.len(),
            known.doubtful.len()
        )
    }

    /// What became of one job; panics if it is not what should have.
    fn settle(&self, number: u32, plan: &Plan, known: &Known) -> &'static str {
        let (doubtful, done) = (known.doubtful.contains(&number), self.effects.contains_key(&number));
        let found = self.places.get(&number).map_or(&[][..], |places| &places[..]);
        let runs = self.runs.get(&number).copied().unwrap_or_default();
        let story = || format!("{plan:?}: done {done}, found {found:?}, {runs} runs, enqueued in doubt: {doubtful}");
        if known.duplicates.contains(&number) && !(doubtful && done) {
            assert!(!done && runs == 0 && found.is_empty(), "a duplicate ran: {}", story());
            return "duplicates";
        }
        let fate = plan.fate();
        assert_eq!(done, fate == Fate::Done, "{}", story());
        // All attempts of a job that has few may go to workers that are killed before they begin it.
        let ran_as_it_should = match plan {
            Plan::Doomed(_) => true,
            _ => (runs > 0) == matches!(fate, Fate::Done | Fate::Dead),
        };
        assert!(ran_as_it_should, "{}", story());
        let copies = if fate == Fate::Done { 0..=0 } else { 1..=if doubtful { 2 } else { 1 } };
        assert!(copies.contains(&found.len()) && found.iter().all(|place| *place == fate), "{}", story());
        match fate {
            Fate::Done => "done",
            Fate::Dead => "dead",
            Fate::Scheduled => "scheduled",
            Fate::Parked => "parked",
        }
    }

    /// No attempt begins twice: it is spent when it is claimed, whatever becomes of the worker.
    fn check_attempts(&self, known: &Known) {
        for (attempt, runs) in self.attempts.iter().filter(|(_, runs)| **runs > 1) {
            let number: u32 = attempt.split(':').next().unwrap().parse().unwrap();
            assert!(known.plans[&number].naps(), "attempt {attempt} began {runs} times");
        }
    }
}
