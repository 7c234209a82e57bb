//! Credit notes: how issued invoices were corrected. Never changed once issued.
//!
//! **Invariant:** a note is inserted in the transaction that counts it on its invoice, compared on the invoice's revision, so
//! that notes at once never credit more than there is.

use bson::doc;
use domain::{CreditNote, CreditOutcome, Currency, Settlement};
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, instant, record::record};

/// An issued credit note.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreditNoteRecord {
    /// `cn_...`
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    /// Gap-free per tenant; taken when the note is inserted.
    #[serde(default)]
    pub number: String,
    pub invoice: String,
    pub customer: String,
    pub currency: Currency,
    pub reason: String,
    /// When it was issued, on the tenant's clock.
    #[serde(with = "instant")]
    pub issued_at: Timestamp,
    /// Where the money was to go that the invoice did not need any more.
    pub outcome: CreditOutcome,
    /// What it credits.
    pub note: CreditNote,
    /// Where the money went.
    pub settlement: Settlement,
}
record!(CreditNoteRecord, "credit_notes", revised);

impl Store {
    /// The credit notes of an invoice, oldest first.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn credit_notes_of(&self, tenant: &str, invoice: &str) -> Result<Vec<CreditNoteRecord>, StoreError> {
        let found = self
            .collection::<CreditNoteRecord>()
            .find(doc! { "tenant": tenant, "invoice": invoice })
            // By number: notes of one instant are in the order in which they were counted.
            .sort(doc! { "created": 1, "number": 1 })
            .await?;
        Ok(found.try_collect().await?)
    }
}
