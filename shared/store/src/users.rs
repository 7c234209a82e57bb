//! Users: who signs in.

use bson::doc;
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, instant, record::record};

/// Somebody who signs in with e-mail address and password.
#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    /// `usr_...`
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    pub name: String,
    /// Lower case; unique over all tenants.
    pub email: String,
    /// PHC string (argon2id); empty until an invited user has chosen a password.
    pub password_hash: String,
    /// `owner`, `admin`, `finance`, `support`, `viewer` or `customer`.
    pub role: String,
    /// Whom a user of the role `customer` is; nobody else has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// When it was shown that the user reads the mails to its address; nobody signs in before.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub email_verified_at: Option<Timestamp>,
    /// Since when the user may not sign in.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
}
record!(User, "users", revised);

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("id", &self.id).field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl Store {
    /// The users who own a tenant.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn owners(&self, tenant: &str) -> Result<Vec<User>, StoreError> {
        Ok(self.collection::<User>().find(doc! { "tenant": tenant, "role": "owner" }).await?.try_collect().await?)
    }

    /// The user with this (lower-case) e-mail address, of any tenant: signing in is what names the tenant.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        Ok(self.collection::<User>().find_one(doc! { "email": email }).await?)
    }
}
