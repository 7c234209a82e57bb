//! Usage reports under way: which usage a batch of events changes, until it is known whether that was counted already.
//!
//! **Invariant:** a report is stored before its events and deleted after its marks are set, so that one whose process died in
//! between is finished by the sweep.

use bson::doc;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Due, Store, StoreError, instant, record::record};

/// A report. Due (by the wall) for as long as it exists.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UsageReport {
    /// `urp_...`; the token of the marks that come of it.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub touched: Vec<TouchedUsage>,
    #[serde(flatten)]
    pub due: Due,
}
record!(UsageReport, "usage_reports");

/// Usage of a meter that a report changes, between two instants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TouchedUsage {
    pub customer: String,
    /// None where any of the customer's may come to bill it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// Key of the meter.
    pub meter: String,
    #[serde(with = "instant")]
    pub from: Timestamp,
    #[serde(with = "instant")]
    pub to: Timestamp,
}

impl Store {
    /// Stores a report, in place of itself if it is tried again.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn begin_usage_report(&self, report: &UsageReport) -> Result<(), StoreError> {
        let reports = self.collection::<UsageReport>();
        reports.replace_one(doc! { "_id": &report.id }, report).upsert(true).await?;
        Ok(())
    }

    /// Deletes a report, if it is there.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn end_usage_report(&self, report: &UsageReport) -> Result<(), StoreError> {
        let filter = doc! { "_id": &report.id, "tenant": &report.tenant };
        self.collection::<UsageReport>().delete_one(filter).await?;
        Ok(())
    }
}
