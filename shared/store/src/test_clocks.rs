//! Test clocks: a tenant in test mode can stand on one, and then its time is this and nothing else.
//!
//! **Invariant:** a clock's time only grows; while it is being advanced, `target` says how far and the clock is due by the wall.

use bson::{Document, doc};
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    BillingRun, Due, Event, Invoice, Notification, Record, Store, StoreError, SubscriptionRecord, instant,
    record::record,
};

/// A clock that stands still until it is advanced.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TestClock {
    /// `clk_...`
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    /// The time on this clock.
    #[serde(with = "instant")]
    pub now: Timestamp,
    /// Where it is going; absent while it stands.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Timestamp>,
    /// Where the last advance began.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub advanced_from: Option<Timestamp>,
    /// Instants at which the last advance has stopped so far, because something was due.
    #[serde(default)]
    pub stops: i64,
    #[serde(flatten)]
    pub due: Due,
}
record!(TestClock, "test_clocks", revised);

/// Work of a tenant that is under way, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnderWay {
    pub billing_runs: u64,
    pub payments: u64,
    pub notifications: u64,
    pub events: u64,
}

impl UnderWay {
    /// Whether there is none.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Deserialize)]
struct DueAt {
    #[serde(with = "instant")]
    due_at: Timestamp,
}

impl Store {
    /// Every test clock of the deployment, for the scheduler, which serves all tenants.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn test_clocks(&self) -> Result<Vec<TestClock>, StoreError> {
        Ok(self.collection::<TestClock>().find(doc! {}).await?.try_collect().await?)
    }

    /// The first instant after the clock's at which something of its tenant is due on it: a boundary, the end of a grace
    /// period, a payment to try again, the notice before a trial ends.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn next_due(&self, clock: &TestClock) -> Result<Option<Timestamp>, StoreError> {
        let subscription = self.next_due_of::<SubscriptionRecord>(clock).await?;
        let invoice = self.next_due_of::<Invoice>(clock).await?;
        let notification = self.next_due_of::<Notification>(clock).await?;
        Ok([subscription, invoice, notification].into_iter().flatten().min())
    }

    async fn next_due_of<R: Record>(&self, clock: &TestClock) -> Result<Option<Timestamp>, StoreError> {
        let filter = doc! { "due_clock": &clock.id, "due_at": { "$gt": clock.now }, "tenant": &clock.tenant };
        let found: Option<DueAt> = self
            .collection::<R>()
            .clone_with_type()
            .find_one(filter)
            .sort(doc! { "due_at": 1 })
            .projection(doc! { "due_at": 1 })
            .await?;
        Ok(found.map(|found| found.due_at))
    }

    /// What of a tenant is under way by the wall clock: work that may still change what a later moment finds.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn under_way(&self, tenant: &str) -> Result<UnderWay, StoreError> {
        Ok(UnderWay {
            billing_runs: self.count_due_by_wall::<BillingRun>(tenant).await?,
            payments: self.count_due_by_wall::<Invoice>(tenant).await?,
            notifications: self.count_due_by_wall::<Notification>(tenant).await?,
            events: self.count_due_by_wall::<Event>(tenant).await?,
        })
    }

    async fn count_due_by_wall<R: Record>(&self, tenant: &str) -> Result<u64, StoreError> {
        let filter: Document = doc! { "due_clock": null, "due_at": { "$exists": true }, "tenant": tenant };
        Ok(self.collection::<R>().count_documents(filter).await?)
    }
}
