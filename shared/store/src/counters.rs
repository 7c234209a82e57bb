//! Per-tenant counters; one for invoice numbers.

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

/// Takes `count` invoice numbers inside the caller's transaction and returns the first.
pub(crate) async fn take(
    store: &Store,
    session: &mut ClientSession,
    tenant: &str,
    count: usize,
) -> Result<u64, StoreError> {
    let count = i64::try_from(count).map_err(|_| StoreError::Corrupt("too many invoices in one unit".to_owned()))?;
    let counter = store
        .collection::<Counter>()
        .find_one_and_update(doc! { "_id": tenant }, doc! { "$inc": { "last": count } })
        .upsert(true)
        .return_document(ReturnDocument::After)
        .session(session)
        .await
        .map_err(first_number)?
        .ok_or_else(|| StoreError::Corrupt("an upsert returned no counter".to_owned()))?;
    u64::try_from(counter.last - count + 1).map_err(|_| StoreError::Corrupt(format!("counter of {tenant} is negative")))
}

/// Two transactions at once may both insert a tenant's counter: for the one that comes second that is a conflict.
fn first_number(error: mongodb::error::Error) -> StoreError {
    match error.into() {
        StoreError::Duplicate(text) => StoreError::Conflict(text),
        other => other,
    }
}
