//! Usage closings: the windows that an invoice has billed, and by what; kept so that late usage can be compared with it.
//!
//! **Invariant:** a closing is inserted in the transaction that moves its subscription on, and changed in the one that adds
//! the difference to an invoice, compared on its revision.

use bson::doc;
use domain::{ClosedCommitment, ClosedWindow, PlanPeriod};
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{LateMark, Store, StoreError, instant, record::record};

/// What was closed at a boundary, or by an action.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UsageClosing {
    /// `clo_` + what follows the prefix of its invoice's id.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    pub subscription: String,
    /// The first instant whose events count in any of its windows.
    #[serde(with = "instant")]
    pub from: Timestamp,
    /// The first instant after all of its windows.
    #[serde(with = "instant")]
    pub to: Timestamp,
    /// One for each price.
    pub windows: Vec<ClosedWindow>,
    /// The minimum commitment that ended with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commitment: Option<ClosedCommitment>,
    /// Whether its invoice is a draft, in which usage still counts.
    pub draft: bool,
    /// Whether lines that count towards its commitment have changed since.
    pub recount: bool,
}
record!(UsageClosing, "usage_closings", revised);

impl Store {
    /// The closings that marks may be about, and those whose commitment is to be counted again; oldest first.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn closings_marked(
        &self,
        (tenant, subscriptions): (&str, &[&str]),
        marks: &[LateMark],
    ) -> Result<Vec<UsageClosing>, StoreError> {
        let about = |mark: &LateMark| {
            doc! { "subscription": &mark.subscription, "from": { "$lte": mark.to }, "to": { "$gt": mark.from } }
        };
        let recount = doc! { "subscription": { "$in": subscriptions }, "recount": true };
        let any: Vec<_> = marks.iter().map(about).chain([recount]).collect();
        let filter = doc! { "tenant": tenant, "$or": any };
        let found = self.collection::<UsageClosing>().find(filter).sort(doc! { "to": 1, "_id": 1 }).await?;
        Ok(found.try_collect().await?)
    }

    /// The closings with which these plan periods of a subscription ended, if they have.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn closings_of_periods(
        &self,
        (tenant, subscription): (&str, &str),
        periods: &[PlanPeriod],
    ) -> Result<Vec<UsageClosing>, StoreError> {
        if periods.is_empty() {
            return Ok(Vec::new());
        }
        let within = |period: &PlanPeriod| {
            doc! { "commitment.within.plan": &period.plan, "commitment.within.start": period.start.to_string() }
        };
        let any: Vec<_> = periods.iter().map(within).collect();
        let filter = doc! { "tenant": tenant, "subscription": subscription, "$or": any };
        Ok(self.collection::<UsageClosing>().find(filter).await?.try_collect().await?)
    }
}
