//! Signatures as Standard Webhooks has them: `v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::hmac;
use thiserror::Error;

/// Random bytes of a secret: as many as the hash gives.
pub const SECRET_BYTES: usize = 32;
const PREFIX: &str = "whsec_";

/// Text that is no secret; it is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the endpoint's secret is not `whsec_` and base64")]
pub struct MalformedSecret;

/// Writes a secret of random bytes down.
#[must_use]
pub fn new_secret(random: [u8; SECRET_BYTES]) -> String {
    format!("{PREFIX}{}", BASE64_STANDARD.encode(random))
}

/// The value of `webhook-signature`: one signature for each secret that is valid, separated by spaces.
///
/// # Errors
/// [`MalformedSecret`].
pub fn sign(secrets: &[&str], (id, seconds): (&str, i64), body: &str) -> Result<String, MalformedSecret> {
    let signed = format!("{id}.{seconds}.{body}");
    let signature = |secret: &&str| {
        let encoded = secret.strip_prefix(PREFIX).ok_or(MalformedSecret)?;
        let key = BASE64_STANDARD.decode(encoded).map_err(|_| MalformedSecret)?;
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
        Ok(format!("v1,{}", BASE64_STANDARD.encode(tag)))
    };
    Ok(secrets.iter().map(signature).collect::<Result<Vec<_>, _>>()?.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &str = r#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn the_specifications_example_is_signed_alike() {
        let signed = sign(&[SECRET], ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330), BODY);
        assert_eq!(signed.as_deref(), Ok(SIGNATURE));
    }

    #[test]
    fn while_secrets_rotate_there_are_two_signatures() {
        let new = new_secret([7; SECRET_BYTES]);
        let signed = sign(&[&new, SECRET], ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330), BODY).unwrap();
        let both: Vec<_> = signed.split(' ').collect();
        assert_eq!((both.len(), both[1]), (2, SIGNATURE));
        assert!(both[0].starts_with("v1,") && both[0] != SIGNATURE);
    }

    #[test]
    fn what_is_no_secret_signs_nothing() {
        for bad in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_***"] {
            assert_eq!(sign(&[bad], ("whd_1", 0), BODY), Err(MalformedSecret), "{bad}");
        }
    }
}
