//! Workers, the wire and what can go wrong, around the protocol in [`crate::redis`].
//!
//! A worker is the driver of `src/driver.rs` without its timers: whatever it may do at some time it may do at any
//! time. A turn is one step, because what a worker does on its own between sending, Redis's answer and hearing it
//! could as well happen before or after; the troubles in between are steps of their own. A request that its sender
//! gave up on can still reach Redis, at any time.
//!
//! **Invariant:** every path ends. What repeats without progress draws on a [`Budget`], so "nothing can happen any
//! more" is a state that the checker reaches, and what must hold in the end is checked there.

use stateright::{Model, Property};

use crate::redis::{Lease, Ledger, MAX_ATTEMPTS, Name, Outcome, Place, Redis, Reply, Rules, Turn};

/// How often each trouble may come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// Workers killed.
    pub(crate) crashes: u8,
    /// Leases that expire although their worker lives. Those of dead workers always may.
    pub(crate) stalls: u8,
    /// Requests or replies that their sender waits for in vain.
    pub(crate) give_ups: u8,
    /// Runs that are released or snoozed.
    pub(crate) releases: u8,
    /// Moments up to which data is safe, and losses of what came after.
    pub(crate) saves: u8,
    pub(crate) losses: u8,
}

/// The whole: how many jobs, the rules, and what may go wrong.
pub(crate) struct System {
    pub(crate) jobs: usize,
    /// Jobs that a worker holds at once.
    pub(crate) room: usize,
    pub(crate) rules: Rules,
    pub(crate) budget: Budget,
    /// Situations that must occur: a model in which they do not says less than it seems to.
    pub(crate) reachable: Vec<Property<Self>>,
}

/// Workers at a time.
const SEATS: usize = 2;

/// A run in a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Held {
    lease: Lease,
    /// Not settled with Redis yet.
    outcome: Option<Outcome>,
    /// The worker knows that the lease is gone.
    lost: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Worker {
    name: Name,
    held: Vec<Held>,
    /// Whether a claim may have happened without its hearing of it.
    doubts: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    redis: Redis,
    /// What is left after a loss.
    saved: Redis,
    workers: Vec<Worker>,
    /// Requests that nobody waits for any more, sorted.
    late: Vec<Turn>,
    budget: Budget,
    ledger: Ledger,
    lost_data: bool,
}

/// One step. Numbers are seats, jobs, places among what a worker holds or among the late requests.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Turn(usize),
    /// A turn whose reply is lost.
    TurnUnheard(usize),
    /// A turn that its worker stops waiting for before Redis sees it.
    TurnForsaken(usize),
    LateTurn(usize),
    Finish(usize, usize, Outcome),
    Expire(usize),
    /// Its successor starts in the same step; that it may take its time is that it need not do anything.
    Crash(usize),
    Save,
    Lose,
    Sweep(usize),
}

impl Worker {
    fn new(seat: usize) -> Self {
        Self { name: Name { seat, start: 0 }, held: Vec::new(), doubts: false }
    }

    fn turn(&self, room: usize) -> Turn {
        let settled = self.held.iter().filter_map(|run| run.outcome.map(|outcome| (run.lease, outcome)));
        Turn {
            worker: self.name,
            settle: settled.collect(),
            renew: self.running().filter(|run| !run.lost).map(|run| run.lease).collect(),
            orphans: self.doubts,
            room: room - self.held.len(),
        }
    }

    fn running(&self) -> impl Iterator<Item = &Held> {
        self.held.iter().filter(|run| run.outcome.is_none())
    }

    fn knows(&self, lease: &Lease) -> bool {
        self.held.iter().any(|run| run.lease == *lease)
    }

    /// Takes a reply in; answers with the jobs whose runs begin.
    fn hear(&mut self, turn: &Turn, reply: &Reply) -> Vec<usize> {
        self.doubts = false;
        self.held.retain(|run| !turn.settle.iter().any(|(lease, _)| *lease == run.lease));
        for run in &mut self.held {
            run.lost |= reply.lost.contains(&run.lease);
        }
        let mut begun = Vec::new();
        for &lease in &reply.claimed {
            // Attempts that began and never reported back are all it had: not run again.
            let exhausted = lease.attempt > MAX_ATTEMPTS;
            if !exhausted {
                begun.push(lease.job);
            }
            self.held.push(Held { lease, outcome: exhausted.then_some(Outcome::Dead), lost: false });
        }
        begun
    }

    fn finish(&mut self, run: usize, outcome: Outcome) {
        if self.held[run].lost {
            self.held.remove(run);
        } else {
            self.held[run].outcome = Some(outcome);
        }
    }
}

impl State {
    fn is_useful(&self, worker: &Worker, room: usize) -> bool {
        let expired = |run: &Held| matches!(self.redis.jobs[run.lease.job], Place::Running { expired: true, .. });
        worker.held.iter().any(|run| run.outcome.is_some())
            || worker.doubts
            || (worker.held.len() < room && self.redis.has_work())
            || worker.running().any(|run| !run.lost && (expired(run) || !self.redis.holds(&run.lease)))
    }

    /// Whether somebody alive knows of the lease, so that it can be renewed.
    fn has_keeper(&self, lease: &Lease) -> bool {
        self.workers.iter().any(|worker| worker.knows(lease))
    }

    fn worker_steps(&self, seat: usize, room: usize, steps: &mut Vec<Step>) {
        let worker = &self.workers[seat];
        if self.is_useful(worker, room) {
            steps.push(Step::Turn(seat));
            if self.budget.give_ups > 0 {
                steps.extend([Step::TurnUnheard(seat), Step::TurnForsaken(seat)]);
            }
        }
        // A crash of a worker that has nothing to lose is no step.
        if self.budget.crashes > 0 && (worker.doubts || !worker.held.is_empty()) {
            steps.push(Step::Crash(seat));
        }
        for (place, run) in worker.held.iter().enumerate().filter(|(_, run)| run.outcome.is_none()) {
            let last = run.lease.attempt >= MAX_ATTEMPTS;
            let failed = if last { Outcome::Dead } else { Outcome::Retry };
            steps.extend([Outcome::Done, failed].map(|outcome| Step::Finish(seat, place, outcome)));
            if self.budget.releases > 0 {
                steps.push(Step::Finish(seat, place, Outcome::Release));
            }
        }
    }
}

impl Model for System {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut redis = Redis::empty(self.jobs);
        (0..self.jobs).for_each(|job| redis.enqueue(job));
        vec![State {
            redis,
            saved: Redis::empty(self.jobs),
            workers: (0..SEATS).map(Worker::new).collect(),
            late: Vec::new(),
            budget: self.budget,
            ledger: Ledger::new(self.jobs),
            lost_data: false,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        (0..SEATS).for_each(|seat| state.worker_steps(seat, self.room, steps));
        // One that never arrives is one that arrives when there is nothing left to do for it.
        steps.extend((0..state.late.len()).map(Step::LateTurn));
        for (job, place) in state.redis.jobs.iter().enumerate() {
            match place {
                Place::Running { lease, expired: false, .. } if state.budget.stalls > 0 || !state.has_keeper(lease) => {
                    steps.push(Step::Expire(job));
                }
                Place::Absent if !state.redis.finished[job] => steps.push(Step::Sweep(job)),
                _ => {}
            }
        }
        if state.budget.saves > 0 && state.budget.losses > 0 {
            steps.push(Step::Save);
        }
        if state.budget.losses > 0 {
            steps.push(Step::Lose);
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        match step {
            Step::Turn(seat) => {
                let turn = state.workers[seat].turn(self.room);
                let reply = state.redis.turn(&turn, self.rules, &mut state.ledger);
                for job in state.workers[seat].hear(&turn, &reply) {
                    state.ledger.charged[job] += 1;
                }
            }
            Step::TurnUnheard(seat) => {
                let turn = state.give_up(seat, self.room);
                state.redis.turn(&turn, self.rules, &mut state.ledger);
            }
            Step::TurnForsaken(seat) => {
                let turn = state.give_up(seat, self.room);
                state.late.push(turn);
                state.late.sort();
            }
            Step::LateTurn(late) => {
                let turn = state.late.remove(late);
                state.redis.turn(&turn, self.rules, &mut state.ledger);
            }
            Step::Finish(seat, run, outcome) => {
                state.budget.releases -= u8::from(outcome == Outcome::Release);
                state.workers[seat].finish(run, outcome);
            }
            Step::Expire(job) => state.expire(job),
            Step::Crash(seat) => {
                state.budget.crashes -= 1;
                let name = Name { start: state.workers[seat].name.start + 1, ..state.workers[seat].name };
                state.workers[seat] = Worker { name, ..Worker::new(seat) };
            }
            Step::Save => {
                state.budget.saves -= 1;
                state.saved = state.redis.clone();
            }
            Step::Lose => state.lose(),
            Step::Sweep(job) => state.redis.enqueue(job),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = self.reachable.clone();
        let laws = [
            Property::<Self>::always(ONE_OUTCOME, |_, state| !state.ledger.accepted_twice),
            Property::<Self>::always(OWN_OUTCOME, |_, state| !state.ledger.accepted_from_another),
            Property::<Self>::always(TOKENS_GROW, |_, state| !state.ledger.token_went_back),
            Property::<Self>::always(NOTHING_LOST, |_, state| state.lost_data || state.unaccounted() == 0),
            Property::<Self>::always(ATTEMPTS_BOUNDED, |_, state| {
                state.lost_data || state.ledger.charged.iter().all(|runs| *runs <= MAX_ATTEMPTS as i8)
            }),
            Property::<Self>::always(ALL_SETTLED, |system, state| {
                let mut steps = Vec::new();
                system.actions(state, &mut steps);
                !steps.is_empty() || state.is_settled()
            }),
            Property::<Self>::sometimes("everything is done", |_, state| state.redis.finished.iter().all(|done| *done)),
            Property::<Self>::sometimes("a job is dead", |_, state| state.redis.jobs.contains(&Place::Dead)),
        ];
        properties.extend(laws);
        properties
    }
}

pub(crate) const ONE_OUTCOME: &str = "a claim has one outcome at most";
pub(crate) const OWN_OUTCOME: &str = "an outcome counts for its own claim alone";
pub(crate) const TOKENS_GROW: &str = "tokens only grow";
pub(crate) const NOTHING_LOST: &str = "a job waits, runs, is dead or was done";
pub(crate) const ATTEMPTS_BOUNDED: &str = "no more runs than attempts, but for those that spent none";
pub(crate) const ALL_SETTLED: &str = "where nothing can happen any more, all is settled";

impl State {
    /// The turn that a worker takes and does not hear of.
    fn give_up(&mut self, seat: usize, room: usize) -> Turn {
        self.budget.give_ups -= 1;
        let turn = self.workers[seat].turn(room);
        self.workers[seat].doubts = true;
        turn
    }

    fn expire(&mut self, job: usize) {
        let Place::Running { lease, .. } = self.redis.jobs[job] else { return };
        self.budget.stalls -= u8::from(self.has_keeper(&lease));
        if let Place::Running { expired, .. } = &mut self.redis.jobs[job] {
            *expired = true;
        }
    }

    fn lose(&mut self) {
        self.budget.losses -= 1;
        self.lost_data = true;
        self.redis = self.saved.clone();
    }

    /// Jobs that are nowhere although they were not done.
    fn unaccounted(&self) -> usize {
        let jobs = self.redis.jobs.iter().zip(&self.redis.finished);
        jobs.filter(|(place, finished)| **place == Place::Absent && !**finished).count()
    }

    fn is_settled(&self) -> bool {
        let over = |place: &Place| matches!(place, Place::Absent | Place::Dead);
        self.unaccounted() == 0
            && self.redis.jobs.iter().all(over)
            && self.workers.iter().all(|worker| worker.held.is_empty())
    }

    /// Whether a worker is about to hand in an outcome that comes too late.
    pub(crate) fn has_zombie(&self) -> bool {
        let held = self.workers.iter().flat_map(|worker| &worker.held);
        held.into_iter().any(|run| run.outcome.is_some() && !self.redis.holds(&run.lease))
    }

    /// Whether a worker knows that it runs a job whose lease is gone.
    pub(crate) fn has_warned(&self) -> bool {
        self.workers.iter().any(|worker| worker.running().any(|run| run.lost))
    }

    /// Whether two workers run the same job.
    pub(crate) fn runs_twice(&self) -> bool {
        let runs_on = |seat: usize| self.workers[seat].running().map(|run| run.lease.job);
        runs_on(0).any(|job| runs_on(1).any(|other| other == job))
    }

    /// Whether all is done although data was lost.
    pub(crate) fn recovered(&self) -> bool {
        self.lost_data && self.redis.finished.iter().all(|done| *done)
    }
}
