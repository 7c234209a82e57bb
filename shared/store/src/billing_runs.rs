//! Billing runs: everything due up to a moment, billed as one object that can be watched.

use bson::doc;
use domain::{Currency, RunState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ChunkSummary, Due, FailedItem, Record, Store, StoreError, instant, record::record};

/// A run. Due (by the wall) while it has something to do: not when it is paused or over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BillingRun {
    /// `run_...`
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    /// Everything due up to and including this moment is billed.
    #[serde(with = "instant")]
    pub as_of: Timestamp,
    pub state: RunState,
    /// Whether all chunks exist.
    #[serde(default)]
    pub planned: bool,
    /// How often it was asked to retry what failed; a chunk that was asked less often has to.
    #[serde(default)]
    pub retries: i32,
    /// The chunk after which chunks wait for a job: theirs ended while the run was paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_after: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    #[serde(flatten)]
    pub due: Due,
}
record!(BillingRun, "billing_runs", revised);

/// The sums of a run's chunks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunTotals {
    pub subscriptions: i64,
    pub invoiced: i64,
    pub skipped: i64,
    pub failed: i64,
    pub paid: i64,
    pub payment_failed: i64,
    pub notified: i64,
    pub amounts: Vec<RunAmount>,
    /// What kept subscriptions from being billed, the most frequent first.
    pub errors: Vec<RunError>,
}

/// A cause of failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunError {
    pub code: String,
    pub count: i64,
    /// One of them.
    pub example: FailedItem,
}

/// A run's money in one currency, in minor units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAmount {
    pub currency: Currency,
    pub invoiced_minor: i64,
    pub collected_minor: i64,
}

impl RunTotals {
    /// The totals of a run, summed over what its chunks have counted.
    #[must_use]
    pub fn of(chunks: &[ChunkSummary]) -> Self {
        let mut totals = chunks.iter().fold(Self::default(), Self::add);
        totals.errors.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.code.cmp(&other.code)));
        totals
    }

    fn add(mut self, chunk: &ChunkSummary) -> Self {
        self.subscriptions += chunk.subscriptions;
        self.skipped += chunk.skipped;
        self.failed += i64::try_from(chunk.failed.len()).unwrap_or(i64::MAX);
        self.invoiced += chunk.counts.invoiced;
        self.paid += chunk.counts.paid;
        self.payment_failed += chunk.counts.payment_failed;
        self.notified += chunk.counts.notified;
        for amount in &chunk.counts.amounts {
            RunAmount::merge(&mut self.amounts, amount);
        }
        for failed in &chunk.failed {
            match self.errors.iter_mut().find(|error| error.code == failed.code) {
                Some(error) => error.count += 1,
                None => self.errors.push(RunError { code: failed.code.clone(), count: 1, example: failed.clone() }),
            }
        }
        self
    }
}

impl RunAmount {
    /// Adds an amount to the one of its currency.
    pub(crate) fn merge(amounts: &mut Vec<Self>, amount: &Self) {
        match amounts.iter_mut().find(|sum| sum.currency == amount.currency) {
            Some(sum) => {
                sum.invoiced_minor += amount.invoiced_minor;
                sum.collected_minor += amount.collected_minor;
            }
            None => amounts.push(amount.clone()),
        }
    }
}

impl Store {
    /// Those of these runs that are paused; for the sweep, which serves all tenants.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn paused_runs(&self, ids: &[String]) -> Result<Vec<String>, StoreError> {
        let filter = doc! { "_id": { "$in": ids }, "state": RunState::Paused.as_str() };
        let paused =
            self.database().collection::<bson::Document>(BillingRun::COLLECTION).distinct("_id", filter).await?;
        Ok(paused.into_iter().filter_map(|id| id.as_str().map(ToOwned::to_owned)).collect())
    }
}
