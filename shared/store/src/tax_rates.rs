//! Tax rates that are named by their id. Customers and prices hold copies of them.

use std::collections::BTreeMap;

use domain::TaxRate;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{instant, record::record};

/// A stored tax rate. What it says never changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaxRateRecord {
    /// `txr_...`
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    pub rate: TaxRate,
    pub metadata: BTreeMap<String, String>,
    /// Since when it may not be named any more.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<Timestamp>,
}
record!(TaxRateRecord, "tax_rates", revised);
