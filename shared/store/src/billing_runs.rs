//! Billing runs: everything due up to a moment, billed as one object that can be watched.

use domain::Currency;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ChunkSummary, Due, instant, record::record};

/// A run. Due (by the wall) until it is completed.
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
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    #[serde(flatten)]
    pub due: Due,
}
record!(BillingRun, "billing_runs", revised);

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Customers are being cut into chunks; the first chunks already run.
    Planning,
    /// All chunks exist.
    Running,
    /// Every chunk is done.
    Completed,
}

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
        chunks.iter().fold(Self::default(), Self::add)
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
