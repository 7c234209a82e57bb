//! Chunks: some hundred customers of a run that go through the pipeline together.
//!
//! **Invariant:** a chunk's counts agree with the documents that name it: a pass adds its invoices in the transaction that
//! inserts them, every later stage counts the documents again.

use bson::{Bson, doc};
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Due, Invoice, Notification, NotificationState, Store, StoreError, billing_runs::RunAmount, instant, record::record,
};

/// The database's word for all of them.
const NO_LIMIT: i64 = 0;

/// A part of a run. Due (by the wall) until it is notified.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Chunk {
    /// `chk_` + run + the customer it begins after.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    pub run: String,
    /// Copied from the run.
    #[serde(with = "instant")]
    pub as_of: Timestamp,
    /// In id order.
    pub customers: Vec<String>,
    pub state: ChunkState,
    /// The pass that is being made, from 1.
    pub pass: i32,
    /// Subscriptions that had something due when the chunk began.
    pub subscriptions: i64,
    /// Boundaries that somebody else had billed in the meantime.
    pub skipped: i64,
    /// What could not be billed; left out of later passes.
    pub failed: Vec<FailedItem>,
    /// How often its run was asked to retry what failed, when this chunk last did.
    #[serde(default)]
    pub retried: i32,
    pub counts: ChunkCounts,
    #[serde(flatten)]
    pub due: Due,
}
record!(Chunk, "chunks", revised);

/// A chunk without its customers, for those who only watch or route it.
#[derive(Clone, Debug, Deserialize)]
pub struct ChunkSummary {
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub run: String,
    pub state: ChunkState,
    pub pass: i32,
    pub subscriptions: i64,
    pub skipped: i64,
    pub failed: Vec<FailedItem>,
    pub counts: ChunkCounts,
}

/// The stages of the pipeline that a chunk has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChunkState {
    /// The usage of its next pass is to be calculated.
    Planned,
    /// The usage of a pass is frozen; its invoices are to be generated.
    Usage,
    /// Nothing is due any more; its invoices are to be collected.
    Invoiced,
    /// Every invoice is paid, declined or goes on alone; mails are to be sent.
    Collected,
    /// Done.
    Notified,
}

/// A subscription that could not be billed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedItem {
    pub subscription: String,
    pub code: String,
    pub detail: String,
}

/// What became of a chunk's invoices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkCounts {
    pub invoiced: i64,
    pub paid: i64,
    pub payment_failed: i64,
    pub notified: i64,
    pub amounts: Vec<RunAmount>,
}

#[derive(Deserialize)]
struct InvoiceGroup {
    #[serde(rename = "_id")]
    key: InvoiceGroupKey,
    count: i64,
    refused: i64,
    minor: i64,
    collected: i64,
}

#[derive(Deserialize)]
struct InvoiceGroupKey {
    currency: domain::Currency,
    paid: bool,
}

impl Store {
    /// A run's chunks, in order.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn chunks_of_run(&self, tenant: &str, run: &str) -> Result<Vec<ChunkSummary>, StoreError> {
        self.summaries(doc! { "tenant": tenant, "run": run }, NO_LIMIT).await
    }

    /// These chunks, in order of their ids; for the sweep, which serves all tenants.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn chunk_summaries(&self, ids: &[String]) -> Result<Vec<ChunkSummary>, StoreError> {
        self.summaries(doc! { "_id": { "$in": ids } }, NO_LIMIT).await
    }

    /// Chunks of a run that are not done, in order, after one of them.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn open_chunks(
        &self,
        (tenant, run): (&str, &str),
        (after, limit): (&str, i64),
    ) -> Result<Vec<ChunkSummary>, StoreError> {
        let open = doc! { "$in": ["planned", "usage", "invoiced", "collected"] };
        let filter = doc! { "tenant": tenant, "run": run, "state": open, "_id": { "$gt": after } };
        self.summaries(filter, limit).await
    }

    /// Chunks of a run that are done, have failures, and were asked to retry them less than `retries` times.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn chunks_to_retry(
        &self,
        (tenant, run): (&str, &str),
        (retries, limit): (i32, i64),
    ) -> Result<Vec<Chunk>, StoreError> {
        let filter = doc! {
            "tenant": tenant, "run": run, "state": "notified", "failed.0": { "$exists": true },
            "retried": { "$lt": retries },
        };
        Ok(self.collection::<Chunk>().find(filter).limit(limit).await?.try_collect().await?)
    }

    /// The customer after whom planning of a run goes on: the last one of its last chunk.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn planned_until(&self, tenant: &str, run: &str) -> Result<Option<String>, StoreError> {
        let last =
            self.collection::<Chunk>().find_one(doc! { "tenant": tenant, "run": run }).sort(doc! { "_id": -1 }).await?;
        Ok(last.and_then(|chunk| chunk.customers.last().cloned()))
    }

    async fn summaries(&self, filter: bson::Document, limit: i64) -> Result<Vec<ChunkSummary>, StoreError> {
        let chunks = self.collection::<Chunk>().clone_with_type();
        let found = chunks.find(filter).projection(doc! { "customers": 0 }).sort(doc! { "_id": 1 }).limit(limit);
        Ok(found.await?.try_collect().await?)
    }

    /// Counts a chunk's invoices and sent notifications.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn count_chunk(&self, tenant: &str, chunk: &str) -> Result<ChunkCounts, StoreError> {
        // An attempt that is still open has not failed yet.
        let refused = doc! { "$and": [
            { "$gt": ["$attempts", 0] }, { "$eq": [{ "$type": "$open_attempt" }, "missing"] },
        ] };
        let pipeline = [
            doc! { "$match": { "tenant": tenant, "chunk": chunk } },
            doc! { "$group": {
                "_id": { "currency": "$content.currency", "paid": { "$eq": ["$status", "paid"] } },
                "count": { "$sum": Bson::Int64(1) },
                "refused": { "$sum": { "$cond": [refused, Bson::Int64(1), Bson::Int64(0)] } },
                "minor": { "$sum": "$content.amount_due_minor" },
                "collected": { "$sum": "$paid_minor" },
            } },
        ];
        let groups: Vec<InvoiceGroup> =
            self.collection::<Invoice>().aggregate(pipeline).with_type().await?.try_collect().await?;
        let mut counts = groups.into_iter().fold(ChunkCounts::default(), ChunkCounts::add);
        counts.amounts.sort_by_key(|amount| amount.currency.to_string());
        counts.notified = self.count_notified(tenant, chunk).await?;
        Ok(counts)
    }

    async fn count_notified(&self, tenant: &str, chunk: &str) -> Result<i64, StoreError> {
        let sent = bson::serialize_to_bson(&NotificationState::Sent)?;
        let count = self
            .collection::<Notification>()
            .count_documents(doc! { "tenant": tenant, "chunk": chunk, "state": sent })
            .await?;
        i64::try_from(count).map_err(|error| StoreError::Corrupt(error.to_string()))
    }
}

impl ChunkCounts {
    /// Counts an invoice that is inserted in the very transaction that writes this chunk.
    pub fn add_invoice(&mut self, currency: domain::Currency, invoiced_minor: i64) {
        self.invoiced += 1;
        RunAmount::merge(&mut self.amounts, &RunAmount { currency, invoiced_minor, collected_minor: 0 });
    }

    fn add(mut self, group: InvoiceGroup) -> Self {
        self.invoiced += group.count;
        if group.key.paid {
            self.paid += group.count;
        } else {
            self.payment_failed += group.refused;
        }
        let amount =
            RunAmount { currency: group.key.currency, invoiced_minor: group.minor, collected_minor: group.collected };
        RunAmount::merge(&mut self.amounts, &amount);
        self
    }
}
