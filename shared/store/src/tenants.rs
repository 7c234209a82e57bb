//! Tenants: the companies that bill with us.

use domain::DunningPolicy;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{instant, record::record};

/// A company that bills its customers with Ratchet. New ones are in test mode.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tenant {
    /// `ten_...`
    #[serde(rename = "_id")]
    pub id: String,
    /// Its own id again, so that every document can be asked for by (tenant, id).
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    /// Display name; signs its mails.
    pub name: String,
    /// Whether it bills real money; test-mode tenants may stand on a test clock.
    pub livemode: bool,
    /// The test clock that its time is read on; absent for the wall clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_clock: Option<String>,
    /// The plan (`pln_...` or its key) that a new customer is subscribed to; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_plan: Option<String>,
    /// What follows a declined payment.
    #[serde(default)]
    pub dunning: DunningPolicy,
    /// How its mails look.
    #[serde(default)]
    pub brand: Brand,
    /// Whether it has, or once had, a webhook endpoint: without one, no event is looked at for webhooks.
    #[serde(default)]
    pub has_webhooks: bool,
}
record!(Tenant, "tenants", revised);

/// What a tenant's customers know it by, beside its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brand {
    /// `#rrggbb`; ours if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<String>,
    /// Where customers ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support_email: Option<String>,
}
