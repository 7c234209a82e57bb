//! What is asked of the gateway and what came of it. Values only.

use domain::Decline;
use serde::{Deserialize, Serialize};

/// Everything a charge is made of, frozen when the attempt is stored: repeating the attempt sends
/// the same bytes, because the gateway refuses an idempotency key with other parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeRequest {
    /// The payment attempt's id: the gateway's idempotency key and `metadata[attempt]`.
    pub attempt: String,
    /// What is to be paid; at least one minor unit.
    pub amount: Amount,
    /// The customer as the gateway knows it.
    pub customer: String,
    /// The token of the payment method (`pm_...`).
    pub payment_token: String,
    /// The invoice that is paid, for the gateway's records.
    pub invoice: String,
    /// The tenant it belongs to, for the gateway's records.
    pub tenant: String,
    /// What the customer reads about it at the gateway.
    pub description: String,
}

/// An amount of money on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// In minor units of the currency.
    pub minor: i64,
    /// Lower-case ISO 4217 code.
    pub currency: String,
}

/// What became of a charge that the gateway has decided. A decline is a value: what follows from
/// it is for dunning to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum ChargeOutcome {
    /// The money was taken.
    Succeeded {
        /// The gateway's id of the payment.
        payment_id: String,
    },
    /// The payment method was refused; no money moved.
    Declined {
        /// The gateway's id of the refused payment, if it keeps one.
        payment_id: Option<String>,
        /// Why, and what the gateway advises.
        decline: Decline,
        /// The gateway's words, fit for the customer.
        message: String,
    },
    /// The customer must take part (3-D Secure); no money moved.
    RequiresAction {
        /// The gateway's id of the waiting payment, if it keeps one.
        payment_id: Option<String>,
        /// Where the customer confirms it, if the gateway has a page for that.
        action_url: Option<String>,
        /// The gateway's words, fit for the customer.
        message: String,
    },
}
