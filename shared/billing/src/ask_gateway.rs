//! Asks the gateway what becomes, or became, of an attempt.
//!
//! **Invariant:** a payment whose outcome is unknown is asked for again under its key or, once the gateway may have forgotten
//! that, looked up; it is never charged blindly a second time. Only "the gateway does not have it" closes it as failed.

use std::{collections::BTreeSet, time::Duration};

use domain::Decline;
use gateways::payment::{Amount, ChargeOutcome, ChargeRequest, PaymentError, Sought};
use jiff::Timestamp;
use store::PaymentAttempt;

use crate::{
    Billing, BillingError,
    payment_gateway::{Holder, Known, Names, Register, TenantGateway},
};

/// The gateway forgets an idempotency key after 24 h; from here on, with four hours to spare, it is asked instead.
const KEY_TRUSTED_FOR: Duration = Duration::from_secs(20 * 60 * 60);

/// What is known of an attempt after asking the gateway.
pub(crate) enum Answer {
    Known(ChargeOutcome),
    Unknown(PaymentError),
}

/// Whom to ask, with what is known of the customers.
pub(crate) struct Asking<'a> {
    pub billing: &'a Billing,
    pub gateway: &'a TenantGateway,
    pub register: &'a Register,
    pub wall: Timestamp,
}

impl Asking<'_> {
    /// Whom the gateway has to know before these attempts can be charged.
    pub(crate) fn holders<'a>(attempts: impl Iterator<Item = &'a PaymentAttempt>, wall: Timestamp) -> BTreeSet<Holder> {
        attempts.filter(|attempt| is_key_trusted(attempt, wall)).map(holder).collect()
    }

    /// Charges, or finds out what became of an earlier call.
    ///
    /// # Errors
    /// Store errors; the gateway's are an answer.
    pub(crate) async fn ask(&self, attempt: &PaymentAttempt) -> Result<Answer, BillingError> {
        let holder = holder(attempt);
        if !is_key_trusted(attempt, self.wall) {
            return Ok(match self.gateway.names(self.billing, (&attempt.tenant, &holder)).await? {
                Some(names) => self.look_up(attempt, &names).await,
                // What was never made known was never charged.
                None => Answer::Known(not_executed()),
            });
        }
        Ok(match self.register.get(&holder) {
            Some(Ok(Known::As(names))) => self.charge(attempt, names).await,
            Some(Ok(Known::Refused(decline, message))) => {
                let (decline, message) = (decline.clone(), message.clone());
                Answer::Known(ChargeOutcome::Declined { payment_id: None, decline, message })
            }
            Some(Err(error)) => Answer::Unknown(error.clone()),
            None => Answer::Unknown(PaymentError::Unavailable { detail: "the customer is not known yet".to_owned() }),
        })
    }

    async fn charge(&self, attempt: &PaymentAttempt, names: &Names) -> Answer {
        match self.gateway.gateway.charge(&request(attempt, names)).await {
            Ok(outcome) => Answer::Known(outcome),
            // The gateway replays its own failure for ever: only its list of payments knows what happened.
            Err(PaymentError::Unknown { replayed: true, .. }) => self.look_up(attempt, names).await,
            Err(error) => Answer::Unknown(error),
        }
    }

    async fn look_up(&self, attempt: &PaymentAttempt, names: &Names) -> Answer {
        let sought =
            Sought { customer: names.customer.clone(), attempt: attempt.id.clone(), since: attempt.first_sent_at };
        match self.gateway.gateway.find_charge(&sought).await {
            Ok(found) => Answer::Known(found.unwrap_or_else(not_executed)),
            Err(error) => Answer::Unknown(error),
        }
    }
}

fn holder(attempt: &PaymentAttempt) -> Holder {
    Holder { customer: attempt.customer.clone(), token: attempt.payment_method.clone() }
}

fn is_key_trusted(attempt: &PaymentAttempt, wall: Timestamp) -> bool {
    wall.duration_since(attempt.first_sent_at).unsigned_abs() < KEY_TRUSTED_FOR
}

fn not_executed() -> ChargeOutcome {
    ChargeOutcome::Declined {
        payment_id: None,
        decline: Decline { code: "not_executed".to_owned(), ..Decline::default() },
        message: "The payment gateway has no such payment.".to_owned(),
    }
}

/// The request of an attempt: built from what was frozen with it and from names that never change, so that a repeat is the
/// same request.
fn request(attempt: &PaymentAttempt, names: &Names) -> ChargeRequest {
    ChargeRequest {
        attempt: attempt.id.clone(),
        invoice: attempt.invoice.clone(),
        tenant: attempt.tenant.clone(),
        customer: names.customer.clone(),
        payment_token: names.method.clone(),
        amount: Amount { minor: attempt.amount.minor(), currency: attempt.amount.currency().to_string() },
        description: format!("Invoice {}", attempt.invoice),
    }
}
