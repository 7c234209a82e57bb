//! Audit entries: who did what, written in the change's own transaction. Nothing of an entry is ever changed but its seal,
//! which is added once.

use bson::doc;
use futures::{Stream, TryStreamExt};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Due, Store, StoreError, due::due_filter, instant, record::record};

/// One action of somebody on something. Due until it is sealed.
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
    /// For example `customer.created`.
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
    /// Its place in the tenant's chain, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
    #[serde(flatten)]
    pub due: Due,
}
record!(AuditEntry, "audit_entries");

/// A place in a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// From 1, without gaps.
    pub number: i64,
    /// Of the entry and the hash before it; hexadecimal.
    pub hash: String,
}

impl Store {
    /// Entries of a tenant that are not sealed, oldest first.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn unsealed_audit_entries(
        &self,
        tenant: &str,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut filter = due_filter(None, now);
        filter.insert("tenant", tenant);
        let order = doc! { "due_at": 1, "_id": 1 };
        Ok(self.collection::<AuditEntry>().find(filter).sort(order).limit(limit).await?.try_collect().await?)
    }

    /// How many entries of a tenant are not sealed.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn count_unsealed_audit_entries(&self, tenant: &str) -> Result<u64, StoreError> {
        Ok(self.collection::<AuditEntry>().count_documents(doc! { "tenant": tenant, "seal.number": null }).await?)
    }

    /// The sealed entries of a tenant in the order of their numbers.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn sealed_audit_entries(
        &self,
        tenant: &str,
    ) -> Result<impl Stream<Item = Result<AuditEntry, StoreError>> + use<>, StoreError> {
        let filter = doc! { "tenant": tenant, "seal.number": { "$gte": i64::MIN } };
        let entries = self.collection::<AuditEntry>().find(filter).sort(doc! { "seal.number": 1, "_id": 1 }).await?;
        Ok(entries.map_err(StoreError::from))
    }
}
