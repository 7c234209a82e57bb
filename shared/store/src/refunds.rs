//! Refunds: money on its way back, stored before the gateway hears of it.
//!
//! **Invariant:** what is refunded of a payment is counted on its attempt in the transaction that stores the refund, compared
//! on the attempt's revision: refunds at once never give back more than was taken.

use domain::Money;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Due, instant, record::record};

/// One refund of a payment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refund {
    /// `re_...`; also the gateway's idempotency key, for ever.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    /// The attempt whose money goes back.
    pub payment: String,
    pub invoice: String,
    pub customer: String,
    pub amount: Money,
    pub reason: String,
    pub state: RefundState,
    /// The gateway's id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_refund: Option<String>,
    /// Why no money went back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_code: Option<String>,
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// Present until it is settled.
    #[serde(flatten)]
    pub due: Due,
}
record!(Refund, "refunds", revised);

/// How far a refund is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Asked for, or about to be; the gateway has not said how it ends.
    Pending,
    Succeeded,
    /// No money went back.
    Failed,
}

impl RefundState {
    /// Its wire name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}
