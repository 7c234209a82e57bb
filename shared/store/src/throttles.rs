//! Throttles: how often something was tried lately, and when it may be tried again.

use bson::doc;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, instant, record::record};

/// Tries by or at one thing. What it is, and what follows from them, is decided by who counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Throttle {
    /// What is counted, hashed where it is a person's.
    #[serde(rename = "_id")]
    pub id: String,
    pub revision: i64,
    pub tries: u32,
    /// The next try is refused before.
    #[serde(with = "instant")]
    pub not_before: Timestamp,
    /// TTL index; who counts checks it as well.
    #[serde(with = "instant")]
    pub expires_at: Timestamp,
}
record!(Throttle, "throttles", revised);

impl Store {
    /// What was counted of one thing. Throttles are of no tenant: they are about who has not shown yet who it is.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn throttle(&self, id: &str) -> Result<Option<Throttle>, StoreError> {
        Ok(self.collection::<Throttle>().find_one(doc! { "_id": id }).await?)
    }
}
