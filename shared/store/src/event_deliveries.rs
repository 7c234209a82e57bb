//! Deliveries of events to durable subscribers: one for each event and subscriber that wants it.
//!
//! **Invariant:** a delivery is marked in the transaction of what its subscriber did with the event, so that takes effect
//! once, however often the job runs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Due, Store, StoreError, instant, record::record, usage_events::taken_positions};

/// An event on its way to one subscriber. Due until it is delivered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventDelivery {
    /// `dlv_` + subscriber + event.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    /// Id of the event.
    pub event: String,
    /// Name of the subscriber.
    pub subscriber: String,
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// TTL index; absent until it is delivered.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(flatten)]
    pub due: Due,
}
record!(EventDelivery, "event_deliveries", revised);

impl Store {
    /// Stores deliveries of one tenant; those that are there already, delivered or not, stay as they are.
    ///
    /// # Errors
    /// `Unavailable`; repeating it is safe.
    pub async fn insert_deliveries(&self, deliveries: &[EventDelivery]) -> Result<(), StoreError> {
        if deliveries.is_empty() {
            return Ok(());
        }
        match self.collection::<EventDelivery>().insert_many(deliveries).ordered(false).await {
            Ok(_) => Ok(()),
            Err(error) => taken_positions(error).map(drop),
        }
    }
}
