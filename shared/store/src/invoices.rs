//! Invoices: the issued document with its frozen content, and how far it has been collected.
//!
//! **Invariant:** `content` never changes after insertion; only the collection's progress does.
//! **Invariant:** attempt n+1 exists only through a compare-and-set on `{ open_attempt: none, attempts: n }`.

use bson::{Document, doc};
use domain::{InvoiceContent, InvoiceStatus};
use futures::TryStreamExt;
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{Due, Store, StoreError, instant, record::record};

/// An issued invoice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invoice {
    /// `inv_` + boundary + reason + subscription.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    /// Gap-free per tenant; taken when the invoice is inserted.
    #[serde(default)]
    pub number: String,
    pub customer: String,
    pub subscription: String,
    /// Local date of the boundary that it bills.
    pub boundary: Date,
    /// The run and chunk that issued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_run: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<String>,
    pub status: InvoiceStatus,
    /// Lines, totals and the inputs they came from.
    pub content: InvoiceContent,
    /// Whether it is charged to a payment method automatically.
    pub collectible: bool,
    /// Attempts made so far.
    pub attempts: i32,
    /// The attempt whose outcome is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_attempt: Option<String>,
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<Timestamp>,
    /// Present while it has to be collected and no chunk looks after it.
    #[serde(flatten)]
    pub due: Due,
}
record!(Invoice, "invoices", revised);

/// Open, charged automatically, and either never attempted or with an attempt whose outcome is unknown.
fn uncollected() -> Document {
    doc! {
        "status": "open", "collectible": true,
        "$or": [ { "attempts": 0 }, { "open_attempt": { "$exists": true } } ],
    }
}

impl Store {
    /// Invoices of a chunk that the chunk still has to collect.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn uncollected_of_chunk(
        &self,
        tenant: &str,
        chunk: &str,
        limit: i64,
    ) -> Result<Vec<Invoice>, StoreError> {
        let mut filter = uncollected();
        filter.insert("tenant", tenant);
        filter.insert("chunk", chunk);
        filter.insert("due_at", doc! { "$exists": false });
        Ok(self.collection::<Invoice>().find(filter).sort(doc! { "_id": 1 }).limit(limit).await?.try_collect().await?)
    }

    /// An invoice, if it still has to be collected.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn uncollected(&self, tenant: &str, id: &str) -> Result<Option<Invoice>, StoreError> {
        let mut filter = uncollected();
        filter.insert("tenant", tenant);
        filter.insert("_id", id);
        Ok(self.collection::<Invoice>().find_one(filter).await?)
    }
}
