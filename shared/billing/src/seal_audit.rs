//! Seals a tenant's audit entries: chains them, in the order of their time, behind what is sealed already.
//!
//! **Invariant:** entries and the end of the chain are written in one transaction that compares the chain's revision, so of
//! any number of sealers at once one comes first and the others find nothing left, or begin behind it.

use jiff::Timestamp;
use store::{AuditChain, Due, Seal, StoreError, UnitOfWork};

use crate::{Billing, BillingError, Change, Progress, audit_chain::link, context::retry_conflicts};

/// Entries sealed in one transaction: well below the thousand documents that one may write.
const STEP_LIMIT: i64 = 400;

/// Seals the oldest unsealed entries.
///
/// # Errors
/// Store errors.
pub async fn seal_audit(billing: &Billing, tenant: &str, wall: Timestamp) -> Result<Progress, BillingError> {
    retry_conflicts(|| seal_step(billing, tenant, wall)).await
}

async fn seal_step(billing: &Billing, tenant: &str, wall: Timestamp) -> Result<Progress, BillingError> {
    // The chain first: entries that are sealed in between make its revision old.
    let stored: Option<AuditChain> = billing.store.find(tenant, tenant).await?;
    let entries = billing.store.unsealed_audit_entries(tenant, wall, STEP_LIMIT).await?;
    if entries.is_empty() {
        return Ok(Progress::Done);
    }
    let full = i64::try_from(entries.len()).is_ok_and(|count| count == STEP_LIMIT);
    let is_new = stored.is_none();
    let mut chain = stored.unwrap_or_else(|| AuditChain::empty(tenant));
    let mut unit = UnitOfWork::default();
    for mut entry in entries {
        chain.count += 1;
        chain.head = link(&chain.head, chain.count, &entry);
        entry.seal = Some(Seal { number: chain.count, hash: chain.head.clone() });
        entry.due = Due::never();
        unit.seal(&entry)?;
    }
    if is_new {
        unit.insert(&chain)?;
    } else {
        unit.replace(&mut chain)?;
    }
    match billing.commit(Change { result: (), unit, follow_up: Vec::new() }).await {
        Ok(()) => Ok(if full { Progress::More } else { Progress::Done }),
        // Somebody else began the chain.
        Err(BillingError::Store(StoreError::Duplicate(detail))) => Err(StoreError::Conflict(detail).into()),
        Err(error) => Err(error),
    }
}
