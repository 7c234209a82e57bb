//! What becomes of a charge: the effect of a token on a new intent, and the ways of one that waits for its customer.

use jiff::Timestamp;

use axum::http::StatusCode;

use crate::errors::{ApiError, CARD_ERROR};
use crate::execution::{Executed, dispute_of, event};
use crate::gateway::Books;
use crate::objects::{
    IntentStatus, Metadata, NextAction, Object, PaymentFailure, PaymentIntent, RedirectToUrl, new_id,
};
use crate::tokens::{AUTHENTICATION_FAILED, AUTHENTICATION_REQUIRED, Behaves, Decline, behaviour_of};

/// A charge that was understood.
#[derive(Debug)]
pub(crate) struct Charge {
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) customer: String,
    /// A method that is attached to the customer, or a test token as it is.
    pub(crate) method: String,
    pub(crate) description: Option<String>,
    pub(crate) metadata: Metadata,
}

impl Charge {
    pub(crate) fn execute(self, books: &mut Books, key: Option<&str>, now: Timestamp) -> Result<Executed, ApiError> {
        if books.ledger.customers.get(&self.customer).is_none() {
            return Err(ApiError::missing("customer", &self.customer, "customer"));
        }
        match behaves(books, &self.customer, &self.method)? {
            Behaves::Declines(decline) => refused(self.intent(now), &decline, now),
            Behaves::Authenticates => refused(self.intent(now), &AUTHENTICATION_REQUIRED, now),
            Behaves::FailsOnce if key.is_some_and(|key| books.fails_this_time(key)) => {
                Err(ApiError::internal(StatusCode::INTERNAL_SERVER_ERROR))
            }
            Behaves::FailsAfterCharging => {
                let intent = self.succeeded(now);
                let failure = ApiError::internal(StatusCode::INTERNAL_SERVER_ERROR);
                let happened = event("payment_intent.succeeded", &intent, now)?;
                Ok(Executed::refused(&failure)?.change(Object::PaymentIntent(Box::new(intent))).event(happened))
            }
            Behaves::Succeeds(delay) => Ok(success(self.succeeded(now), now)?.after(delay)),
            Behaves::FailsOnce | Behaves::RefundFails | Behaves::RefundPends => success(self.succeeded(now), now),
            Behaves::Disputes => {
                let intent = self.succeeded(now);
                let dispute = dispute_of(&intent, now);
                let called_back = event("charge.dispute.created", &dispute, now)?;
                Ok(success(intent, now)?.change(Object::Dispute(dispute)).event(called_back))
            }
        }
    }

    fn succeeded(self, now: Timestamp) -> PaymentIntent {
        let method = self.method.clone();
        take(PaymentIntent { payment_method: Some(method), ..self.intent(now) })
    }

    /// The intent before its outcome: nothing received, no method attached.
    fn intent(self, now: Timestamp) -> PaymentIntent {
        PaymentIntent {
            id: new_id("pi_"),
            object: "payment_intent".to_owned(),
            amount: self.amount,
            amount_received: 0,
            currency: self.currency,
            customer: self.customer,
            payment_method: None,
            status: IntentStatus::RequiresPaymentMethod,
            latest_charge: None,
            last_payment_error: None,
            next_action: None,
            description: self.description,
            metadata: self.metadata,
            created: now.as_second(),
            livemode: false,
        }
    }
}

/// How a method of a customer behaves.
fn behaves(books: &Books, customer: &str, method: &str) -> Result<Behaves, ApiError> {
    if books.ledger.methods.get(method).is_some_and(|method| method.customer != customer) {
        let message = "The payment method belongs to another customer.";
        return Err(ApiError::parameter("payment_method_unexpected_state", "payment_method", message));
    }
    let token = books.ledger.token_of(method);
    behaviour_of(token).ok_or_else(|| ApiError::missing("PaymentMethod", method, "payment_method"))
}

/// The intent with the money taken.
fn take(intent: PaymentIntent) -> PaymentIntent {
    PaymentIntent {
        amount_received: intent.amount,
        status: IntentStatus::Succeeded,
        latest_charge: Some(new_id("ch_")),
        last_payment_error: None,
        next_action: None,
        ..intent
    }
}

fn success(intent: PaymentIntent, now: Timestamp) -> Result<Executed, ApiError> {
    let created = event("payment_intent.created", &intent, now)?;
    let succeeded = event("payment_intent.succeeded", &intent, now)?;
    let answered = Executed::answered(&intent)?;
    Ok(answered.change(Object::PaymentIntent(Box::new(intent))).event(created).event(succeeded))
}

fn refused(intent: PaymentIntent, decline: &Decline, now: Timestamp) -> Result<Executed, ApiError> {
    let intent = with_failure(intent, decline);
    let created = event("payment_intent.created", &intent, now)?;
    let failed = event("payment_intent.payment_failed", &intent, now)?;
    let answered = Executed::refused(&ApiError::card(decline, intent.clone()))?;
    Ok(answered.change(Object::PaymentIntent(Box::new(intent))).event(created).event(failed))
}

fn with_failure(intent: PaymentIntent, decline: &Decline) -> PaymentIntent {
    let failure = PaymentFailure {
        kind: CARD_ERROR.to_owned(),
        code: decline.code.to_owned(),
        decline_code: decline.decline_code.to_owned(),
        advice_code: decline.advice_code.map(ToOwned::to_owned),
        message: decline.message.to_owned(),
    };
    PaymentIntent {
        status: IntentStatus::RequiresPaymentMethod,
        last_payment_error: Some(failure),
        next_action: None,
        payment_method: None,
        ..intent
    }
}

/// An intent that is to be changed.
fn waiting(books: &Books, id: &str, from: &[IntentStatus]) -> Result<PaymentIntent, ApiError> {
    let found = books.ledger.intents.get(id).cloned();
    let intent = found.ok_or_else(|| ApiError::missing("payment_intent", id, "intent"))?;
    if from.contains(&intent.status) {
        return Ok(intent);
    }
    let message = format!("This PaymentIntent's status is {}, which does not allow this.", intent.status.as_str());
    Err(ApiError::state("payment_intent_unexpected_state", message))
}

/// Confirms an intent on session: a card that wants its customer sends it to a page, any other one decides at once.
pub(crate) fn confirmed(
    books: &mut Books,
    (id, method): (&str, &str),
    (page, return_url): (String, String),
    now: Timestamp,
) -> Result<Executed, ApiError> {
    let intent = waiting(books, id, &[IntentStatus::RequiresPaymentMethod, IntentStatus::RequiresAction])?;
    let behaves = behaves(books, &intent.customer, method)?;
    let intent = PaymentIntent { payment_method: Some(method.to_owned()), ..intent };
    match behaves {
        Behaves::Authenticates => {
            let redirect_to_url = RedirectToUrl { url: page, return_url };
            let next_action = NextAction { kind: "redirect_to_url".to_owned(), redirect_to_url };
            let intent =
                PaymentIntent { status: IntentStatus::RequiresAction, next_action: Some(next_action), ..intent };
            let asked = event("payment_intent.requires_action", &intent, now)?;
            Ok(Executed::answered(&intent)?.change(Object::PaymentIntent(Box::new(intent))).event(asked))
        }
        Behaves::Declines(decline) => {
            let intent = with_failure(intent, &decline);
            let failed = event("payment_intent.payment_failed", &intent, now)?;
            let answered = Executed::refused(&ApiError::card(&decline, intent.clone()))?;
            Ok(answered.change(Object::PaymentIntent(Box::new(intent))).event(failed))
        }
        _ => taken(intent, now),
    }
}

/// The customer has confirmed, or refused to, on the gateway's page.
pub(crate) fn authenticated(books: &mut Books, id: &str, succeeds: bool, now: Timestamp) -> Result<Executed, ApiError> {
    let intent = waiting(books, id, &[IntentStatus::RequiresAction])?;
    if succeeds {
        return taken(intent, now);
    }
    let intent = with_failure(intent, &AUTHENTICATION_FAILED);
    let failed = event("payment_intent.payment_failed", &intent, now)?;
    Ok(Executed::answered(&intent)?.change(Object::PaymentIntent(Box::new(intent))).event(failed))
}

fn taken(intent: PaymentIntent, now: Timestamp) -> Result<Executed, ApiError> {
    let intent = take(intent);
    let succeeded = event("payment_intent.succeeded", &intent, now)?;
    Ok(Executed::answered(&intent)?.change(Object::PaymentIntent(Box::new(intent))).event(succeeded))
}

/// Cancels an intent: it can never be charged any more.
pub(crate) fn cancelled(books: &mut Books, id: &str, now: Timestamp) -> Result<Executed, ApiError> {
    let intent = waiting(books, id, &[IntentStatus::RequiresPaymentMethod, IntentStatus::RequiresAction])?;
    let intent = PaymentIntent { status: IntentStatus::Canceled, next_action: None, ..intent };
    let cancelled = event("payment_intent.canceled", &intent, now)?;
    Ok(Executed::answered(&intent)?.change(Object::PaymentIntent(Box::new(intent))).event(cancelled))
}
