//! How customers and their payment methods are called at the gateway.
//!
//! **Invariant:** a token is given its name once and keeps it for ever, so that an attempt that names the token is the same
//! request however often it is repeated.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{instant, record::record};

/// Names kept of one customer: more than it ever has payment methods. The oldest go, once their attempts are long over.
pub const MAX_GATEWAY_METHODS: usize = 100;

/// A customer, as the gateway knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GatewayCustomer {
    /// `gwc_` + generation of the account + customer.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    pub customer: String,
    /// The gateway's id of the customer.
    pub known_as: String,
    /// In the order in which they were made known.
    pub methods: Vec<GatewayMethod>,
}
record!(GatewayCustomer, "gateway_customers", revised);

/// A payment method, as the gateway knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayMethod {
    /// As its owner handed it over.
    pub token: String,
    /// The gateway's id of it.
    pub known_as: String,
}

impl GatewayCustomer {
    /// The gateway's id of a token.
    #[must_use]
    pub fn method(&self, token: &str) -> Option<&str> {
        self.methods.iter().find(|method| method.token == token).map(|method| method.known_as.as_str())
    }
}

/// The id under which a customer's names are kept; `generation` is that of the tenant's own account, 0 for the deployment's.
#[must_use]
pub fn gateway_customer_id(customer: &str, generation: i64) -> String {
    format!("gwc_{generation}_{}", crate::ids::body(customer))
}
