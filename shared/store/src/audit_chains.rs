//! Audit chains: how many of a tenant's audit entries are sealed, and the hash of the last one, kept apart from the entries.

use serde::{Deserialize, Serialize};

use crate::record::record;

/// The end of a tenant's chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditChain {
    /// The tenant's id.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    /// Entries in the chain; the last one has this number.
    pub count: i64,
    /// Hash of the last one, hexadecimal; empty before the first.
    pub head: String,
}
record!(AuditChain, "audit_chains", revised);

impl AuditChain {
    /// The chain of a tenant nothing of which is sealed yet.
    #[must_use]
    pub fn empty(tenant: &str) -> Self {
        Self { id: tenant.to_owned(), tenant: tenant.to_owned(), revision: 1, count: 0, head: String::new() }
    }
}
