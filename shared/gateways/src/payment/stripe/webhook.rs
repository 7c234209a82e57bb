//! What a gateway that speaks the Stripe API tells us: whether it is really the gateway, and what it says.
//!
//! **Invariant:** the signature is checked on the bytes as they came, before anything of them is read, and in constant time.

use jiff::{SignedDuration, Timestamp};
use ring::hmac;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::wire::{PaymentIntent, Refund};
use crate::payment::charge::Amount;
use crate::payment::port::{GatewayPayment, RefundOutcome};

/// How far the time of a signature may be from ours, in both directions.
pub const SIGNATURE_TOLERANCE: SignedDuration = SignedDuration::from_secs(300);
/// Signatures that are looked at: one for each secret while some are rotated, and no more work than that.
const MAX_SIGNATURES: usize = 16;

/// Why a message is not taken for the gateway's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// The header is missing or not in the gateway's form.
    #[error("the signature cannot be read")]
    Malformed,
    /// It was signed too long ago, or in the future.
    #[error("the signature's time is more than 300 seconds from now")]
    OutOfTime,
    /// No secret of ours has made it.
    #[error("no signature fits")]
    Foreign,
}

/// Checks the header `Stripe-Signature` of a message.
///
/// # Errors
/// [`SignatureError`] unless one of its `v1` signatures was made with one of the secrets at about `now`.
pub fn verify_signature(secrets: &[&str], header: &str, body: &[u8], now: Timestamp) -> Result<(), SignatureError> {
    let mut time = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", seconds)) if time.is_none() => time = Some(seconds),
            Some(("v1", signature)) if signatures.len() < MAX_SIGNATURES => signatures.push(signature),
            _ => {}
        }
    }
    let seconds = time.ok_or(SignatureError::Malformed)?;
    let at: i64 = seconds.parse().map_err(|_| SignatureError::Malformed)?;
    let at = Timestamp::from_second(at).map_err(|_| SignatureError::Malformed)?;
    let signatures: Vec<Vec<u8>> = signatures.into_iter().filter_map(unhex).collect();
    if signatures.is_empty() {
        return Err(SignatureError::Malformed);
    }
    if now.duration_since(at).abs() > SIGNATURE_TOLERANCE {
        return Err(SignatureError::OutOfTime);
    }
    let signed = [seconds.as_bytes(), b".", body].concat();
    let fits = |secret: &str, signature: &[u8]| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        hmac::verify(&key, &signed, signature).is_ok()
    };
    // Every pair is looked at, so that the time tells nothing.
    let mut is_ours = false;
    for secret in secrets {
        for signature in &signatures {
            is_ours |= fits(secret, signature);
        }
    }
    if is_ours { Ok(()) } else { Err(SignatureError::Foreign) }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// Something that happened at the gateway.
#[derive(Debug, Clone)]
pub struct GatewayEvent {
    /// The gateway's id of it.
    pub id: String,
    /// For example `payment_intent.succeeded`.
    pub kind: String,
    /// What it is about.
    pub subject: GatewaySubject,
}

/// What an event of the gateway is about, as far as we know its kind.
#[derive(Debug, Clone)]
pub enum GatewaySubject {
    /// A payment, as it was then.
    Payment(Box<GatewayPayment>),
    /// A refund, as it was then.
    Refund {
        /// Our id of it, if we have asked for it.
        refund: Option<String>,
        /// The tenant it names.
        tenant: Option<String>,
        /// The gateway's id of the payment.
        payment_id: Option<String>,
        /// What goes back.
        amount: Amount,
        /// What became of it.
        outcome: RefundOutcome,
    },
    /// A payment that the customer's bank has called back.
    Dispute {
        /// The gateway's id of it.
        dispute_id: String,
        /// The gateway's id of the payment.
        payment_id: String,
        /// What is called back.
        amount: Amount,
        /// Why, in the gateway's word.
        reason: String,
        /// Where it stands, in the gateway's word.
        status: String,
    },
    /// Something else.
    Other,
}

#[derive(Deserialize)]
struct Envelope {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

#[derive(Deserialize)]
struct Dispute {
    id: String,
    payment_intent: Option<String>,
    amount: i64,
    currency: String,
    #[serde(default)]
    reason: String,
    status: String,
}

/// Reads a message that is the gateway's.
///
/// # Errors
/// When it is no event, or the object of a kind that we know is not what it should be.
pub fn read_event(body: &[u8]) -> Result<GatewayEvent, serde_json::Error> {
    let Envelope { id, kind, data: Data { object } } = serde_json::from_slice(body)?;
    let subject = match kind.split_once('.').map(|(about, _)| about) {
        Some("payment_intent") => {
            let intent: PaymentIntent = serde_json::from_value(object)?;
            GatewaySubject::Payment(Box::new(intent.into_payment()))
        }
        Some("refund") => serde_json::from_value::<Refund>(object)?.into_subject(),
        Some("charge") if kind.starts_with("charge.dispute.") => {
            let Dispute { id, payment_intent, amount, currency, reason, status } = serde_json::from_value(object)?;
            let amount = Amount { minor: amount, currency };
            payment_intent.map_or(GatewaySubject::Other, |payment_id| GatewaySubject::Dispute {
                dispute_id: id,
                payment_id,
                amount,
                reason,
                status,
            })
        }
        _ => GatewaySubject::Other,
    };
    Ok(GatewayEvent { id, kind, subject })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn sign(secret: &str, seconds: i64, body: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
        tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn check(header: &str, body: &str) -> Result<(), SignatureError> {
        verify_signature(&["whsec_old", "whsec_new"], header, body.as_bytes(), NOW)
    }

    #[test]
    fn any_of_several_signatures_by_any_of_our_secrets_counts() {
        let at = NOW.as_second();
        let (old, new, foreign) = (sign("whsec_old", at, "{}"), sign("whsec_new", at, "{}"), sign("x", at, "{}"));
        for header in
            [format!("t={at},v1={old}"), format!("t={at},v1={foreign},v1={new}"), format!("v0=aa, v1={new}, t={at}")]
        {
            assert_eq!(check(&header, "{}"), Ok(()), "{header}");
        }
        assert_eq!(check(&format!("t={at},v1={foreign}"), "{}"), Err(SignatureError::Foreign));
        assert_eq!(check(&format!("t={at},v1={old}"), "{ }"), Err(SignatureError::Foreign), "another body");
        assert_eq!(check(&format!("t={},v1={old}", at + 1), "{}"), Err(SignatureError::Foreign), "another time");
        assert_eq!(check(&format!("t={at},v0={old}"), "{}"), Err(SignatureError::Malformed));
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_before_and_after() {
        for (offset, expected) in [
            (-301, Err(SignatureError::OutOfTime)),
            (-300, Ok(())),
            (300, Ok(())),
            (301, Err(SignatureError::OutOfTime)),
        ] {
            let at = NOW.as_second() + offset;
            assert_eq!(check(&format!("t={at},v1={}", sign("whsec_new", at, "{}")), "{}"), expected, "{offset}");
        }
    }

    #[test]
    fn what_is_no_signature_is_told_apart() {
        for header in ["", "t=1", "v1=00", "t=x,v1=00", "t=99999999999999999999,v1=00", "t=1,v1=zz", "t==,,=,v1"] {
            assert_eq!(check(header, "{}"), Err(SignatureError::Malformed), "{header}");
        }
    }
}
