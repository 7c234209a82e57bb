//! The port in Stripe's words: which calls a wish is made of, each under a key of its own that never changes.

use jiff::Timestamp;

use super::StripeGateway;
use super::wire::{self, Identified, PaymentIntent, Refund};
use crate::payment::charge::{ChargeOutcome, ChargeRequest};
use crate::payment::error::PaymentError;
use crate::payment::port::{Call, Enrolment, Payer, PaymentGateway, PaymentPage, RefundOutcome, RefundRequest, Sought};

/// Stripe's code for something that does not exist: of a payment method it is its owner's fault.
const RESOURCE_MISSING: &str = "resource_missing";
/// Stripe's code for a payment that has moved on.
const UNEXPECTED_STATE: &str = "payment_intent_unexpected_state";

impl PaymentGateway for StripeGateway {
    fn enrol<'a>(&'a self, payer: &'a Payer) -> Call<'a, Enrolment> {
        Box::pin(self.measured("enrol", self.enrolled(payer)))
    }

    fn charge<'a>(&'a self, request: &'a ChargeRequest) -> Call<'a, ChargeOutcome> {
        Box::pin(self.measured("charge", self.charged(request)))
    }

    fn find_charge<'a>(&'a self, sought: &'a Sought) -> Call<'a, Option<ChargeOutcome>> {
        Box::pin(self.measured("find_charge", self.find_attempt(sought)))
    }

    fn give_up<'a>(&'a self, payment_id: &'a str) -> Call<'a, ChargeOutcome> {
        Box::pin(self.measured("give_up", self.given_up(payment_id)))
    }

    fn refund<'a>(&'a self, request: &'a RefundRequest) -> Call<'a, RefundOutcome> {
        Box::pin(self.measured("refund", self.refunded(request)))
    }

    fn find_refund<'a>(&'a self, request: &'a RefundRequest) -> Call<'a, Option<RefundOutcome>> {
        Box::pin(self.measured("find_refund", self.find_own_refund(request)))
    }

    fn payments_since<'a>(&'a self, since: Timestamp, after: Option<&'a str>) -> Call<'a, PaymentPage> {
        Box::pin(self.measured("payments_since", self.page_since(since, after)))
    }
}

impl StripeGateway {
    async fn enrolled(&self, payer: &Payer) -> Result<Enrolment, PaymentError> {
        let customer = match &payer.known_as {
            Some(customer) => customer.clone(),
            None => self.create_customer(payer).await?,
        };
        // Without a key: attaching a method once more changes nothing.
        let attach = self.http.post(self.url(&["payment_methods", &payer.token, "attach"]));
        let answer = self.call(attach.form(&[("customer", &customer)])).await?;
        if answer.is_success() {
            let Identified { id: method } = answer.read()?;
            return Ok(Enrolment::Enrolled { customer, method });
        }
        match answer.refusal() {
            Ok(ChargeOutcome::Declined { decline, message, .. }) => Ok(Enrolment::Refused { decline, message }),
            Ok(_) => Err(PaymentError::unknown("a payment in answer to a payment method")),
            Err(PaymentError::Rejected { code, message, .. }) if code == RESOURCE_MISSING => {
                let decline = domain::Decline { code, ..domain::Decline::default() };
                Ok(Enrolment::Refused { decline, message })
            }
            Err(error) => Err(error),
        }
    }

    /// Nothing about the customer leaves us but our own ids: so the request is the same for ever.
    async fn create_customer(&self, payer: &Payer) -> Result<String, PaymentError> {
        let fields = [("metadata[customer]", &payer.customer), ("metadata[tenant]", &payer.tenant)];
        let answer = self.call(self.post(&["customers"], &payer.customer).form(&fields)).await?;
        if !answer.is_success() {
            return Err(answer.refusal().err().unwrap_or_else(|| PaymentError::unknown("a card error for a customer")));
        }
        let Identified { id } = answer.read()?;
        Ok(id)
    }

    async fn charged(&self, request: &ChargeRequest) -> Result<ChargeOutcome, PaymentError> {
        let call = self.post(&["payment_intents"], &request.attempt).form(&wire::form_fields(request));
        let answer = self.call(call).await?;
        let outcome = if answer.is_success() {
            let intent: PaymentIntent = answer.read()?;
            if !intent.fits(request) {
                return Err(PaymentError::unknown(format!("payment {} is not the one asked for", intent.id)));
            }
            intent.outcome()?
        } else {
            answer.refusal()?
        };
        Ok(match outcome {
            ChargeOutcome::RequiresAction { payment_id: Some(payment), action_url: None, message } => {
                self.ask_customer(request, payment, message).await
            }
            outcome => outcome,
        })
    }

    /// Has the gateway make a page on which the customer confirms. Without one the payment waits all the same.
    async fn ask_customer(&self, request: &ChargeRequest, payment: String, message: String) -> ChargeOutcome {
        let key = format!("{}:confirm", request.attempt);
        let fields = [("payment_method", &request.payment_token), ("return_url", &self.return_url)];
        let call = self.post(&["payment_intents", &payment, "confirm"], &key).form(&fields);
        let asked = match self.call(call).await {
            Ok(answer) if answer.is_success() => answer.read().and_then(PaymentIntent::outcome),
            Ok(answer) => answer.refusal(),
            Err(error) => Err(error),
        };
        asked.unwrap_or_else(|error| {
            tracing::warn!(payment, %error, "the gateway has no page for a customer to confirm on");
            ChargeOutcome::RequiresAction { payment_id: Some(payment), action_url: None, message }
        })
    }

    async fn given_up(&self, payment: &str) -> Result<ChargeOutcome, PaymentError> {
        let call = self.post(&["payment_intents", payment, "cancel"], &format!("{payment}:cancel"));
        let answer = self.call(call.form(&[("cancellation_reason", "abandoned")])).await?;
        if answer.is_success() {
            return answer.read::<PaymentIntent>()?.outcome();
        }
        match answer.refusal() {
            Err(PaymentError::Rejected { code, .. }) if code == UNEXPECTED_STATE => self.read_payment(payment).await,
            other => other,
        }
    }

    async fn read_payment(&self, payment: &str) -> Result<ChargeOutcome, PaymentError> {
        let answer = self.call(self.get(&["payment_intents", payment])).await?;
        if answer.is_success() { answer.read::<PaymentIntent>()?.outcome() } else { answer.refusal() }
    }

    async fn refunded(&self, request: &RefundRequest) -> Result<RefundOutcome, PaymentError> {
        let call = self.post(&["refunds"], &request.refund).form(&wire::refund_fields(request));
        let answer = self.call(call).await?;
        if answer.is_success() {
            let refund: Refund = answer.read()?;
            if !refund.fits(request) {
                return Err(PaymentError::unknown("a refund that is not the one asked for"));
            }
            return Ok(refund.outcome());
        }
        match answer.refusal() {
            Ok(_) => Err(PaymentError::unknown("a card error in answer to a refund")),
            Err(PaymentError::Rejected { code, message, .. }) => {
                Ok(RefundOutcome::Failed { refund_id: None, code, message })
            }
            Err(error) => Err(error),
        }
    }
}
