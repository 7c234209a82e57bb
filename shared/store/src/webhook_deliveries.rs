//! Webhook deliveries: one event on its way to one endpoint, with the log of its attempts.
//!
//! **Invariant:** the body never changes, so every attempt says the same under the same `webhook-id`, the delivery's own id.

use bson::{Bson, doc};
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Due, Store, StoreError, instant, record::record};

/// Attempts that are kept: those of three rounds.
const MAX_ATTEMPTS_KEPT: usize = 30;

/// A delivery. Due (by the wall) while it is pending, at its next attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebhookDelivery {
    /// `whd_` + endpoint + event.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    pub endpoint: String,
    /// Id of the event; none for a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    pub event_type: String,
    /// JSON; these bytes are signed and sent.
    pub body: String,
    pub state: DeliveryState,
    /// Attempts made since it was last asked for.
    pub tries: i32,
    /// The newest last.
    pub attempts: Vec<DeliveryAttempt>,
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// TTL index; absent while it is pending.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(flatten)]
    pub due: Due,
}
record!(WebhookDelivery, "webhook_deliveries", revised);

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    Pending,
    /// The endpoint has taken it.
    Delivered,
    /// Every attempt failed.
    Dead,
    /// Its endpoint is disabled, gone or deleted.
    Cancelled,
}

impl DeliveryState {
    /// Its name, stored and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One attempt and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryAttempt {
    #[serde(with = "instant")]
    pub at: Timestamp,
    /// HTTP status, if there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// The beginning of the answer, or why there is none.
    pub detail: String,
    pub took_ms: i64,
}

impl WebhookDelivery {
    /// Adds an attempt to the log.
    pub fn log(&mut self, attempt: DeliveryAttempt) {
        self.tries += 1;
        self.attempts.push(attempt);
        let surplus = self.attempts.len().saturating_sub(MAX_ATTEMPTS_KEPT);
        self.attempts.drain(..surplus);
    }

    /// Sends it again from the beginning.
    pub fn replay(&mut self, wall: Timestamp) {
        self.state = DeliveryState::Pending;
        self.tries = 0;
        self.expires_at = None;
        self.due = Due::at(wall);
    }
}

/// Which deliveries are replayed: all that were made in a half-open range of time and are not pending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayScope {
    pub endpoint: String,
    #[serde(with = "instant")]
    pub from: Timestamp,
    #[serde(with = "instant")]
    pub until: Timestamp,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeliveryState>,
}

impl ReplayScope {
    fn filter(&self, tenant: &str) -> bson::Document {
        let state: Bson = match self.state {
            Some(state) => state.as_str().into(),
            None => doc! { "$ne": DeliveryState::Pending.as_str() }.into(),
        };
        doc! {
            "tenant": tenant, "endpoint": &self.endpoint, "state": state,
            "created": { "$gte": self.from, "$lt": self.until },
        }
    }
}

impl Store {
    /// How many deliveries a scope has now.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn count_replayable(&self, tenant: &str, scope: &ReplayScope) -> Result<i64, StoreError> {
        let count = self.collection::<WebhookDelivery>().count_documents(scope.filter(tenant)).await?;
        i64::try_from(count).map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    /// Deliveries of a scope in id order after `after`, at most `limit`.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn replayable(
        &self,
        (tenant, scope): (&str, &ReplayScope),
        after: &str,
        limit: i64,
    ) -> Result<Vec<WebhookDelivery>, StoreError> {
        let mut filter = scope.filter(tenant);
        filter.insert("_id", doc! { "$gt": after });
        Ok(self
            .collection::<WebhookDelivery>()
            .find(filter)
            .sort(doc! { "_id": 1 })
            .limit(limit)
            .await?
            .try_collect()
            .await?)
    }
}
