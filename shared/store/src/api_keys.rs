//! API keys: credentials of programs, by hash.

use bson::doc;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, instant, record::record};

/// A key of a tenant. The key itself is shown once, when it is made, and not kept.
#[derive(Clone, Serialize, Deserialize)]
pub struct ApiKey {
    /// `key_...`
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    pub name: String,
    /// SHA-256 of the key, hexadecimal; unique.
    pub hash: String,
    /// `sk_live_` or `sk_test_`.
    pub prefix: String,
    /// The key's end, by which people tell keys apart.
    pub last_four: String,
    /// Scopes, separated by spaces.
    pub scopes: String,
    /// The user who made it.
    pub created_by: String,
    /// When it stops being good; it is kept to be seen.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}
record!(ApiKey, "api_keys", revised);

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey").field("id", &self.id).field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl ApiKey {
    /// Whether it is good for something.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

impl Store {
    /// The key with this hash, of any tenant: it is what names the tenant.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn api_key_by_hash(&self, hash: &str) -> Result<Option<ApiKey>, StoreError> {
        Ok(self.collection::<ApiKey>().find_one(doc! { "hash": hash }).await?)
    }
}
