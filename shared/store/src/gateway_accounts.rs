//! A tenant's own account at the payment gateway; whoever has none is charged through the deployment's.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{instant, record::record};

/// A secret as it is stored; never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoredSecret(String);

impl StoredSecret {
    /// Keeps a secret.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret itself, for whoever has to send it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its last four characters, by which its owner knows it again; none of a short one.
    #[must_use]
    pub fn last_four(&self) -> String {
        let chars: Vec<char> = self.0.chars().collect();
        // Of less than twelve characters four would tell too much.
        if chars.len() < 12 { String::new() } else { chars[chars.len() - 4..].iter().collect() }
    }
}

impl fmt::Debug for StoredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// How a tenant is known at its gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GatewayAccount {
    /// `gwa_` + tenant.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    /// Grows when the account becomes another one: customers are known under other names there.
    pub generation: i64,
    /// Where the gateway is; the deployment's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Opens the account; absent while only webhooks are set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<StoredSecret>,
    /// Any of these signs what the gateway tells us: two while one is rotated.
    #[serde(default)]
    pub webhook_secrets: Vec<StoredSecret>,
    /// Where a customer goes after it has confirmed a payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
}
record!(GatewayAccount, "gateway_accounts", revised);

/// The id of a tenant's account.
#[must_use]
pub fn gateway_account_id(tenant: &str) -> String {
    format!("gwa_{}", crate::ids::body(tenant))
}
