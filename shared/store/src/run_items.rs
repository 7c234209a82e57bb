//! The items of a billing run: the invoices that it issued, by what became of them, and what failed in it.

use bson::doc;
use domain::InvoiceStatus;
use futures::TryStreamExt;

use crate::{FailedItem, Invoice, ListFilter, Page, PageRequest, Store, StoreError, chunks::Chunk};

/// What became of an invoice of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemState {
    Draft,
    /// Nothing was tried yet, or the outcome is not known.
    Open,
    /// Its payment was declined.
    PaymentFailed,
    Paid,
    Void,
    Uncollectible,
}

impl ItemState {
    /// Of an invoice.
    #[must_use]
    pub fn of(invoice: &Invoice) -> Self {
        match invoice.status {
            InvoiceStatus::Draft => Self::Draft,
            InvoiceStatus::Open if invoice.attempts > 0 && invoice.open_attempt.is_none() => Self::PaymentFailed,
            InvoiceStatus::Open => Self::Open,
            InvoiceStatus::Paid => Self::Paid,
            InvoiceStatus::Void => Self::Void,
            InvoiceStatus::Uncollectible => Self::Uncollectible,
        }
    }

    /// Its wire name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PaymentFailed => "payment_failed",
            Self::Draft => InvoiceStatus::Draft.as_str(),
            Self::Open => InvoiceStatus::Open.as_str(),
            Self::Paid => InvoiceStatus::Paid.as_str(),
            Self::Void => InvoiceStatus::Void.as_str(),
            Self::Uncollectible => InvoiceStatus::Uncollectible.as_str(),
        }
    }
}

impl ListFilter {
    /// Only invoices of which this became, if it is given.
    #[must_use]
    pub fn item_state(mut self, state: Option<ItemState>) -> Self {
        let Some(state) = state else { return self };
        let status = if state == ItemState::PaymentFailed { ItemState::Open } else { state };
        self.wanted.insert("status", status.as_str());
        let declined = doc! { "attempts": { "$gt": 0 }, "open_attempt": { "$exists": false } };
        match state {
            ItemState::PaymentFailed => self.wanted.extend(declined),
            ItemState::Open => drop(self.wanted.insert("$nor", [declined])),
            ItemState::Draft | ItemState::Paid | ItemState::Void | ItemState::Uncollectible => {}
        }
        self
    }
}

impl Store {
    /// What failed in a run, in the order of the subscriptions' ids, which are the cursors.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn failed_items(
        &self,
        (tenant, run): (&str, &str),
        request: &PageRequest,
    ) -> Result<Page<FailedItem>, StoreError> {
        let backwards = request.ending_before.is_some();
        let cursor = match (&request.starting_after, &request.ending_before) {
            (Some(after), _) => doc! { "$gt": after },
            (None, Some(before)) => doc! { "$lt": before },
            (None, None) => doc! { "$exists": true },
        };
        let pipeline = [
            doc! { "$match": { "tenant": tenant, "run": run, "failed.0": { "$exists": true } } },
            doc! { "$unwind": "$failed" },
            doc! { "$project": {
                "_id": 0, "subscription": "$failed.subscription", "code": "$failed.code", "detail": "$failed.detail",
            } },
            doc! { "$match": { "subscription": cursor } },
            doc! { "$sort": { "subscription": if backwards { -1 } else { 1 } } },
            doc! { "$limit": request.limit + 1 },
        ];
        let mut data: Vec<FailedItem> =
            self.collection::<Chunk>().aggregate(pipeline).with_type().await?.try_collect().await?;
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let has_more = data.len() > limit;
        data.truncate(limit);
        if backwards {
            data.reverse();
        }
        Ok(Page { data, has_more })
    }
}
