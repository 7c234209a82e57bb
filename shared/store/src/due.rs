//! `due_at`: a document carries it for exactly as long as something remains to be done about it.
//!
//! One partial index per collection on (`due_clock`, `due_at`, `_id`) serves every sweep. `due_clock` names the test clock on which
//! `due_at` is to be read; without it, it is the wall clock. A boundary of a tenant in test mode is due by that tenant's
//! clock; work that should happen as soon as possible is due by the wall.

use bson::{Document, doc};
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Record, Store, StoreError, instant};

/// When something remains to be done, and on which clock that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Due {
    /// The instant from which the document is due; absent when nothing remains to be done.
    #[serde(rename = "due_at", with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The test clock that `at` is read on; absent for the wall clock.
    #[serde(rename = "due_clock", default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
}

impl Due {
    /// Nothing remains to be done, or another document carries it.
    #[must_use]
    pub fn never() -> Self {
        Self::default()
    }

    /// Due by the wall clock.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self { at: Some(at), clock: None }
    }

    /// Due by the tenant's clock: its test clock, or the wall.
    #[must_use]
    pub fn by_clock(at: Timestamp, clock: Option<&str>) -> Self {
        Self { at: Some(at), clock: clock.map(ToOwned::to_owned) }
    }
}

/// Everything due on a clock by an instant.
pub(crate) fn due_filter(clock: Option<&str>, until: Timestamp) -> Document {
    doc! { "due_clock": clock, "due_at": { "$lte": until } }
}

/// What the sweep needs to know of a due document: enough to enqueue the job that looks after it.
#[derive(Clone, Debug, Deserialize)]
pub struct DueRef {
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    #[serde(rename = "due_at", with = "instant")]
    pub at: Timestamp,
}

impl Store {
    /// Documents of a collection that are due by a test clock, oldest first.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn due_on<R: Record>(
        &self,
        (clock, until): (&str, Timestamp),
        limit: i64,
    ) -> Result<Vec<DueRef>, StoreError> {
        Ok(self
            .collection::<R>()
            .clone_with_type()
            .find(due_filter(Some(clock), until))
            .projection(doc! { "tenant": 1, "due_at": 1 })
            .sort(doc! { "due_at": 1, "_id": 1 })
            .limit(limit)
            .await?
            .try_collect()
            .await?)
    }

    /// Documents of a collection that are due by the wall clock, oldest first, after `after`.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn due<R: Record>(
        &self,
        until: Timestamp,
        after: Option<&DueRef>,
        limit: i64,
    ) -> Result<Vec<DueRef>, StoreError> {
        let mut filter = due_filter(None, until);
        if let Some(last) = after {
            // The lower bound lets a page begin in the index where the last one ended.
            filter.insert("due_at", doc! { "$gte": last.at, "$lte": until });
            let later = doc! { "due_at": { "$gt": last.at } };
            let same_instant = doc! { "due_at": last.at, "_id": { "$gt": &last.id } };
            filter.insert("$or", vec![later, same_instant]);
        }
        Ok(self
            .collection::<R>()
            .clone_with_type()
            .find(filter)
            .projection(doc! { "tenant": 1, "due_at": 1 })
            .sort(doc! { "due_at": 1, "_id": 1 })
            .limit(limit)
            .await?
            .try_collect()
            .await?)
    }
}
