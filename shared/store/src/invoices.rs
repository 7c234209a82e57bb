//! Invoices: the issued document with its frozen content, and how far it has been collected.
//!
//! **Invariant:** `content` never changes once the invoice is not a draft any more; only the collection's progress does.
//! **Invariant:** attempt n+1 exists only through a compare-and-set on `{ open_attempt: none, attempts: n }`.

use bson::{Document, doc};
use domain::{InvoiceContent, InvoiceStatus, LateCharges, Money, Subscription};
use futures::TryStreamExt;
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{Collection, Due, Store, StoreError, instant, record::record};

/// An issued invoice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invoice {
    /// `inv_` + boundary + reason + subscription (or an id of its own).
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    /// Gap-free per tenant; taken when the invoice is inserted or finalised, so a draft has none.
    #[serde(default)]
    pub number: String,
    pub customer: String,
    /// None for a one-off invoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
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
    /// What credit notes have given back of it.
    #[serde(default)]
    pub credited_by_notes_minor: i64,
    /// The part of that which went off the open amount.
    #[serde(default)]
    pub offset_by_notes_minor: i64,
    /// What payments have paid of it.
    #[serde(default)]
    pub paid_minor: i64,
    /// Present from its first failed payment on, until it is paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dunning: Option<InvoiceDunning>,
    /// How it is collected.
    #[serde(default)]
    pub collection: Collection,
    /// Until when it is to be paid; absent while it is a draft.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub payable_until: Option<Timestamp>,
    /// Whether it is charged to a payment method automatically.
    pub collectible: bool,
    /// Attempts made so far.
    pub attempts: i32,
    /// The attempt whose outcome is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_attempt: Option<String>,
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<Timestamp>,
    /// How to bill a draft again, with the usage that is known by then; none where no usage is billed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<DraftRecipe>,
    /// Present while it has to be collected and no chunk looks after it; for a draft, when it is to be finalised; in dunning,
    /// when the next step is.
    #[serde(flatten)]
    pub due: Due,
}
record!(Invoice, "invoices", revised);

/// How far dunning has come with an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceDunning {
    /// On the tenant's clock.
    #[serde(with = "instant")]
    pub first_failed_at: Timestamp,
    pub waits_for: DunningWait,
}

/// What dunning waits for; until when is the invoice's `due_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DunningWait {
    /// The next attempt.
    Retry,
    /// Another payment method, or the last day.
    PaymentMethod,
    /// The policy's outcome is to be applied.
    End,
    /// Nothing: it is over, and the invoice stays open.
    Nothing,
}

/// What a draft is billed again from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DraftRecipe {
    /// The subscription as it was before its boundary.
    pub before: Subscription,
    /// What came late for earlier periods by then.
    pub late: LateCharges,
    /// What the boundary closed.
    pub closing: String,
}

impl Invoice {
    /// What is still to be paid; nothing unless it is open.
    #[must_use]
    pub fn amount_open(&self) -> Money {
        let open_minor = match self.status {
            // Neither notes nor payments take more than what is open, so the difference is between zero and the amount due.
            InvoiceStatus::Open => self.content.amount_due_minor - self.offset_by_notes_minor - self.paid_minor,
            _ => 0,
        };
        Money::new(open_minor, self.content.currency)
    }
}

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

    /// A customer's invoices that are drafts or open.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn unsettled_invoices(
        &self,
        (tenant, customer): (&str, &str),
        limit: i64,
    ) -> Result<Vec<Invoice>, StoreError> {
        let filter = doc! { "tenant": tenant, "customer": customer, "status": { "$in": ["draft", "open"] } };
        Ok(self
            .collection::<Invoice>()
            .find(filter)
            .sort(doc! { "created": -1 })
            .limit(limit)
            .await?
            .try_collect()
            .await?)
    }

    /// Whether another open invoice of a subscription has a payment that failed.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn has_failed_invoices(
        &self,
        (tenant, subscription): (&str, &str),
        except: &str,
    ) -> Result<bool, StoreError> {
        let filter = doc! {
            "tenant": tenant, "subscription": subscription, "status": "open", "dunning": { "$exists": true },
            "_id": { "$ne": except },
        };
        Ok(self.collection::<Invoice>().find_one(filter).await?.is_some())
    }

    /// Open invoices of a customer that wait for a payment method, oldest first.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn awaiting_payment_method(
        &self,
        (tenant, customer): (&str, &str),
        limit: i64,
    ) -> Result<Vec<Invoice>, StoreError> {
        let never_collectible = doc! { "attempts": 0, "collectible": false };
        let filter = doc! {
            "tenant": tenant, "customer": customer, "status": "open",
            "$or": [ { "dunning": { "$exists": true } }, never_collectible ],
        };
        Ok(self
            .collection::<Invoice>()
            .find(filter)
            .sort(doc! { "created": 1, "_id": 1 })
            .limit(limit)
            .await?
            .try_collect()
            .await?)
    }

    /// Drafts of a subscription that wait for somebody to finalise them, oldest first.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn held_drafts(
        &self,
        (tenant, subscription): (&str, &str),
        limit: i64,
    ) -> Result<Vec<Invoice>, StoreError> {
        let filter = doc! {
            "tenant": tenant, "subscription": subscription, "status": "draft", "due_at": { "$exists": false },
        };
        Ok(self
            .collection::<Invoice>()
            .find(filter)
            .sort(doc! { "created": 1, "_id": 1 })
            .limit(limit)
            .await?
            .try_collect()
            .await?)
    }
}
