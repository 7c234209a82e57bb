//! Domain events, recorded in the transaction of the change that caused them.

use bson::doc;
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Due, Store, StoreError, due::due_filter, instant, record::record};

/// Something that happened, past tense. Due until it has been dispatched.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// `evt_` + subject + revision + type.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    #[serde(with = "instant")]
    pub created: Timestamp,
    /// For example `invoice.generated`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Id of the object it is about.
    pub subject: String,
    /// The object's revision after it.
    pub revision: i64,
    /// Ids of all objects that it is about, the subject first.
    pub related: Vec<String>,
    /// The facts a listener needs to decide whether to look closer.
    pub data: Value,
    /// Request that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(flatten)]
    pub due: Due,
}
record!(Event, "events");

impl Store {
    /// Events of a tenant that wait to be dispatched, oldest first.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn undispatched_events(
        &self,
        tenant: &str,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Event>, StoreError> {
        let mut filter = due_filter(None, now);
        filter.insert("tenant", tenant);
        Ok(self
            .collection::<Event>()
            .find(filter)
            .sort(doc! { "due_at": 1, "_id": 1 })
            .limit(limit)
            .await?
            .try_collect()
            .await?)
    }

    /// Marks events as dispatched; repeating it changes nothing.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn events_dispatched(&self, tenant: &str, ids: &[String]) -> Result<(), StoreError> {
        self.collection::<Event>()
            .update_many(doc! { "_id": { "$in": ids }, "tenant": tenant }, doc! { "$unset": { "due_at": "" } })
            .await?;
        Ok(())
    }
}
