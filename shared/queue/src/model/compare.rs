//! Where the real queue and the [`Expected`] one must agree after each step, and what is expected of a whole turn.

use std::collections::BTreeMap;

use super::expected::{Expected, Place, Record};
use super::picture::{Picture, Spot};
use super::stage::Stage;
use super::step::{LIMITS, QUEUE};
use crate::client::Depth;
use crate::entry::Entry;

/// The score of a gate that opens when something ends.
const NEVER: &str = "inf";

impl Stage {
    pub(super) async fn compare(&mut self) -> Picture {
        let base = self.client.keys.queue(QUEUE).base.clone();
        let picture = Picture::take(&mut self.raw, &base).await;
        picture.check();
        picture.compare(&self.expected);
        let depth = self.client.depth(QUEUE).await.unwrap();
        assert_eq!(depth, picture.depth(), "depth, and a recount");
        picture
    }
}

impl Picture {
    fn compare(&self, expected: &Expected) {
        let spots = self.spots();
        assert_eq!(spots.keys().collect::<Vec<_>>(), expected.jobs.keys().collect::<Vec<_>>(), "jobs");
        for (id, record) in &expected.jobs {
            let spot = &spots[id][0];
            assert!(record.may_be_at(spot), "{id} is at {spot:?} but should be {:?}", record.place);
            let entry = Entry::parse(&self.jobs[id]).unwrap();
            assert_eq!((entry.spent, entry.job.as_str()), (record.spent, record.name), "entry of {id}");
        }
        assert_eq!(self.unique, expected.unique, "holders of unique keys");
        assert_eq!(self.dead_unique, expected.dead_unique, "unique keys of dead letters");
        let used = LIMITS.map(|key| (key.to_owned(), expected.in_use(key).to_string()));
        let used: BTreeMap<String, String> = used.into_iter().filter(|(_, count)| count != "0").collect();
        assert_eq!(self.in_use, used, "runs counted by limit");
        for (line, ids) in &self.ready {
            let free: Vec<&String> = ids.iter().filter(|id| expected.jobs[*id].is_free()).collect();
            let (lane, tenant) = line.split_once('/').unwrap();
            let order = expected.lines.get(&(lane.chars().next().unwrap(), tenant.to_owned()));
            assert_eq!(free, order.into_iter().flatten().collect::<Vec<_>>(), "order of {line}");
        }
        self.check_gates(expected);
        let may_run = !expected.paused.contains(super::expected::WHOLE_QUEUE);
        assert!(self.wake || self.ready.is_empty() || !may_run, "work is ready and nobody is told");
    }

    /// Nobody waits for an end that has come already.
    fn check_gates(&self, expected: &Expected) {
        for gate in self.gates.iter().filter(|(_, opens)| *opens == NEVER).map(|(gate, _)| gate) {
            let closed = match gate.split_once(':') {
                Some(("job", name)) => expected.paused.contains(name),
                Some((_, key)) => {
                    let most = expected.limits.get(key).and_then(|limit| limit.concurrency);
                    most.is_some_and(|most| expected.in_use(key) >= most)
                }
                None => false,
            };
            assert!(closed, "{gate} is open, but what is parked there will never be looked at");
        }
    }

    fn depth(&self) -> Depth {
        let sum = |lines: usize| u64::try_from(lines).unwrap();
        Depth {
            ready: sum(self.ready.values().map(Vec::len).sum()),
            limited: sum(self.parked.values().map(Vec::len).sum()),
            scheduled: sum(self.scheduled.len()),
            running: sum(self.leases.len()),
            dead: sum(self.dead.len()),
        }
    }
}

impl Record {
    fn may_be_at(&self, spot: &Spot) -> bool {
        let own_line = format!("{}/{}", self.lane, self.tenant);
        match (&self.place, spot) {
            (Place::Waiting, Spot::Ready(line)) => *line == own_line,
            (Place::Waiting, Spot::Parked { gate, line }) => *line == own_line && self.gates().contains(gate),
            (Place::Running { lease, .. }, Spot::Leased(found)) => lease == found,
            (Place::Scheduled { .. }, Spot::Scheduled) | (Place::Dead, Spot::Dead) => true,
            _ => false,
        }
    }
}

impl Expected {
    /// Whatever waits is held back by something.
    pub(super) fn check_nothing_is_left(&self) {
        for (id, record) in self.jobs.iter().filter(|(_, record)| record.place == Place::Waiting) {
            let held_back = self.obstacle(record).is_some() || self.is_behind_dearer(record);
            assert!(held_back, "{id} could run, but nobody claims it: {record:?}");
        }
    }

    /// Who waits for a rate stands behind those that cost more and came first: passing them again and again would
    /// starve them.
    fn is_behind_dearer(&self, record: &Record) -> bool {
        let waiting = || self.jobs.values().filter(|other| other.place == Place::Waiting);
        record.limits.iter().any(|(key, _)| {
            waiting().any(|other| other.limits.iter().any(|(other, cost)| other == key && self.is_short_of(key, *cost)))
        })
    }
}
