//! The usage frozen for one pass of a chunk, until the pass has been billed.

use std::collections::BTreeMap;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, record::record};

/// What one pass will bill.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UsagePass {
    /// `upa_` + chunk + pass.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub entries: Vec<UsagePassEntry>,
}
record!(UsagePass, "usage_passes");

/// The boundary to bill of one subscription, and what was used in the period that it ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UsagePassEntry {
    pub subscription: String,
    pub boundary: Date,
    /// Meter key -> quantity.
    pub usage: BTreeMap<String, Decimal>,
}

impl Store {
    /// Stores a pass unless it exists; what was stored first is what will be billed.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn freeze_usage(&self, pass: &UsagePass) -> Result<(), StoreError> {
        match self.collection::<UsagePass>().insert_one(pass).await.map_err(StoreError::from) {
            Err(StoreError::Duplicate(_)) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
