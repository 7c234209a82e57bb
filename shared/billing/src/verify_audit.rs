//! Verifies a tenant's audit chain: recomputes every hash, and compares the end with what is kept apart.
//!
//! Finds an entry that was edited, deleted, moved or cut off at the end. It cannot find what was done to entries that are not
//! sealed yet, so it says how many these are; nor that all of the chain was written anew together with its end, so it names
//! the head, for whoever keeps one from before.

use futures::TryStreamExt;
use store::{AuditChain, AuditEntry, Store};

use crate::{BillingError, audit_chain::link};

/// What a look at a chain gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditVerification {
    /// Entries in the chain, as far as it holds.
    pub sealed: i64,
    /// Entries that wait to be sealed.
    pub unsealed: u64,
    /// Hash of the last entry that holds.
    pub head: String,
    /// The first place at which it does not hold.
    pub broken: Option<BrokenLink>,
}

/// Where and how a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenLink {
    /// Number of the entry at this place.
    pub number: i64,
    /// Id of the entry that is found there, if there is one.
    pub entry: Option<String>,
    pub damage: Damage,
}

/// What is wrong with a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The entry is not what was sealed at this place.
    Altered,
    /// There is no entry with this number, and there are later ones.
    Missing,
    /// There are more entries in the chain than are found.
    Truncated,
    /// An entry has a number that was never given.
    Forged,
}

/// Verifies a chain. Memory is constant; sealing goes on meanwhile.
///
/// # Errors
/// Store errors.
pub async fn verify_audit(store: &Store, tenant: &str) -> Result<AuditVerification, BillingError> {
    let before = end(store, tenant).await?;
    let mut walk = Walk { end: &before, sealed: 0, head: String::new() };
    let mut entries = std::pin::pin!(store.sealed_audit_entries(tenant).await?);
    let mut broken = None;
    while let Some(entry) = entries.try_next().await? {
        broken = walk.step(&entry);
        if broken.is_some() {
            break;
        }
    }
    // Entries that were sealed during the walk are in the chain by now.
    let after = end(store, tenant).await?;
    let unsealed = store.count_unsealed_audit_entries(tenant).await?;
    let broken = broken.or_else(|| walk.at_the_end(&after));
    let Walk { sealed, head, .. } = walk;
    Ok(AuditVerification { sealed, unsealed, head, broken })
}

async fn end(store: &Store, tenant: &str) -> Result<AuditChain, BillingError> {
    Ok(store.find(tenant, tenant).await?.unwrap_or_else(|| AuditChain::empty(tenant)))
}

/// A walk along a chain, as far as it holds.
struct Walk<'a> {
    /// The end as it was kept when the walk began.
    end: &'a AuditChain,
    sealed: i64,
    head: String,
}

impl Walk<'_> {
    fn step(&mut self, entry: &AuditEntry) -> Option<BrokenLink> {
        let number = self.sealed + 1;
        let seal = entry.seal.as_ref()?;
        if seal.number > number {
            return Some(BrokenLink { number, entry: None, damage: Damage::Missing });
        }
        let hash = link(&self.head, number, entry);
        let is_the_end = number == self.end.count;
        if seal.number < number || seal.hash != hash || (is_the_end && hash != self.end.head) {
            return Some(BrokenLink { number, entry: Some(entry.id.clone()), damage: Damage::Altered });
        }
        (self.sealed, self.head) = (number, hash);
        None
    }

    fn at_the_end(&self, after: &AuditChain) -> Option<BrokenLink> {
        if self.sealed < self.end.count {
            return Some(BrokenLink { number: self.sealed + 1, entry: None, damage: Damage::Truncated });
        }
        let forged = self.sealed > after.count || (self.sealed == after.count && self.head != after.head);
        forged.then_some(BrokenLink { number: self.sealed, entry: None, damage: Damage::Forged })
    }
}
