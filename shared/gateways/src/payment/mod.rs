//! Charging a customer's payment method at a gateway that speaks the Stripe API: Stripe itself or
//! the sandbox gateway.
//!
//! Owns the wire format and the classification of answers. Does not own attempts, retries or what
//! a decline means: those are the callers'.
//!
//! | answer | reported as | was it executed? |
//! |---|---|---|
//! | 200, `succeeded` | [`ChargeOutcome::Succeeded`] | yes |
//! | 402 `card_error` | [`ChargeOutcome::Declined`], [`ChargeOutcome::RequiresAction`] | yes, no money moved |
//! | 429 | [`PaymentError::RateLimited`] | no |
//! | connection refused | [`PaymentError::Unavailable`] | no |
//! | other 4xx | [`PaymentError::Rejected`] | no; repeating it changes nothing |
//! | 409, 5xx, time-out, broken or unfitting answer | [`PaymentError::Unknown`] | nobody knows |

mod charge;
mod error;
mod lookup;
mod stripe;
mod wire;

pub use charge::{Amount, ChargeOutcome, ChargeRequest};
pub use error::{PaymentError, SetUpError};
pub use stripe::StripeGateway;
