//! What gateways have told us: each event once, as it came, kept also when nobody knows what it means.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Due, instant, record::record};

/// One event of a tenant's gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GatewayEventRecord {
    /// `gev_` + tenant + the gateway's id, so that a repeat finds it.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    /// For example `payment_intent.succeeded`.
    pub kind: String,
    /// As it came.
    pub body: String,
    /// What came of it; absent while nobody has looked at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<GatewayEventResult>,
    /// Present until it is processed.
    #[serde(flatten)]
    pub due: Due,
}
record!(GatewayEventRecord, "gateway_events", revised);

/// What came of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatewayEventResult {
    /// It was settled, or was known already.
    Settled,
    /// It is about nothing of ours, or of a kind that nobody knows.
    Ignored,
    /// It contradicts our records: a person has to look.
    Contradicts,
}

/// The id under which an event is kept.
#[must_use]
pub fn gateway_event_id(tenant: &str, event: &str) -> String {
    format!("gev_{}_{event}", crate::ids::body(tenant))
}
