//! Usage fences: up to which instant a subscription's usage may have been counted already.
//!
//! **Invariant:** a fence is raised before usage is counted and never lowered; an event is stored before the fence is read. So
//! an event is either seen by whoever counts, or sees the fence.

use bson::doc;
use futures::TryStreamExt;
use jiff::Timestamp;
use mongodb::{
    Namespace,
    options::{UpdateOneModel, WriteModel},
};
use serde::{Deserialize, Serialize};

use crate::{Record, Store, StoreError, instant, record::record};

/// The fence of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageFence {
    /// The subscription's id.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub customer: String,
    /// The first instant whose events have not been counted by anybody.
    #[serde(with = "instant")]
    pub until: Timestamp,
}
record!(UsageFence, "usage_fences");

impl Store {
    /// Raises fences, in one round trip; those that are higher stay.
    ///
    /// # Errors
    /// `Unavailable`; a repeat is harmless.
    pub async fn raise_usage_fences(&self, fences: &[UsageFence]) -> Result<(), StoreError> {
        if fences.is_empty() {
            return Ok(());
        }
        let namespace = Namespace::new(self.database().name(), UsageFence::COLLECTION);
        let raise = |fence: &UsageFence| {
            let update = doc! {
                "$max": { "until": fence.until },
                "$setOnInsert": { "tenant": &fence.tenant, "customer": &fence.customer },
            };
            let filter = doc! { "_id": &fence.id };
            let model =
                UpdateOneModel::builder().namespace(namespace.clone()).filter(filter).update(update).upsert(true);
            WriteModel::UpdateOne(model.build())
        };
        self.client().bulk_write(fences.iter().map(raise)).ordered(false).await?;
        Ok(())
    }

    /// The fences of these customers' subscriptions.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn usage_fences(&self, tenant: &str, customers: &[&str]) -> Result<Vec<UsageFence>, StoreError> {
        let filter = doc! { "tenant": tenant, "customer": { "$in": customers } };
        Ok(self.collection::<UsageFence>().find(filter).await?.try_collect().await?)
    }
}
