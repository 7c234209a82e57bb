//! Sessions: what a log-in begins, a refresh goes on with, and a log-out ends.

use bson::doc;
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, instant, record::record};

/// The family of refresh tokens that began with one log-in.
///
/// A refresh token has two halves: one names the family, the other is new every time. Whoever brings a family's name with an
/// old other half brings a token that was used before.
#[derive(Clone, Serialize, Deserialize)]
pub struct Session {
    /// `ses_...`; in every access token of the session.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    pub user: String,
    /// SHA-256 of the half that names the family, hexadecimal; unique.
    pub family_hash: String,
    /// SHA-256 of the half that is good now, hexadecimal.
    pub token_hash: String,
    /// Since when its tokens are good for nothing.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// TTL index; queries check it themselves as well.
    #[serde(with = "instant")]
    pub expires_at: Timestamp,
}
record!(Session, "sessions", revised);

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("id", &self.id).field("user", &self.user).finish_non_exhaustive()
    }
}

impl Session {
    /// Whether its tokens are good for something.
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }
}

impl Store {
    /// The session of a family, of any tenant: the token is what names the tenant.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn session_of_family(&self, family_hash: &str) -> Result<Option<Session>, StoreError> {
        Ok(self.collection::<Session>().find_one(doc! { "family_hash": family_hash }).await?)
    }

    /// The sessions of a user that have not been ended.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn open_sessions(&self, tenant: &str, user: &str) -> Result<Vec<Session>, StoreError> {
        let filter = doc! { "tenant": tenant, "user": user, "ended_at": { "$exists": false } };
        Ok(self.collection::<Session>().find(filter).await?.try_collect().await?)
    }
}
