//! One-time tokens: what the links in account mails carry, by hash.

use bson::doc;
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, instant, record::record};

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenPurpose {
    /// Shows that the user reads the mails to its address.
    VerifyEmail,
    /// The same, and an invited user's first password.
    AcceptInvitation,
    /// Another password.
    ResetPassword,
}

/// A token that was mailed to a user. Deleted with its use, which also writes the user at a new revision: so two uses at once
/// are one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OneTimeToken {
    /// SHA-256 of the token, hexadecimal.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub user: String,
    pub purpose: TokenPurpose,
    #[serde(with = "instant")]
    pub created: Timestamp,
    /// TTL index; queries check it themselves as well.
    #[serde(with = "instant")]
    pub expires_at: Timestamp,
}
record!(OneTimeToken, "one_time_tokens");

impl Store {
    /// The token with this hash, of any tenant: it is what names the tenant.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn one_time_token(&self, hash: &str, now: Timestamp) -> Result<Option<OneTimeToken>, StoreError> {
        let found = self.collection::<OneTimeToken>().find_one(doc! { "_id": hash }).await?;
        Ok(found.filter(|token| now < token.expires_at))
    }

    /// The tokens of a user that are good for a purpose.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn one_time_tokens_of(&self, tenant: &str, user: &str) -> Result<Vec<OneTimeToken>, StoreError> {
        let filter = doc! { "tenant": tenant, "user": user };
        Ok(self.collection::<OneTimeToken>().find(filter).await?.try_collect().await?)
    }
}
