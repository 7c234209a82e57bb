//! What a worker has claimed and not settled yet: [`Claims`], and who may begin a job: [`Turnstile`].
//!
//! Owns the end of holding ahead: a job that was claimed before there was a slot for it, and still waits because what
//! runs takes longer than was thought, is taken away from the worker again, so that an idle one elsewhere can run it.
//!
//! **Invariant:** a delivery is either begun by the worker or withdrawn by the driver, never both.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::delivery::{Lease, Token};

/// How long a job may be held ahead of a slot. Jobs are held for a few milliseconds (`pace`); who waits so much longer
/// waits behind slow ones.
pub(crate) const HELD_LIMIT: Duration = Duration::from_millis(100);

/// Lets one through: the worker, which begins the job, or the driver, which withdraws it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turnstile(Arc<AtomicBool>);

impl Turnstile {
    /// Whether this caller is the first.
    pub(crate) fn pass(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    fn is_passed(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A claim that this worker holds.
pub(crate) struct Held {
    pub(crate) lease: Lease,
    /// Set when it is known to be lost.
    pub(crate) lost: CancellationToken,
    turnstile: Turnstile,
    since: Instant,
}

impl Held {
    pub(crate) fn new(lease: Lease, turnstile: Turnstile) -> Self {
        Self { lease, lost: CancellationToken::new(), turnstile, since: Instant::now() }
    }
}

/// All claims of a worker on one queue.
#[derive(Default)]
pub(crate) struct Claims(HashMap<Token, Held>);

impl Claims {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn insert(&mut self, token: Token, held: Held) {
        self.0.insert(token, held);
    }

    pub(crate) fn remove(&mut self, token: Token) -> Option<Held> {
        self.0.remove(&token)
    }

    /// The leases that are not known to be lost.
    pub(crate) fn live_leases(&self) -> Vec<Lease> {
        let live = self.0.values().filter(|held| !held.lost.is_cancelled());
        live.map(|held| Lease::clone(&held.lease)).collect()
    }

    /// The claim of this lease.
    pub(crate) fn of(&self, lease: &Lease) -> Option<&Held> {
        self.0.values().find(|held| held.lease == *lease)
    }

    /// Takes out what has waited for a slot beyond [`HELD_LIMIT`] and was not begun, in the order of its claims.
    pub(crate) fn withdraw_stuck(&mut self) -> Vec<(Token, Lease)> {
        let stuck = |held: &Held| !held.turnstile.is_passed() && held.since.elapsed() > HELD_LIMIT;
        let withdrawn = self.0.extract_if(|_, held| stuck(held) && held.turnstile.pass());
        let mut withdrawn: Vec<_> = withdrawn.map(|(token, held)| (token, held.lease)).collect();
        withdrawn.sort_unstable_by_key(|(token, _)| *token);
        withdrawn
    }
}
