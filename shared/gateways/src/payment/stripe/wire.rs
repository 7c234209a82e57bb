//! Stripe's shapes and what they mean. Owns the form fields of charges and refunds and the reading of payment
//! intents, refunds and errors; knows nothing of HTTP beyond the status.

use std::collections::BTreeMap;

use domain::{Advice, Decline};
use jiff::Timestamp;
use serde::Deserialize;

use super::webhook::GatewaySubject;
use crate::payment::charge::{Amount, ChargeOutcome, ChargeRequest};
use crate::payment::error::PaymentError;
use crate::payment::port::{GatewayPayment, RefundOutcome, RefundRequest};

/// Stripe's code for a charge that only the customer can complete.
const AUTHENTICATION_REQUIRED: &str = "authentication_required";
/// What we call a refusal that the gateway gives no code for.
const UNNAMED: &str = "unspecified";

/// The form fields of a charge.
///
/// **Invariant:** the same request gives the same bytes, in every version of this program: a field
/// added or renamed here breaks the repeat of attempts that are under way during a deployment.
pub(super) fn form_fields(request: &ChargeRequest) -> Vec<(&'static str, String)> {
    vec![
        ("amount", request.amount.minor.to_string()),
        ("currency", request.amount.currency.clone()),
        ("customer", request.customer.clone()),
        ("payment_method", request.payment_token.clone()),
        ("payment_method_types[]", "card".to_owned()),
        ("confirm", "true".to_owned()),
        ("off_session", "true".to_owned()),
        ("description", request.description.clone()),
        ("metadata[attempt]", request.attempt.clone()),
        ("metadata[invoice]", request.invoice.clone()),
        ("metadata[tenant]", request.tenant.clone()),
    ]
}

/// The form fields of a refund; the same invariant holds.
pub(super) fn refund_fields(request: &RefundRequest) -> Vec<(&'static str, String)> {
    vec![
        ("payment_intent", request.payment_id.clone()),
        ("amount", request.amount.minor.to_string()),
        ("metadata[refund]", request.refund.clone()),
        ("metadata[tenant]", request.tenant.clone()),
    ]
}

/// Anything that has an id.
#[derive(Debug, Deserialize)]
pub(super) struct Identified {
    pub(super) id: String,
}

/// The part of a payment intent that we read.
#[derive(Debug, Deserialize)]
pub(super) struct PaymentIntent {
    pub(super) id: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
    customer: Option<String>,
    /// Seconds since the epoch.
    #[serde(default)]
    created: i64,
    last_payment_error: Option<GatewayError>,
    next_action: Option<NextAction>,
}

#[derive(Debug, Deserialize)]
struct NextAction {
    redirect_to_url: Option<RedirectToUrl>,
}

#[derive(Debug, Deserialize)]
struct RedirectToUrl {
    url: Option<String>,
}

/// The part of a refund that we read.
#[derive(Debug, Deserialize)]
pub(super) struct Refund {
    id: String,
    amount: i64,
    currency: String,
    status: Option<String>,
    failure_reason: Option<String>,
    payment_intent: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// One page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    pub(super) has_more: bool,
}

#[derive(Debug, Deserialize)]
struct Envelope {
    error: GatewayError,
}

/// The part of an error that we read.
#[derive(Debug, Deserialize)]
struct GatewayError {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    decline_code: Option<String>,
    advice_code: Option<String>,
    message: Option<String>,
    payment_intent: Option<IntentReference>,
}

#[derive(Debug, Deserialize)]
struct IntentReference {
    id: String,
}

impl PaymentIntent {
    /// Whether this is the attempt of that id.
    pub(super) fn is_attempt(&self, attempt: &str) -> bool {
        self.metadata.get("attempt").is_some_and(|id| id == attempt)
    }

    /// Whether this is the payment that was asked for; an answer to something else proves nothing.
    pub(super) fn fits(&self, request: &ChargeRequest) -> bool {
        self.is_attempt(&request.attempt)
            && self.amount == request.amount.minor
            && self.currency == request.amount.currency
    }

    /// What became of it.
    ///
    /// # Errors
    /// [`PaymentError::Unknown`] while the gateway itself has not decided.
    pub(super) fn outcome(self) -> Result<ChargeOutcome, PaymentError> {
        match self.status.as_str() {
            "succeeded" => Ok(ChargeOutcome::Succeeded { payment_id: self.id }),
            "requires_action" => Ok(ChargeOutcome::RequiresAction {
                payment_id: Some(self.id),
                action_url: self.next_action.and_then(|action| action.redirect_to_url?.url),
                message: "The customer has to confirm this payment.".to_owned(),
            }),
            "requires_payment_method" => {
                let refusal = self.last_payment_error.unwrap_or_else(|| GatewayError::coded(&self.status));
                Ok(refusal.outcome(Some(self.id)))
            }
            // Whatever it has waited for: nobody can complete it any more.
            "canceled" => {
                let refusal = self.last_payment_error.unwrap_or_else(|| GatewayError::coded(&self.status));
                Ok(refusal.declined(Some(self.id)))
            }
            undecided => Err(PaymentError::unknown(format!("payment {} is still {undecided}", self.id))),
        }
    }

    /// The payment as anybody else may know it.
    pub(super) fn into_payment(self) -> GatewayPayment {
        let own = |key: &str| self.metadata.get(key).filter(|value| !value.is_empty()).cloned();
        GatewayPayment {
            payment_id: self.id.clone(),
            attempt: own("attempt"),
            tenant: own("tenant"),
            customer: self.customer.clone(),
            amount: Amount { minor: self.amount, currency: self.currency.clone() },
            created: Timestamp::from_second(self.created).unwrap_or(Timestamp::UNIX_EPOCH),
            outcome: self.outcome().ok(),
        }
    }
}

impl Refund {
    /// Whether this is the refund of that id.
    pub(super) fn is_refund(&self, request: &RefundRequest) -> bool {
        self.metadata.get("refund") == Some(&request.refund)
    }

    /// Whether this is the refund that was asked for.
    pub(super) fn fits(&self, request: &RefundRequest) -> bool {
        self.is_refund(request) && self.amount == request.amount.minor && self.currency == request.amount.currency
    }

    /// The refund as an event tells of it.
    pub(super) fn into_subject(self) -> GatewaySubject {
        let own = |key: &str| self.metadata.get(key).filter(|value| !value.is_empty()).cloned();
        GatewaySubject::Refund {
            refund: own("refund"),
            tenant: own("tenant"),
            payment_id: self.payment_intent.clone(),
            amount: Amount { minor: self.amount, currency: self.currency.clone() },
            outcome: self.outcome(),
        }
    }

    /// What became of it.
    pub(super) fn outcome(self) -> RefundOutcome {
        match self.status.as_deref() {
            Some("succeeded") => RefundOutcome::Succeeded { refund_id: self.id },
            Some("failed" | "canceled") => RefundOutcome::Failed {
                refund_id: Some(self.id),
                code: self.failure_reason.unwrap_or_else(|| UNNAMED.to_owned()),
                message: "The refund failed.".to_owned(),
            },
            // `pending`, `requires_action`, or one that is new: it is under way.
            _ => RefundOutcome::Pending { refund_id: self.id },
        }
    }
}

impl GatewayError {
    /// For a payment that says no more than its status.
    fn coded(code: &str) -> Self {
        let code = Some(code.to_owned());
        Self { kind: None, code, decline_code: None, advice_code: None, message: None, payment_intent: None }
    }

    fn decline(&self) -> Decline {
        Decline {
            code: self.code.clone().unwrap_or_else(|| UNNAMED.to_owned()),
            decline_code: self.decline_code.clone(),
            advice: self.advice_code.as_deref().and_then(Advice::named),
            not_before: None,
        }
    }

    fn outcome(self, payment_id: Option<String>) -> ChargeOutcome {
        match self.declined(payment_id) {
            ChargeOutcome::Declined { payment_id, decline, message } if decline.code == AUTHENTICATION_REQUIRED => {
                ChargeOutcome::RequiresAction { payment_id, action_url: None, message }
            }
            declined => declined,
        }
    }

    fn declined(self, payment_id: Option<String>) -> ChargeOutcome {
        let decline = self.decline();
        let message = self.message.unwrap_or_else(|| "The payment was refused.".to_owned());
        ChargeOutcome::Declined { payment_id, decline, message }
    }
}

/// What a 4xx means that is neither 409 nor 429.
///
/// # Errors
/// [`PaymentError::Rejected`] unless a card was refused; [`PaymentError::Unknown`] when it is not
/// an answer of the gateway at all (a proxy's page).
pub(super) fn refusal(status: u16, body: &[u8]) -> Result<ChargeOutcome, PaymentError> {
    let Ok(Envelope { error }) = serde_json::from_slice::<Envelope>(body) else {
        let detail = format!("status {status} without the gateway's error object");
        return Err(PaymentError::unknown(detail));
    };
    let kind = error.kind.clone().unwrap_or_default();
    if kind == "card_error" {
        let payment_id = error.payment_intent.as_ref().map(|intent| intent.id.clone());
        return Ok(error.outcome(payment_id));
    }
    Err(PaymentError::Rejected { status, code: error.code.unwrap_or(kind), message: error.message.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(text: &str) -> PaymentIntent {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn statuses_that_are_not_final_prove_nothing() {
        for status in ["processing", "requires_confirmation", "requires_capture", "new one"] {
            let text =
                format!(r#"{{"id":"pi_1","amount":1,"currency":"usd","status":"{status}","last_payment_error":null}}"#);
            let outcome = intent(&text).outcome();
            assert!(matches!(outcome, Err(PaymentError::Unknown { .. })), "{status}");
        }
    }

    #[test]
    fn a_cancelled_payment_is_a_decline_that_says_so() {
        let text = r#"{"id":"pi_1","amount":1,"currency":"usd","status":"canceled"}"#;
        let ChargeOutcome::Declined { decline, .. } = intent(text).outcome().unwrap() else {
            panic!("not a decline");
        };
        assert_eq!(decline.code, "canceled");
    }

    #[test]
    fn a_page_of_a_proxy_is_not_the_gateways_refusal() {
        let answer = refusal(403, b"<html>Forbidden</html>");
        assert!(matches!(answer, Err(PaymentError::Unknown { .. })));
    }
}
