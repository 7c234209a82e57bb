//! Everything that Redis holds of a queue at one moment, and what must hold among its parts whatever happened.

use std::collections::{BTreeMap, BTreeSet};

use redis::Value;
use redis::aio::MultiplexedConnection;

/// Every key with its type and content. It reads without bounds, as only a test may.
const EVERYTHING: &str = r"
    local found, base = {}, KEYS[1]
    for _, key in ipairs(redis.call('KEYS', '*')) do
      local kind = redis.call('TYPE', key).ok
      local content = {}
      if kind == 'hash' then content = redis.call('HGETALL', key)
      elseif kind == 'list' then content = redis.call('LRANGE', key, 0, -1)
      elseif kind == 'zset' then content = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
      elseif kind == 'string' then content = { redis.call('GET', key) } end
      found[#found + 1] = { key, kind, content }
    end
    return found";

/// Where an id was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Spot {
    Ready(String),
    Parked { gate: String, line: String },
    Scheduled,
    Leased(String),
    Dead,
}

/// A queue in Redis. Lines are named `<lane>/<tenant>`.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) jobs: BTreeMap<String, String>,
    /// Lists of ids of what is ready, by line; rings of tenants, by lane.
    pub(super) ready: BTreeMap<String, Vec<String>>,
    pub(super) rings: BTreeMap<String, Vec<String>>,
    /// The same of each gate.
    pub(super) parked: BTreeMap<(String, String), Vec<String>>,
    pub(super) gate_rings: BTreeMap<(String, String), Vec<String>>,
    pub(super) gates: BTreeMap<String, String>,
    pub(super) parked_counts: BTreeMap<String, String>,
    pub(super) scheduled: Vec<String>,
    /// In the order of their expiry.
    pub(super) leases: Vec<String>,
    pub(super) unique: BTreeMap<String, String>,
    pub(super) dead: BTreeSet<String>,
    pub(super) dead_index: BTreeSet<String>,
    pub(super) dead_unique: BTreeMap<String, String>,
    pub(super) in_use: BTreeMap<String, String>,
    pub(super) wake: bool,
    /// Keys of which this knows nothing.
    pub(super) strangers: Vec<String>,
}

/// What a finished job may leave behind: the last token, and what is forgotten after a while or read by a mirror.
const REMAINS: [&str; 5] = ["token", "stats:", "workers", "beats", "dead:changes"];

/// What operators set.
const SETTINGS: [&str; 3] = ["limits", "paused", "rates"];

fn pairs(content: &[String]) -> BTreeMap<String, String> {
    content.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

fn members(content: &[String]) -> Vec<String> {
    content.chunks_exact(2).map(|pair| pair[0].clone()).collect()
}

impl Picture {
    pub(super) async fn take(connection: &mut MultiplexedConnection, base: &str) -> Self {
        let found: Vec<(String, String, Vec<Value>)> =
            redis::cmd("EVAL").arg(EVERYTHING).arg(1).arg(base).query_async(connection).await.unwrap();
        let mut picture = Self::default();
        for (key, _, content) in found {
            let content: Vec<String> =
                content.into_iter().map(|value| redis::from_redis_value(value).unwrap()).collect();
            match key.strip_prefix(base).and_then(|key| key.strip_prefix(':')) {
                Some(part) => picture.add(part, content),
                None => picture.strangers.push(key),
            }
        }
        picture
    }

    fn add(&mut self, part: &str, content: Vec<String>) {
        match part {
            "jobs" => self.jobs = pairs(&content),
            "gates" => self.gates = pairs(&content),
            "parked" => self.parked_counts = pairs(&content),
            "scheduled" => self.scheduled = members(&content),
            "leases" => self.leases = members(&content),
            "unique" => self.unique = pairs(&content),
            "dead" => self.dead = members(&content).into_iter().collect(),
            "dead:index" => self.dead_index = members(&content).into_iter().collect(),
            "dead:unique" => self.dead_unique = pairs(&content),
            "in_use" => self.in_use = pairs(&content),
            "wake" => self.wake = true,
            _ => self.add_line(part, content),
        }
    }

    fn add_line(&mut self, part: &str, content: Vec<String>) {
        let words: Vec<&str> = part.split('/').collect();
        let gate = words[0].strip_prefix("gate:").map(str::to_owned);
        match (words.as_slice(), gate) {
            (["ready", lane], _) => drop(self.rings.insert((*lane).to_owned(), content)),
            (["ready", lane, tenant], _) => drop(self.ready.insert(format!("{lane}/{tenant}"), content)),
            ([_, lane], Some(gate)) => drop(self.gate_rings.insert((gate, (*lane).to_owned()), content)),
            ([_, lane, tenant], Some(gate)) => drop(self.parked.insert((gate, format!("{lane}/{tenant}")), content)),
            _ if REMAINS.iter().chain(&SETTINGS).any(|known| part.starts_with(known)) => {}
            _ => self.strangers.push(part.to_owned()),
        }
    }

    /// Where each id is, with all its spots.
    pub(super) fn spots(&self) -> BTreeMap<String, Vec<Spot>> {
        let mut spots: BTreeMap<String, Vec<Spot>> = BTreeMap::new();
        let mut add = |id: &str, spot: Spot| spots.entry(id.to_owned()).or_default().push(spot);
        for (line, ids) in &self.ready {
            ids.iter().for_each(|id| add(id, Spot::Ready(line.clone())));
        }
        for ((gate, line), ids) in &self.parked {
            ids.iter().for_each(|id| add(id, Spot::Parked { gate: gate.clone(), line: line.clone() }));
        }
        self.scheduled.iter().for_each(|id| add(id, Spot::Scheduled));
        for lease in &self.leases {
            add(lease.split(':').nth(1).unwrap_or_default(), Spot::Leased(lease.clone()));
        }
        self.dead.iter().for_each(|id| add(id, Spot::Dead));
        spots
    }

    /// What any state of a queue must satisfy: every job is in one place, and whatever is kept twice agrees.
    pub(super) fn check(&self) {
        assert!(self.strangers.is_empty(), "unknown keys: {:?}", self.strangers);
        let spots = self.spots();
        for (id, found) in &spots {
            assert_eq!(found.len(), 1, "{id} is in more than one place: {found:?}");
        }
        let placed: Vec<&String> = spots.keys().collect();
        let written: Vec<&String> = self.jobs.keys().collect();
        assert_eq!(placed, written, "jobs in places, and entries");
        assert_eq!(self.dead, self.dead_index, "dead letters, and their index");
        check_rings(&self.rings, &self.ready, "ready");
        let mut counts: BTreeMap<String, String> = BTreeMap::new();
        let mut sum = 0;
        for gate in self.parked.keys().map(|(gate, _)| gate).collect::<BTreeSet<_>>() {
            let of = |all: &BTreeMap<(String, String), Vec<String>>| -> BTreeMap<String, Vec<String>> {
                let own = all.iter().filter(|((other, _), _)| other == gate);
                own.map(|((_, line), ids)| (line.clone(), ids.clone())).collect()
            };
            let lines = of(&self.parked);
            check_rings(&of(&self.gate_rings), &lines, gate);
            let count: usize = lines.values().map(Vec::len).sum();
            counts.insert(gate.clone(), count.to_string());
            sum += count;
        }
        let gates: Vec<&String> = self.gates.keys().collect();
        assert_eq!(gates, counts.keys().collect::<Vec<_>>(), "gates, and those with parked jobs");
        if sum > 0 {
            counts.insert("*".to_owned(), sum.to_string());
        }
        assert_eq!(self.parked_counts, counts, "counts of parked jobs, and a recount");
    }

    /// Whether it is as if nothing had ever been enqueued.
    pub(super) fn is_bare(&self) -> bool {
        self.spots().is_empty() && self.jobs.is_empty() && self.unique.is_empty() && self.in_use.is_empty()
    }
}

/// A tenant is in the ring of a lane, once, exactly while it has jobs in that lane.
fn check_rings(rings: &BTreeMap<String, Vec<String>>, lines: &BTreeMap<String, Vec<String>>, what: &str) {
    let mut turns: Vec<String> =
        rings.iter().flat_map(|(lane, tenants)| tenants.iter().map(move |tenant| format!("{lane}/{tenant}"))).collect();
    turns.sort();
    let lines: Vec<&String> = lines.keys().collect();
    assert_eq!(turns.iter().collect::<Vec<_>>(), lines, "{what}: tenants in the rings, and tenants with jobs");
}
