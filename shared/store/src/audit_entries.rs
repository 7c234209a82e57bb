//! Audit entries: who did what, written in the change's own transaction and never changed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{instant, record::record};

/// One action of somebody on something.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditEntry {
    /// `aud_` + subject + revision + action, so that a repeat finds its own.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    /// Wall-clock instant.
    #[serde(with = "instant")]
    pub created: Timestamp,
    /// User id, or `system` for jobs.
    pub actor: String,
    /// For example `customer.create`.
    pub action: String,
    /// Id of the object it is about.
    pub subject: String,
    /// Request that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What it said before, where something was changed that was there; without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it says now, without secrets.
    pub after: Value,
}
record!(AuditEntry, "audit_entries");
