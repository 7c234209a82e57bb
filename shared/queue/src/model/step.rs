//! The random steps, and the jobs that they are about.
//!
//! A step names things by a [`Pick`] among those there are when its turn comes, so any part of a sequence is a
//! sequence, and a failing one can be cut down.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde::{Deserialize, Serialize};

use crate::job::{Job, LimitUse, Priority, RetryPolicy, UniqueKey};
use crate::new_job::NewJob;

/// The queue of all steps.
pub(super) const QUEUE: &str = "stage";

/// Workers at a time.
pub(super) const WORKERS: usize = 3;

/// One of several, whatever their number is by then.
pub(super) type Pick = Index;

const TENANTS: [Option<&str>; 4] = [None, Some("acme"), Some("bolt"), Some("core")];
const KEYS: [&str; 3] = ["one key", "another", "third"];
pub(super) const LIMITS: [&str; 2] = ["gateway:a", "gateway:b"];

/// Small numbers: jobs then meet in lines, at gates and over keys, and a failing sequence is easy to read.
const MOST_JOBS: usize = 6;
const MOST_ROOM: usize = 6;
const MOST_PICKS: usize = 4;

/// A job that is never paused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Steady(Traits);

/// A job whose type is paused at times.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Pausable(Traits);

/// What a job declares.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Traits {
    pub(super) tenant: Option<String>,
    pub(super) unique: Option<(Scope, String)>,
    pub(super) limits: Vec<(String, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Scope {
    Waiting,
    WaitingOrRunning,
}

macro_rules! job {
    ($job:ident, $name:literal) => {
        impl Job for $job {
            const NAME: &'static str = $name;
            const QUEUE: &'static str = QUEUE;
            const RETRY: RetryPolicy =
                RetryPolicy::exponential(3, std::time::Duration::from_millis(1), std::time::Duration::from_millis(1));
            const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

            fn tenant(&self) -> Option<&str> {
                self.0.tenant.as_deref()
            }

            fn unique_key(&self) -> Option<UniqueKey> {
                self.0.unique.as_ref().map(|(scope, key)| match scope {
                    Scope::Waiting => UniqueKey::waiting(key),
                    Scope::WaitingOrRunning => UniqueKey::waiting_or_running(key),
                })
            }

            fn limits(&self) -> Vec<LimitUse> {
                self.0.limits.iter().map(|(key, cost)| LimitUse::new(key).cost(*cost)).collect()
            }
        }
    };
}

job!(Steady, "steady");
job!(Pausable, "pausable");

/// A job to be enqueued.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) name: &'static str,
    pub(super) traits: Traits,
    pub(super) priority: Priority,
    pub(super) delayed: bool,
    pub(super) unless_dead: bool,
}

impl Draft {
    /// The job, in the words of the crate.
    pub(super) fn job(&self) -> NewJob {
        let traits = self.traits.clone();
        let job = match self.name {
            Steady::NAME => NewJob::of(&Steady(traits)),
            _ => NewJob::of(&Pausable(traits)),
        };
        let job = job.unwrap().priority(self.priority);
        let job = if self.delayed { job.after(super::LATER) } else { job };
        if self.unless_dead { job.unless_dead() } else { job }
    }
}

/// How a run ends. `later`: after a delay that does not pass by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Done,
    Retry { later: bool },
    Snooze { later: bool },
    Dead,
    Release,
}

/// What a pause or resume is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Queue,
    PausableJobs,
}

/// Whether a worker hears the reply to its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hearing {
    Heard,
    Lost,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Enqueue(Vec<Draft>),
    Turn {
        worker: usize,
        ends: Vec<(Pick, End)>,
        renew: bool,
        room: usize,
        hearing: Hearing,
    },
    /// Turns with room until nothing more can be claimed.
    ClaimAll {
        worker: usize,
    },
    /// The worker forgets everything and starts again under another name.
    Crash {
        worker: usize,
    },
    /// Leases that run out.
    Expire(Vec<Pick>),
    /// Scheduled jobs whose time comes.
    FallDue(Vec<Pick>),
    Pause(Target),
    Resume(Target),
    /// At most so many runs at once, and so many units in all (no time passes that would earn any).
    SetLimit {
        key: usize,
        concurrency: Option<u32>,
        units: Option<u32>,
    },
    RemoveLimit {
        key: usize,
    },
    Requeue(Pick),
    Discard(Pick),
    /// Redis forgets everything.
    LoseEverything,
}

/// Which jobs a sequence is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cast {
    /// Such as no gate is ever in the way of: order and fairness hold for all of them.
    Free,
    Any,
}

fn traits(cast: Cast) -> impl Strategy<Value = Traits> {
    let scope = prop_oneof![Just(Scope::Waiting), Just(Scope::WaitingOrRunning)];
    let key = (0..KEYS.len()).prop_map(|key| KEYS[key].to_owned());
    let limit = |key: usize| (Just(LIMITS[key].to_owned()), 1..=3_u32);
    let limited = if cast == Cast::Any { 1 } else { 0 };
    let limits = prop_oneof![
        5 => Just(Vec::new()),
        2 * limited => limit(0).prop_map(|limit| vec![limit]),
        limited => limit(1).prop_map(|limit| vec![limit]),
        limited => (limit(0), limit(1)).prop_map(|(one, other)| vec![one, other]),
        limited => (limit(0), limit(1)).prop_map(|(one, other)| vec![other, one]),
    ];
    let unique = prop_oneof![3 => Just(None), 1 => (scope, key).prop_map(Some)];
    (0..TENANTS.len(), unique, limits).prop_map(|(tenant, unique, limits)| {
        let tenant = TENANTS[tenant].map(str::to_owned);
        Traits { tenant, unique, limits }
    })
}

fn draft(cast: Cast) -> impl Strategy<Value = Draft> {
    let pausable = if cast == Cast::Any { 1 } else { 0 };
    let name = prop_oneof![3 => Just(Steady::NAME), pausable => Just(Pausable::NAME)];
    let priority = prop_oneof![2 => Just(Priority::Normal), 1 => Just(Priority::High), 1 => Just(Priority::Low)];
    let rarely = || prop_oneof![3 => Just(false), 1 => Just(true)];
    (name, traits(cast), priority, rarely(), rarely()).prop_map(|(name, traits, priority, delayed, unless_dead)| {
        Draft { name, traits, priority, delayed, unless_dead }
    })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => Just(End::Done),
        2 => any::<bool>().prop_map(|later| End::Retry { later }),
        1 => any::<bool>().prop_map(|later| End::Snooze { later }),
        2 => Just(End::Dead),
        1 => Just(End::Release),
    ]
}

fn turn() -> impl Strategy<Value = Step> {
    let hearing = prop_oneof![5 => Just(Hearing::Heard), 1 => Just(Hearing::Lost)];
    let ends = vec((any::<Pick>(), end()), 0..=MOST_PICKS);
    (0..WORKERS, ends, any::<bool>(), 0..=MOST_ROOM, hearing)
        .prop_map(|(worker, ends, renew, room, hearing)| Step::Turn { worker, ends, renew, room, hearing })
}

fn set_limit() -> impl Strategy<Value = Step> {
    let most = prop_oneof![
        2 => (0..=3_u32).prop_map(|most| (Some(most), None)),
        1 => (1..=8_u32).prop_map(|units| (None, Some(units))),
        1 => (1..=3_u32, 1..=8_u32).prop_map(|(most, units)| (Some(most), Some(units))),
    ];
    (0..LIMITS.len(), most).prop_map(|(key, (concurrency, units))| Step::SetLimit { key, concurrency, units })
}

/// Any sequence of up to so many steps.
pub(super) fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![1 => vec(step(Cast::Free), 1..=most), 2 => vec(step(Cast::Any), 1..=most)]
}

fn step(cast: Cast) -> impl Strategy<Value = Step> {
    let picks = || vec(any::<Pick>(), 1..=MOST_PICKS);
    let target = || prop_oneof![1 => Just(Target::Queue), 2 => Just(Target::PausableJobs)];
    let worker = 0..WORKERS;
    prop_oneof![
        20 => vec(draft(cast), 1..=MOST_JOBS).prop_map(Step::Enqueue),
        40 => turn(),
        6 => worker.clone().prop_map(|worker| Step::ClaimAll { worker }),
        4 => worker.prop_map(|worker| Step::Crash { worker }),
        6 => picks().prop_map(Step::Expire),
        8 => picks().prop_map(Step::FallDue),
        3 => target().prop_map(Step::Pause),
        6 => target().prop_map(Step::Resume),
        5 => set_limit(),
        3 => (0..LIMITS.len()).prop_map(|key| Step::RemoveLimit { key }),
        4 => any::<Pick>().prop_map(Step::Requeue),
        2 => any::<Pick>().prop_map(Step::Discard),
        1 => Just(Step::LoseEverything),
    ]
}
