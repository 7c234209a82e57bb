//! Webhook endpoints: where a tenant wants to hear of its events.

use std::collections::BTreeMap;

use bson::doc;
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{SecretText, Store, StoreError, instant, record::record};

/// An address with a secret of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebhookEndpoint {
    /// `whe_...`
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it wants to hear of: `invoice.paid`, `invoice.*` or `*`.
    pub events: Vec<String>,
    pub state: EndpointState,
    /// `whsec_...`; signs, and is shown only when it is made.
    pub secret: SecretText,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_secret: Option<PreviousSecret>,
    pub metadata: BTreeMap<String, String>,
}
record!(WebhookEndpoint, "webhook_endpoints", revised);

/// Whether anything is sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    Enabled,
    /// By a person.
    Disabled,
    /// It has answered 410.
    Gone,
}

/// The secret before the present one; it signs as well for a while.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PreviousSecret {
    pub secret: SecretText,
    #[serde(with = "instant")]
    pub until: Timestamp,
}

impl WebhookEndpoint {
    /// Whether it wants to hear of events of this type.
    #[must_use]
    pub fn wants(&self, event_type: &str) -> bool {
        self.events.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => event_type.starts_with(beginning),
            None => pattern == event_type,
        })
    }

    /// The secrets that sign at an instant, the newest first.
    #[must_use]
    pub fn secrets(&self, now: Timestamp) -> Vec<&str> {
        let previous = self.previous_secret.iter().filter(|previous| now < previous.until);
        std::iter::once(&self.secret).chain(previous.map(|previous| &previous.secret)).map(SecretText::expose).collect()
    }
}

impl Store {
    /// A tenant's endpoints; they are few.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn webhook_endpoints(&self, tenant: &str) -> Result<Vec<WebhookEndpoint>, StoreError> {
        Ok(self
            .collection::<WebhookEndpoint>()
            .find(doc! { "tenant": tenant })
            .sort(doc! { "_id": 1 })
            .await?
            .try_collect()
            .await?)
    }
}
