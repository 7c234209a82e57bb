//! The lease protocol as Redis keeps it: one turn of `turn.lua`, cut down to leases, tokens and attempts.
//!
//! Every function here has the name and the order that it has in the script. Fields called ghosts are what the
//! checker knows and the protocol does not: no rule may look at them.

/// Attempts that a job of the model has. Two, so that one may fail and one may be the last.
pub(crate) const MAX_ATTEMPTS: u8 = 2;

/// One start of a worker; never used again after it crashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    pub(crate) seat: usize,
    pub(crate) start: u8,
}

/// The name of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Lease {
    pub(crate) token: u8,
    pub(crate) job: usize,
    pub(crate) attempt: u8,
    pub(crate) worker: Name,
    /// Ghost: which claim of all this is.
    pub(crate) serial: u8,
}

impl Lease {
    /// Whether both are called the same, as far as the protocol can tell.
    fn is_called(&self, other: &Self) -> bool {
        Self { serial: 0, ..*self } == Self { serial: 0, ..*other }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Outcome {
    Done,
    Retry,
    Dead,
    /// Given back without spending an attempt: released, or snoozed.
    Release,
}

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// Done, not enqueued yet, or lost with Redis's data.
    Absent,
    Waiting {
        spent: u8,
    },
    Running {
        spent: u8,
        lease: Lease,
        expired: bool,
    },
    Dead,
}

/// What a driver asks for in one turn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Turn {
    pub(crate) worker: Name,
    pub(crate) settle: Vec<(Lease, Outcome)>,
    pub(crate) renew: Vec<Lease>,
    /// Whether to give back what was claimed for this worker and is not among `renew`.
    pub(crate) orphans: bool,
    pub(crate) room: usize,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reply {
    pub(crate) claimed: Vec<Lease>,
    pub(crate) refused: Vec<Lease>,
    pub(crate) lost: Vec<Lease>,
}

/// The rules of the protocol, each of which can be broken to see that the checker would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) fence: Fence,
    pub(crate) token: Token,
    pub(crate) count: Count,
}

/// Whose outcome is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// That of the very lease.
    Lease,
    /// Broken: anyone's, while the job runs.
    Job,
}

/// What the next token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// max(last + 1, Redis's time).
    AtLeastTime,
    /// Broken: last + 1.
    Counter,
}

/// When an attempt is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// By the claim: a run that never reports back spends it, too.
    AtClaim,
    /// Broken: by the outcome.
    AtOutcome,
}

/// The protocol as it is.
pub(crate) const RULES: Rules = Rules { fence: Fence::Lease, token: Token::AtLeastTime, count: Count::AtClaim };

/// What Redis remembers; all of it goes back when Redis loses data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Redis {
    pub(crate) jobs: Vec<Place>,
    last_token: u8,
    /// Ghost: bit n is set when an outcome of claim n was accepted.
    accepted: u32,
    /// Ghost: whether a job was done.
    pub(crate) finished: Vec<bool>,
}

/// Ghosts that no loss of data sets back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ledger {
    /// Redis's time: later than any token given out before, because claiming a job takes longer than a microsecond.
    pub(crate) micros: u8,
    highest_token: u8,
    /// Runs begun, less claims that were given back, by job.
    pub(crate) charged: Vec<i8>,
    pub(crate) accepted_twice: bool,
    pub(crate) accepted_from_another: bool,
    pub(crate) token_went_back: bool,
}

impl Ledger {
    pub(crate) fn new(jobs: usize) -> Self {
        Self {
            micros: 1,
            highest_token: 0,
            charged: vec![0; jobs],
            accepted_twice: false,
            accepted_from_another: false,
            token_went_back: false,
        }
    }
}

impl Redis {
    pub(crate) fn empty(jobs: usize) -> Self {
        Self { jobs: vec![Place::Absent; jobs], last_token: 0, accepted: 0, finished: vec![false; jobs] }
    }

    pub(crate) fn enqueue(&mut self, job: usize) {
        self.jobs[job] = Place::Waiting { spent: 0 };
    }

    pub(crate) fn holds(&self, lease: &Lease) -> bool {
        matches!(&self.jobs[lease.job], Place::Running { lease: held, .. } if held.is_called(lease))
    }

    /// Whether a turn with room would take a job.
    pub(crate) fn has_work(&self) -> bool {
        self.jobs.iter().any(|job| matches!(job, Place::Waiting { .. } | Place::Running { expired: true, .. }))
    }

    /// Everything in it happens at once.
    pub(crate) fn turn(&mut self, turn: &Turn, rules: Rules, ledger: &mut Ledger) -> Reply {
        let settlements = turn.settle.iter();
        let refused = settlements.filter(|(lease, outcome)| !self.settle(*lease, *outcome, (rules, ledger)));
        let refused = refused.map(|(lease, _)| *lease).collect();
        let lost = turn.renew.iter().filter(|lease| !self.renew(lease)).copied().collect();
        if turn.orphans {
            self.give_orphans_back(turn, ledger);
        }
        self.take_expired_back(rules);
        let claimed = (0..turn.room).map_while(|_| self.claim(turn.worker, rules, ledger)).collect();
        Reply { claimed, refused, lost }
    }

    fn settle(&mut self, lease: Lease, outcome: Outcome, (rules, ledger): (Rules, &mut Ledger)) -> bool {
        let Place::Running { spent, lease: held, .. } = self.jobs[lease.job] else { return false };
        if rules.fence == Fence::Lease && !held.is_called(&lease) {
            return false;
        }
        ledger.accepted_from_another |= held.serial != lease.serial;
        ledger.accepted_twice |= self.accepted & (1 << lease.serial) != 0;
        self.accepted |= 1 << lease.serial;
        self.jobs[lease.job] = match outcome {
            Outcome::Done => {
                self.finished[lease.job] = true;
                Place::Absent
            }
            Outcome::Retry => Place::Waiting { spent: lease.attempt },
            Outcome::Dead => Place::Dead,
            Outcome::Release => {
                ledger.charged[lease.job] -= 1;
                Place::Waiting { spent }
            }
        };
        true
    }

    fn renew(&mut self, lease: &Lease) -> bool {
        let held = self.holds(lease);
        if let (true, Place::Running { expired, .. }) = (held, &mut self.jobs[lease.job]) {
            *expired = false;
        }
        held
    }

    fn give_orphans_back(&mut self, turn: &Turn, ledger: &mut Ledger) {
        for job in &mut self.jobs {
            let Place::Running { spent, lease, .. } = *job else { continue };
            if lease.worker == turn.worker && !turn.renew.iter().any(|known| known.is_called(&lease)) {
                ledger.charged[lease.job] -= 1;
                *job = Place::Waiting { spent };
            }
        }
    }

    fn take_expired_back(&mut self, rules: Rules) {
        for job in &mut self.jobs {
            if let Place::Running { spent, lease, expired: true } = *job {
                let counted = rules.count == Count::AtClaim;
                *job = Place::Waiting { spent: if counted { lease.attempt } else { spent } };
            }
        }
    }

    fn claim(&mut self, worker: Name, rules: Rules, ledger: &mut Ledger) -> Option<Lease> {
        let waiting = |job: &Place| matches!(job, Place::Waiting { .. });
        let job = self.jobs.iter().position(waiting)?;
        let Place::Waiting { spent } = self.jobs[job] else { return None };
        let token = match rules.token {
            Token::AtLeastTime => ledger.micros.max(self.last_token + 1),
            Token::Counter => self.last_token + 1,
        };
        let lease = Lease { token, job, attempt: spent + 1, worker, serial: ledger.micros };
        ledger.token_went_back |= token <= ledger.highest_token;
        ledger.highest_token = token.max(ledger.highest_token);
        ledger.micros += 1;
        self.last_token = token;
        self.jobs[job] = Place::Running { spent, lease, expired: false };
        Some(lease)
    }
}
