//! What the gateway keeps, as Stripe shows it. Times are seconds since the epoch on the gateway's clock, amounts are minor
//! units of the lower-case currency.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub(crate) type Metadata = BTreeMap<String, String>;

/// An id that nobody can guess, as Stripe makes them.
pub(crate) fn new_id(prefix: &str) -> String {
    format!("{prefix}{}", Uuid::new_v4().simple())
}

/// Somebody who pays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) object: String,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) created: i64,
    pub(crate) livemode: bool,
}

/// What a customer pays with. It exists once it is attached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PaymentMethod {
    pub(crate) id: String,
    pub(crate) object: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) customer: String,
    /// The token it was made from, which says how it behaves.
    pub(crate) sandbox_token: String,
    pub(crate) metadata: Metadata,
    pub(crate) created: i64,
    pub(crate) livemode: bool,
}

/// A charge, from the wish to what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PaymentIntent {
    pub(crate) id: String,
    pub(crate) object: String,
    pub(crate) amount: i64,
    pub(crate) amount_received: i64,
    pub(crate) currency: String,
    pub(crate) customer: String,
    pub(crate) payment_method: Option<String>,
    pub(crate) status: IntentStatus,
    pub(crate) latest_charge: Option<String>,
    pub(crate) last_payment_error: Option<PaymentFailure>,
    /// Where the customer confirms it.
    pub(crate) next_action: Option<NextAction>,
    pub(crate) description: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) created: i64,
    pub(crate) livemode: bool,
}

/// Where an intent stands. A refused off-session charge waits for another payment method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IntentStatus {
    Succeeded,
    RequiresPaymentMethod,
    RequiresAction,
    Canceled,
}

impl IntentStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresAction => "requires_action",
            Self::Canceled => "canceled",
        }
    }
}

/// Why the last try of an intent was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PaymentFailure {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) code: String,
    pub(crate) decline_code: String,
    /// What the network advises; absent where it has no advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) advice_code: Option<String>,
    pub(crate) message: String,
}

/// What the customer has to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NextAction {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) redirect_to_url: RedirectToUrl,
}

/// A page of the gateway's, and where the customer goes from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RedirectToUrl {
    pub(crate) url: String,
    pub(crate) return_url: String,
}

/// Money on its way back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) object: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) payment_intent: String,
    pub(crate) charge: Option<String>,
    pub(crate) status: RefundStatus,
    pub(crate) failure_reason: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) created: i64,
}

/// Where a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefundStatus {
    Pending,
    Succeeded,
    Failed,
}

/// A charge that the customer's bank has called back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Dispute {
    pub(crate) id: String,
    pub(crate) object: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) payment_intent: String,
    pub(crate) charge: Option<String>,
    pub(crate) reason: String,
    pub(crate) status: DisputeStatus,
    pub(crate) metadata: Metadata,
    pub(crate) created: i64,
    pub(crate) livemode: bool,
}

/// Where a dispute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DisputeStatus {
    NeedsResponse,
    UnderReview,
    Won,
    Lost,
}

/// Something that happened, with the object as it was then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) object: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) api_version: String,
    pub(crate) created: i64,
    pub(crate) data: EventData,
    pub(crate) livemode: bool,
}

/// The envelope of an event's object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EventData {
    pub(crate) object: Value,
}

/// Whatever an execution has made or changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Object {
    Customer(Customer),
    PaymentMethod(PaymentMethod),
    PaymentIntent(Box<PaymentIntent>),
    Refund(Refund),
    Dispute(Dispute),
}
