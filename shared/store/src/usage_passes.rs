//! The usage frozen for one pass of a chunk, until the pass has been billed.
//!
//! **Invariant:** it is inserted, shrunk and deleted in transactions that also write its chunk, so that it exists exactly
//! while the chunk stands at this pass.

use domain::{BillingPeriod, Usage, Used};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{LateMark, record::record};

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
    /// What came late for windows that were closed before.
    #[serde(default, skip_serializing_if = "LateUsage::is_nothing")]
    pub late: LateUsage,
}

/// What is known of usage that came late for a subscription.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LateUsage {
    /// Closings whose windows were measured again.
    pub reopened: Vec<ReopenedClosing>,
    /// Windows of meters that bill nothing that comes late.
    pub ignored: Vec<IgnoredUsage>,
    /// Marks that say no more than that.
    pub marks: Vec<LateMark>,
}

/// A closed window for which something came that is not billed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IgnoredUsage {
    /// Key of the meter.
    pub meter: String,
    /// The local days of the window.
    pub period: BillingPeriod,
}

/// A closing, and what is used in its windows now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReopenedClosing {
    pub closing: String,
    /// Its revision when it was measured.
    pub revision: i64,
    pub windows: Vec<RemeasuredWindow>,
}

/// A window of a closing, measured again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RemeasuredWindow {
    /// Its position in the closing.
    pub index: u32,
    pub used: Vec<Used>,
}

impl LateUsage {
    /// Whether nothing came late.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.reopened.is_empty() && self.ignored.is_empty() && self.marks.is_empty()
    }
}
