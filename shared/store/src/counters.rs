//! Per-tenant counters: the gap-free numbers of invoices and of credit notes.

use std::fmt;

use bson::doc;
use mongodb::{ClientSession, options::ReturnDocument};
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, record::record};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Counter {
    #[serde(rename = "_id")]
    id: String,
    last: i64,
}
record!(Counter, "counters");

/// What is numbered, each in its own series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Series {
    Invoices,
    CreditNotes,
}

impl Series {
    fn counter(self, tenant: &str) -> String {
        match self {
            Self::Invoices => tenant.to_owned(),
            Self::CreditNotes => format!("{tenant}:credit_notes"),
        }
    }

    /// A number as people read it.
    pub(crate) fn number(self, counter: u64) -> String {
        match self {
            Self::Invoices => domain::invoice_number(counter),
            // As many digits as an invoice's; it grows likewise.
            Self::CreditNotes => format!("CN-{counter:06}"),
        }
    }
}

/// The number that comes next in a series, as long as nobody else takes it; shown as people read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextNumber {
    pub(crate) series: Series,
    pub(crate) counter: u64,
}

impl fmt::Display for NextNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.series.number(self.counter))
    }
}

impl Store {
    /// The number that a tenant's next invoice gets; see [`crate::UnitOfWork::expect_number`].
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn next_invoice_number(&self, tenant: &str) -> Result<NextNumber, StoreError> {
        self.next_number(tenant, Series::Invoices).await
    }

    /// The number that a tenant's next credit note gets.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn next_credit_note_number(&self, tenant: &str) -> Result<NextNumber, StoreError> {
        self.next_number(tenant, Series::CreditNotes).await
    }

    async fn next_number(&self, tenant: &str, series: Series) -> Result<NextNumber, StoreError> {
        let counter = self.collection::<Counter>().find_one(doc! { "_id": series.counter(tenant) }).await?;
        let last = counter.map_or(0, |counter| counter.last);
        let counter = u64::try_from(last).map_err(|_| negative(tenant))?.saturating_add(1);
        Ok(NextNumber { series, counter })
    }
}

fn negative(tenant: &str) -> StoreError {
    StoreError::Corrupt(format!("a counter of {tenant} is negative"))
}

/// Takes `count` numbers of a tenant's series inside the caller's transaction and returns the first.
pub(crate) async fn take(
    store: &Store,
    session: &mut ClientSession,
    (tenant, series): (&str, Series),
    count: usize,
) -> Result<u64, StoreError> {
    let count = i64::try_from(count).map_err(|_| StoreError::Corrupt("too many numbers in one unit".to_owned()))?;
    let counter = store
        .collection::<Counter>()
        .find_one_and_update(doc! { "_id": series.counter(tenant) }, doc! { "$inc": { "last": count } })
        .upsert(true)
        .return_document(ReturnDocument::After)
        .session(session)
        .await
        .map_err(first_number)?
        .ok_or_else(|| StoreError::Corrupt("an upsert returned no counter".to_owned()))?;
    u64::try_from(counter.last - count + 1).map_err(|_| negative(tenant))
}

/// Two transactions at once may both insert a tenant's counter: for the one that comes second that is a conflict.
fn first_number(error: mongodb::error::Error) -> StoreError {
    match error.into() {
        StoreError::Duplicate(text) => StoreError::Conflict(text),
        other => other,
    }
}
