//! Collecting a customer's money and giving it back: the port, and the gateways behind it.
//!
//! [`StripeGateway`] speaks the Stripe API, to Stripe itself or the sandbox gateway; [`ManualGateway`] is money that arrives by
//! itself and is recorded by a person. Owns the wire format and the classification of answers. Does not own attempts, retries
//! or what a decline means: those are the callers'.
//!
//! | answer to a charge | reported as | was it executed? |
//! |---|---|---|
//! | 200, `succeeded` | [`ChargeOutcome::Succeeded`] | yes |
//! | 402 `card_error` | [`ChargeOutcome::Declined`], [`ChargeOutcome::RequiresAction`] | yes, no money moved |
//! | 429 | [`PaymentError::RateLimited`] | no |
//! | connection refused | [`PaymentError::Unavailable`] | no |
//! | other 4xx | [`PaymentError::Rejected`] | no; repeating it changes nothing |
//! | 409, 5xx, time-out, broken or unfitting answer | [`PaymentError::Unknown`] | nobody knows |

mod accounts;
mod charge;
mod error;
mod manual;
mod port;
mod stripe;

pub use accounts::{Account, PaymentGateways};
pub use charge::{Amount, ChargeOutcome, ChargeRequest};
pub use error::{PaymentError, SetUpError};
pub use manual::ManualGateway;
pub use port::{
    Call, Enrolment, GatewayPayment, Payer, PaymentGateway, PaymentPage, RefundOutcome, RefundRequest, Sought,
};
pub use stripe::{
    GatewayEvent, GatewaySubject, SIGNATURE_TOLERANCE, SignatureError, StripeGateway, read_event, verify_signature,
};
