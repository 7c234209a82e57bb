//! Late marks: a subscription's usage of a meter changed where it may have been counted already.
//!
//! One mark for a subscription and meter, widened by every event that comes late. **Invariant:** whoever takes a mark away
//! does so under the token that it read before it counted: a mark that was widened since stays.

use bson::{Document, doc};
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, instant, record::record};

/// A mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateMark {
    /// `late_` + subscription + meter.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub subscription: String,
    /// Key of the meter.
    pub meter: String,
    /// The first instant at which usage has changed.
    #[serde(with = "instant")]
    pub from: Timestamp,
    /// The last one.
    #[serde(with = "instant")]
    pub to: Timestamp,
    /// The report that widened it last.
    pub token: String,
}
record!(LateMark, "late_marks");

impl LateMark {
    /// What the mark must still be when it is taken away.
    pub(crate) fn unchanged(&self) -> Document {
        doc! { "_id": &self.id, "token": &self.token }
    }
}

impl Store {
    /// Sets a mark, or widens the one that is there.
    ///
    /// # Errors
    /// `Unavailable`; a repeat is harmless.
    pub async fn mark_late(&self, mark: &LateMark) -> Result<(), StoreError> {
        let update = doc! {
            "$min": { "from": mark.from },
            "$max": { "to": mark.to },
            "$set": { "token": &mark.token },
            "$setOnInsert": { "tenant": &mark.tenant, "subscription": &mark.subscription, "meter": &mark.meter },
        };
        self.collection::<LateMark>().update_one(doc! { "_id": &mark.id }, update).upsert(true).await?;
        Ok(())
    }

    /// The marks of these subscriptions.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn late_marks(&self, tenant: &str, subscriptions: &[&str]) -> Result<Vec<LateMark>, StoreError> {
        let filter = doc! { "tenant": tenant, "subscription": { "$in": subscriptions } };
        Ok(self.collection::<LateMark>().find(filter).await?.try_collect().await?)
    }
}
