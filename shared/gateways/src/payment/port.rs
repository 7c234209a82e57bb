//! The port: what the product asks of whoever moves the money, and what it hears. Values and the trait only.

use std::fmt::Debug;
use std::pin::Pin;

use domain::Decline;
use jiff::Timestamp;

use super::charge::{Amount, ChargeOutcome, ChargeRequest};
use super::error::PaymentError;

/// A call that is under way.
pub type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, PaymentError>> + Send + 'a>>;

/// Somebody who moves money: a company over the wire, or a person who says that it has arrived.
///
/// Every request carries an id of ours; asked for it again, a gateway does nothing further. An answer that does not prove
/// what happened is [`PaymentError::Unknown`], and is followed by asking.
pub trait PaymentGateway: Debug + Send + Sync {
    /// Makes a payer and its payment method known.
    fn enrol<'a>(&'a self, payer: &'a Payer) -> Call<'a, Enrolment>;

    /// Takes money, with nobody present.
    fn charge<'a>(&'a self, request: &'a ChargeRequest) -> Call<'a, ChargeOutcome>;

    /// Looks for the charge of an attempt. `None` says that the gateway does not have it *now*: a call that is still under
    /// way may yet be executed, so ask only when none can be (after a replayed 5xx, or long after the last call's time-out).
    fn find_charge<'a>(&'a self, sought: &'a Sought) -> Call<'a, Option<ChargeOutcome>>;

    /// Makes sure that a payment that waits for its customer never takes money, or says that it has.
    fn give_up<'a>(&'a self, payment_id: &'a str) -> Call<'a, ChargeOutcome>;

    /// Gives money back.
    fn refund<'a>(&'a self, request: &'a RefundRequest) -> Call<'a, RefundOutcome>;

    /// Looks for a refund. `None` as for a charge.
    fn find_refund<'a>(&'a self, request: &'a RefundRequest) -> Call<'a, Option<RefundOutcome>>;

    /// A page of every payment made since then, newest first; `after` is where the page before ended.
    fn payments_since<'a>(&'a self, since: Timestamp, after: Option<&'a str>) -> Call<'a, PaymentPage>;
}

/// Who pays, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payer {
    /// Our id of the customer.
    pub customer: String,
    /// The tenant it belongs to.
    pub tenant: String,
    /// The token of the payment method, as its owner handed it over.
    pub token: String,
    /// The gateway's id of the customer, if it has one already.
    pub known_as: Option<String>,
}

/// What became of making a payer known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enrolment {
    /// It can be charged.
    Enrolled {
        /// The gateway's id of the customer.
        customer: String,
        /// The gateway's id of the payment method.
        method: String,
    },
    /// The payment method is no good.
    Refused {
        /// Why.
        decline: Decline,
        /// The gateway's words, fit for the customer.
        message: String,
    },
}

/// The charge of an attempt that is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    /// The gateway's id of the customer.
    pub customer: String,
    /// The attempt's id.
    pub attempt: String,
    /// The real time of its first call, never a test clock's.
    pub since: Timestamp,
}

/// Everything a refund is made of, frozen when it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRequest {
    /// The refund's id: the gateway's idempotency key and `metadata[refund]`.
    pub refund: String,
    /// The gateway's id of the payment.
    pub payment_id: String,
    /// What goes back; at least one minor unit.
    pub amount: Amount,
    /// The tenant it belongs to.
    pub tenant: String,
}

/// What became of a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundOutcome {
    /// The money is back, or certainly will be.
    Succeeded {
        /// The gateway's id of the refund.
        refund_id: String,
    },
    /// The gateway has taken it on and will say later how it ends.
    Pending {
        /// The gateway's id of the refund.
        refund_id: String,
    },
    /// No money goes back.
    Failed {
        /// The gateway's id of the refund, if it keeps one.
        refund_id: Option<String>,
        /// Why, as the gateway classifies it.
        code: String,
        /// The gateway's words.
        message: String,
    },
}

/// A page of the gateway's payments.
#[derive(Debug, Clone)]
pub struct PaymentPage {
    /// Newest first.
    pub payments: Vec<GatewayPayment>,
    /// Where the next page goes on; none if this is the last.
    pub next: Option<String>,
}

/// A payment as the gateway has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayPayment {
    /// The gateway's id of it.
    pub payment_id: String,
    /// The attempt it names, if it is one of ours.
    pub attempt: Option<String>,
    /// The tenant it names.
    pub tenant: Option<String>,
    /// The gateway's id of the customer.
    pub customer: Option<String>,
    /// What was asked for.
    pub amount: Amount,
    /// When, by the gateway's clock.
    pub created: Timestamp,
    /// What became of it; none while the gateway has not decided.
    pub outcome: Option<ChargeOutcome>,
}
