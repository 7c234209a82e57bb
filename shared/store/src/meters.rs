//! Meters: what usage is measured by.

use std::collections::BTreeMap;

use bson::doc;
use domain::Meter;
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, instant, record::record};

/// A stored meter; its key is unique per tenant and it never changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MeterRecord {
    /// `mtr_...`
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    pub meter: Meter,
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}
record!(MeterRecord, "meters", revised);

impl Store {
    /// All meters of a tenant (bounded by the limit on meters per tenant).
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn meters(&self, tenant: &str) -> Result<Vec<MeterRecord>, StoreError> {
        Ok(self.collection::<MeterRecord>().find(doc! { "tenant": tenant }).await?.try_collect().await?)
    }
}
