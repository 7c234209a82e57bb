//! What the queue should be like: sets, counters and one plain line per tenant and lane. No Redis, no time.
//!
//! Lines hold the jobs that no gate can ever hold up; for others the order is not a law, because who is let through
//! a gate may find the next one shut.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::fairness::Rings;
use super::step::{Draft, End, Scope, Steady};
use crate::job::{Job, Priority};

/// Rates are so slow that only what is saved up counts: so many units.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limit {
    pub(super) concurrency: Option<u32>,
    pub(super) units: Option<u32>,
}

/// Where a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Ready, or parked at one of its gates.
    Waiting,
    /// With the score that it got when its time came.
    Scheduled {
        due: Option<u64>,
    },
    /// Under this lease; with the score that it got when it ran out.
    Running {
        lease: String,
        expired: Option<u64>,
    },
    Dead,
}

#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) name: &'static str,
    pub(super) lane: char,
    pub(super) tenant: String,
    pub(super) limits: Vec<(String, u32)>,
    /// Scope and field among the unique keys.
    pub(super) unique: Option<(Scope, String)>,
    pub(super) spent: u32,
    pub(super) place: Place,
}

impl Record {
    pub(super) fn of(draft: &Draft) -> Self {
        let unique = draft.traits.unique.as_ref();
        Self {
            name: draft.name,
            lane: match draft.priority {
                Priority::High => 'h',
                Priority::Normal => 'n',
                Priority::Low => 'l',
            },
            tenant: draft.traits.tenant.clone().unwrap_or_else(|| "-".to_owned()),
            limits: draft.traits.limits.clone(),
            unique: unique.map(|(scope, key)| (*scope, format!("{}:{key}", draft.name))),
            spent: 0,
            place: if draft.delayed { Place::Scheduled { due: None } } else { Place::Waiting },
        }
    }

    /// Whether no gate is ever in its way.
    pub(super) fn is_free(&self) -> bool {
        self.limits.is_empty() && self.name == Steady::NAME
    }

    /// The gates that it may be parked at.
    pub(super) fn gates(&self) -> Vec<String> {
        let limits = self.limits.iter().map(|(key, _)| format!("limit:{key}"));
        limits.chain([format!("job:{}", self.name)]).collect()
    }

    pub(super) fn line(&self) -> Line {
        (self.lane, self.tenant.clone())
    }
}

/// Lane and tenant.
pub(super) type Line = (char, String);

/// Which end of its line a job goes to.
#[derive(Clone, Copy)]
enum To {
    Head,
    Tail,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Expected {
    pub(super) jobs: BTreeMap<String, Record>,
    /// The free jobs that wait, in their order.
    pub(super) lines: BTreeMap<Line, VecDeque<String>>,
    pub(super) unique: BTreeMap<String, String>,
    pub(super) dead_unique: BTreeMap<String, String>,
    pub(super) limits: BTreeMap<String, Limit>,
    /// Units taken of each limit that has a rate.
    pub(super) taken: BTreeMap<String, u32>,
    pub(super) paused: BTreeSet<&'static str>,
    pub(super) rings: Rings,
}

/// The whole queue among the paused.
pub(super) const WHOLE_QUEUE: &str = "*";

impl Expected {
    /// Whether the job is added.
    pub(super) fn enqueue(&mut self, id: &str, draft: &Draft) -> bool {
        let record = Record::of(draft);
        if let Some((_, field)) = &record.unique {
            if self.unique.contains_key(field) || (draft.unless_dead && self.dead_unique.contains_key(field)) {
                return false;
            }
            self.unique.insert(field.clone(), id.to_owned());
        }
        let waits = record.place == Place::Waiting;
        self.jobs.insert(id.to_owned(), record);
        if waits {
            self.line_up(id, To::Tail);
        }
        true
    }

    fn line_up(&mut self, id: &str, to: To) {
        let record = self.jobs.get_mut(id).unwrap();
        record.place = Place::Waiting;
        if record.is_free() {
            let line = self.lines.entry(record.line()).or_default();
            if line.is_empty() {
                self.rings.enter(record.line());
            }
            match to {
                To::Head => line.push_front(id.to_owned()),
                To::Tail => line.push_back(id.to_owned()),
            }
        }
    }

    /// The job that runs under a lease.
    pub(super) fn holder(&self, lease: &str) -> Option<String> {
        let held = |record: &Record| matches!(&record.place, Place::Running { lease: held, .. } if held == lease);
        self.jobs.iter().find(|(_, record)| held(record)).map(|(id, _)| id.clone())
    }

    fn free_key(&mut self, id: &str) {
        if let Some((_, field)) = &self.jobs[id].unique
            && self.unique.get(field).is_some_and(|holder| holder == id)
        {
            self.unique.remove(field);
        }
    }

    /// Back to waiting. Whoever is unique while waiting takes its key again, if it is free.
    fn wait(&mut self, id: &str, to: To) {
        if let Some((Scope::Waiting, field)) = self.jobs[id].unique.clone() {
            self.unique.entry(field).or_insert_with(|| id.to_owned());
        }
        self.line_up(id, to);
    }

    /// Whether the outcome is taken.
    pub(super) fn settle(&mut self, lease: &str, end: End) -> bool {
        let Some(id) = self.holder(lease) else { return false };
        let record = self.jobs.get_mut(&id).unwrap();
        if matches!(end, End::Retry { .. } | End::Dead) {
            record.spent += 1;
        }
        match end {
            End::Done => {
                self.free_key(&id);
                self.jobs.remove(&id);
            }
            End::Dead => {
                record.place = Place::Dead;
                if let Some((_, field)) = record.unique.clone() {
                    self.dead_unique.insert(field, id.clone());
                }
                self.free_key(&id);
            }
            End::Release => self.wait(&id, To::Head),
            End::Retry { later } | End::Snooze { later } => {
                self.wait(&id, To::Tail);
                if later {
                    self.unline(&id);
                    self.jobs.get_mut(&id).unwrap().place = Place::Scheduled { due: None };
                }
            }
        }
        true
    }

    fn unline(&mut self, id: &str) {
        for (name, line) in &mut self.lines {
            line.retain(|other| other != id);
            if line.is_empty() {
                self.rings.leave(name);
            }
        }
    }

    /// Whether the lease is still held.
    pub(super) fn renew(&mut self, lease: &str) -> bool {
        let Some(id) = self.holder(lease) else { return false };
        self.jobs.get_mut(&id).unwrap().place = Place::Running { lease: lease.to_owned(), expired: None };
        true
    }

    /// Claimed for a worker that never heard of it: as if it had not been.
    pub(super) fn give_back(&mut self, lease: &str) {
        if let Some(id) = self.holder(lease) {
            self.wait(&id, To::Head);
        }
    }

    /// Takes back all leases that ran out; the runs count.
    pub(super) fn take_back(&mut self) -> u64 {
        let expired = |(id, record): (&String, &Record)| match record.place {
            Place::Running { expired: Some(score), .. } => Some((score, id.clone())),
            _ => None,
        };
        let mut expired: Vec<_> = self.jobs.iter().filter_map(expired).collect();
        expired.sort();
        for (_, id) in &expired {
            self.jobs.get_mut(id).unwrap().spent += 1;
            self.wait(id, To::Head);
        }
        expired.len() as u64
    }

    /// Lines up what is due.
    pub(super) fn promote(&mut self) {
        let due = |(id, record): (&String, &Record)| match record.place {
            Place::Scheduled { due: Some(score) } => Some((score, id.clone())),
            _ => None,
        };
        let mut due: Vec<_> = self.jobs.iter().filter_map(due).collect();
        due.sort();
        for (_, id) in due {
            self.line_up(&id, To::Tail);
        }
    }

    pub(super) fn in_use(&self, key: &str) -> u32 {
        let uses = |record: &&Record| {
            matches!(record.place, Place::Running { .. }) && record.limits.iter().any(|(limit, _)| limit == key)
        };
        u32::try_from(self.jobs.values().filter(uses).count()).unwrap()
    }

    /// What keeps a job from running, if anything does.
    pub(super) fn obstacle(&self, record: &Record) -> Option<String> {
        if self.paused.contains(WHOLE_QUEUE) {
            return Some("the queue is paused".to_owned());
        }
        if self.paused.contains(record.name) {
            return Some(format!("{} is paused", record.name));
        }
        let full = |(key, cost): &&(String, u32)| {
            let most = self.limits.get(key).and_then(|limit| limit.concurrency);
            self.is_short_of(key, *cost) || most.is_some_and(|most| self.in_use(key) >= most)
        };
        record.limits.iter().find(full).map(|(key, _)| format!("limit {key} is used up"))
    }

    /// Whether so many units of a limit are not there. What costs more than can be saved passes when nothing is owed.
    pub(super) fn is_short_of(&self, key: &str, cost: u32) -> bool {
        let units = self.limits.get(key).and_then(|limit| limit.units);
        let taken = self.taken.get(key).copied().unwrap_or_default();
        units.is_some_and(|units| taken > 0 && taken + cost > units)
    }

    /// A claim as Redis made it: it must be one that may run, and the first of its line.
    pub(super) fn claim(&mut self, id: &str, lease: &str) -> Result<(), String> {
        let record = self.jobs.get(id).ok_or("it does not exist")?.clone();
        if record.place != Place::Waiting {
            return Err(format!("it is {:?}", record.place));
        }
        if let Some(obstacle) = self.obstacle(&record) {
            return Err(obstacle);
        }
        if record.is_free() {
            let line = self.lines.entry(record.line()).or_default();
            if line.front().is_none_or(|first| first != id) {
                return Err(format!("its line is {line:?}"));
            }
            line.pop_front();
            self.rings.serve(&record.line());
            if line.is_empty() {
                self.rings.leave(&record.line());
            }
        }
        for (key, cost) in &record.limits {
            if self.limits.get(key).is_some_and(|limit| limit.units.is_some()) {
                *self.taken.entry(key.clone()).or_default() += cost;
            }
        }
        if matches!(record.unique, Some((Scope::Waiting, _))) {
            self.free_key(id);
        }
        self.jobs.get_mut(id).unwrap().place = Place::Running { lease: lease.to_owned(), expired: None };
        Ok(())
    }

    /// Whether the dead letter waits again; if not, other work holds its key.
    pub(super) fn requeue(&mut self, id: &str) -> bool {
        if let Some((_, field)) = self.jobs[id].unique.clone() {
            if self.unique.contains_key(&field) {
                return false;
            }
            self.unique.insert(field, id.to_owned());
        }
        self.forget_dead_key(id);
        self.jobs.get_mut(id).unwrap().spent = 0;
        self.line_up(id, To::Tail);
        true
    }

    pub(super) fn discard(&mut self, id: &str) {
        self.forget_dead_key(id);
        self.jobs.remove(id);
    }

    fn forget_dead_key(&mut self, id: &str) {
        if let Some((_, field)) = &self.jobs[id].unique
            && self.dead_unique.get(field).is_some_and(|holder| holder == id)
        {
            self.dead_unique.remove(field);
        }
    }

    pub(super) fn set_limit(&mut self, key: &str, limit: Option<Limit>) {
        if limit.is_none_or(|limit| limit.units.is_none()) && (limit.is_some() || self.limits.contains_key(key)) {
            self.taken.remove(key);
        }
        match limit {
            Some(limit) => drop(self.limits.insert(key.to_owned(), limit)),
            None => drop(self.limits.remove(key)),
        }
    }

    /// The ids of the jobs in some place.
    pub(super) fn ids(&self, place: impl Fn(&Place) -> bool) -> Vec<String> {
        self.jobs.iter().filter(|(_, record)| place(&record.place)).map(|(id, _)| id.clone()).collect()
    }
}
