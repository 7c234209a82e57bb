//! Turns: writers who lost a race against others of their tenant go on one after the other.
//!
//! Sixteen subscriptions created at once all take an invoice number, which one transaction at a time can do; trying again all
//! together, most would lose every time. Within this process they queue up; against other processes tries and pauses are
//! left. **Invariant:** only speed depends on turns. What is right is decided by the database.

use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::{Mutex, MutexGuard};

/// Locks that tenants share by their hash: few enough to stay for ever, many enough that busy tenants seldom meet.
const LOCKS: u64 = 64;

/// The turns of all tenants.
pub(crate) struct Turns(Vec<Mutex<()>>);

/// A turn, until it is dropped.
pub(crate) type Turn<'a> = MutexGuard<'a, ()>;

impl Turns {
    /// Turns that nobody has taken.
    pub(crate) fn new() -> Self {
        Self((0..LOCKS).map(|_| Mutex::new(())).collect())
    }

    /// Waits for the tenant's turn. First come, first served.
    pub(crate) async fn take(&self, tenant: &str) -> Turn<'_> {
        let mut hasher = DefaultHasher::new();
        tenant.hash(&mut hasher);
        // Below the number of locks, so it is an index.
        let index = usize::try_from(hasher.finish() % LOCKS).unwrap_or_default();
        self.0[index].lock().await
    }
}
