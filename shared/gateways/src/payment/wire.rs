//! Stripe's shapes and what they mean. Owns the form fields of a charge and the reading of payment
//! intents and errors; knows nothing of HTTP beyond the status.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::charge::{ChargeOutcome, ChargeRequest};
use super::error::PaymentError;

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

/// The part of a payment intent that we read.
#[derive(Debug, Deserialize)]
pub(super) struct PaymentIntent {
    pub(super) id: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
    last_payment_error: Option<GatewayError>,
}

/// One page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct IntentList {
    pub(super) data: Vec<PaymentIntent>,
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
                message: "The customer has to confirm this payment.".to_owned(),
            }),
            "requires_payment_method" | "canceled" => {
                let refusal = self
                    .last_payment_error
                    .unwrap_or_else(|| GatewayError { code: Some(self.status), ..GatewayError::empty() });
                Ok(refusal.outcome(Some(self.id)))
            }
            undecided => Err(PaymentError::unknown(format!("payment {} is still {undecided}", self.id))),
        }
    }
}

impl GatewayError {
    fn empty() -> Self {
        Self { kind: None, code: None, decline_code: None, message: None, payment_intent: None }
    }

    fn outcome(self, payment_id: Option<String>) -> ChargeOutcome {
        let message = self.message.unwrap_or_else(|| "The payment was refused.".to_owned());
        let code = self.code.unwrap_or_else(|| UNNAMED.to_owned());
        if code == AUTHENTICATION_REQUIRED {
            return ChargeOutcome::RequiresAction { payment_id, message };
        }
        ChargeOutcome::Declined { payment_id, code, decline_code: self.decline_code, message }
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
        let ChargeOutcome::Declined { code, .. } = intent(text).outcome().unwrap() else {
            panic!("not a decline");
        };
        assert_eq!(code, "canceled");
    }

    #[test]
    fn a_page_of_a_proxy_is_not_the_gateways_refusal() {
        let answer = refusal(403, b"<html>Forbidden</html>");
        assert!(matches!(answer, Err(PaymentError::Unknown { .. })));
    }
}
