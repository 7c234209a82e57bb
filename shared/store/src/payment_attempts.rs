//! Payment attempts: stored before the gateway is called, closed when its answer is known.
//!
//! **Invariant:** the id is the gateway's idempotency key and `request` is frozen with it, so a repeat is the same request.

use bson::doc;
use domain::{Decline, Money};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, instant, record::record};

/// One attempt to collect an invoice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PaymentAttempt {
    /// `pay_` + invoice + number.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    pub invoice: String,
    pub customer: String,
    /// From 1.
    pub number: i32,
    pub amount: Money,
    pub gateway: AttemptGateway,
    /// The token that is charged, or the reference of a payment that was recorded.
    pub payment_method: String,
    pub state: AttemptState,
    /// Wall-clock instant of the first call; the gateway may forget the key some time after it.
    #[serde(with = "instant")]
    pub first_sent_at: Timestamp,
    /// The gateway's id of the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_payment: Option<String>,
    /// Where its customer confirms it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_url: Option<String>,
    /// The part of it that the invoice did not need, which went to the customer's balance.
    #[serde(default)]
    pub overpaid_minor: i64,
    /// What goes back of it, or is back: the sum of its refunds that have not failed.
    #[serde(default)]
    pub refunded_minor: i64,
    /// The customer's bank has called it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispute: Option<Dispute>,
    /// Why it was declined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<AttemptFailure>,
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
}
record!(PaymentAttempt, "payment_attempts", revised);

/// Who moves an attempt's money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptGateway {
    /// The tenant's gateway, over the wire.
    Online,
    /// Its sender, by itself: somebody has recorded that it arrived.
    Manual,
}

/// A payment that the customer's bank has called back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// The gateway's id of it.
    pub id: String,
    pub amount_minor: i64,
    /// Why, in the gateway's word.
    pub reason: String,
    pub state: DisputeState,
}

/// Where a dispute stands; it only moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeState {
    NeedsResponse,
    UnderReview,
    Won,
    Lost,
}

/// Why an attempt was declined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptFailure {
    pub decline: Decline,
    /// The gateway's words, fit for the customer.
    pub message: String,
}

impl PaymentAttempt {
    /// Why it was declined, in the bank's word or else the gateway's.
    #[must_use]
    pub fn failure_code(&self) -> Option<&str> {
        let decline = &self.failure.as_ref()?.decline;
        Some(decline.decline_code.as_deref().unwrap_or(&decline.code))
    }
}

/// How far an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    /// Sent, or about to be; the outcome is not known.
    Pending,
    /// The customer has to confirm it; no money moved so far.
    RequiresAction,
    /// The gateway has charged.
    Succeeded,
    /// The gateway has declined, or certainly never executed it.
    Failed,
}

impl Store {
    /// The attempt that the gateway knows by this id.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn attempt_of_gateway_payment(
        &self,
        tenant: &str,
        payment: &str,
    ) -> Result<Option<PaymentAttempt>, StoreError> {
        let filter = doc! { "tenant": tenant, "gateway_payment": payment };
        Ok(self.collection::<PaymentAttempt>().find_one(filter).await?)
    }
}
