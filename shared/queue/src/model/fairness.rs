//! Fairness among tenants, as a law over one turn and over several.
//!
//! It is looked at in lanes where only free jobs wait. Elsewhere a tenant's turn may go to a job that has to be parked.

use std::collections::BTreeMap;

use super::expected::{Expected, Line, Place, Record};

/// The lanes, first to last.
pub(super) const LANES: [char; 3] = ['h', 'n', 'l'];

/// Where a line stands in its ring.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// The turn since which it has had jobs without a break.
    since: u64,
    /// The last turn since then that took one of them.
    served: Option<u64>,
}

/// How the lines stand, and how many turns there were.
#[derive(Debug, Clone, Default)]
pub(super) struct Rings {
    turn: u64,
    /// Lanes where others than free jobs wait.
    mixed: Vec<char>,
    standings: BTreeMap<Line, Standing>,
}

impl Rings {
    pub(super) fn begin_turn(&mut self) {
        self.turn += 1;
    }

    /// A line has its first job.
    pub(super) fn enter(&mut self, line: Line) {
        self.standings.insert(line, Standing { since: self.turn, served: None });
    }

    /// A line gave a job; it was the last one, or not.
    pub(super) fn serve(&mut self, line: &Line) {
        if let Some(standing) = self.standings.get_mut(line) {
            standing.served = Some(self.turn);
        }
    }

    /// A line has no job left.
    pub(super) fn leave(&mut self, line: &Line) {
        self.standings.remove(line);
    }

    /// What happened in mixed lanes says nothing about what comes.
    fn mix(&mut self, lanes: Vec<char>) {
        let mixed = self.standings.iter_mut().filter(|((lane, _), _)| lanes.contains(lane));
        mixed.for_each(|(_, standing)| *standing = Standing { since: self.turn, served: None });
        self.mixed = lanes;
    }
}

/// What a turn did to a line.
#[derive(Debug)]
struct Share {
    standing: Standing,
    taken: usize,
    left: usize,
}

impl Expected {
    /// Before the claims of a turn.
    pub(super) fn mix_lanes(&mut self) {
        let is_mixed = |lane: &char| {
            let waits = |record: &&Record| record.lane == *lane && record.place == Place::Waiting;
            !self.jobs.values().filter(waits).all(Record::is_free)
        };
        let mixed = LANES.into_iter().filter(is_mixed).collect();
        self.rings.mix(mixed);
    }

    /// Compares the lines before and after the claims of a turn.
    pub(super) fn check_fairness(&self, after: &Self) {
        for lane in LANES.into_iter().filter(|lane| !self.rings.mixed.contains(lane)) {
            let standings = self.rings.standings.iter().filter(|((other, _), _)| *other == lane);
            let shares = standings.map(|(line, standing)| {
                let left = after.lines.get(line).map_or(0, |ids| ids.len());
                let taken = self.lines[line].len() - left;
                (line.1.as_str(), Share { standing: *standing, taken, left })
            });
            check_shares(&shares.collect::<Vec<_>>());
        }
    }
}

fn check_shares(shares: &[(&str, Share)]) {
    let most = shares.iter().map(|(_, share)| share.taken).max().unwrap_or_default();
    for (other, neglected) in shares.iter().filter(|(_, share)| share.left > 0) {
        assert!(most <= neglected.taken + 1, "one tenant got two more than another, who still waits: {shares:?}");
        for (one, preferred) in shares.iter().filter(|(_, share)| share.taken > 0 && neglected.taken == 0) {
            let Some(earlier) = preferred.standing.served else { continue };
            let waited_longer =
                neglected.standing.since < earlier && neglected.standing.served.is_none_or(|served| served < earlier);
            assert!(!waited_longer, "{one} was served again, {other} was not: {shares:?}");
        }
    }
}
