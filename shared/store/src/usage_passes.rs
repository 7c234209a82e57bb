//! The usage frozen for one pass of a chunk, until the pass has been billed.
//!
//! **Invariant:** it is inserted, shrunk and deleted in transactions that also write its chunk, so that it exists exactly
//! while the chunk stands at this pass.

use domain::Usage;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::record::record;

/// What one pass will bill.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UsagePass {
    /// `upa_` + chunk + pass.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    /// What is not billed yet.
    pub entries: Vec<UsagePassEntry>,
}
record!(UsagePass, "usage_passes", revised);

/// The boundary to bill of one subscription, and what was used in the period that it ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UsagePassEntry {
    pub subscription: String,
    pub boundary: Date,
    /// Price key -> what was used, by group.
    pub usage: Usage,
}
