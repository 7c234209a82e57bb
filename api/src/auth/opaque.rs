//! Opaque secrets: one-time tokens, refresh tokens and API keys. Made here, from the system's randomness, and known to the
//! store by their SHA-256 alone.
//!
//! A plain hash is enough: they have at least 160 random bits, so nobody guesses one from its hash.

use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use crate::http::problem::Problem;

/// Bytes of a one-time token, and of each half of a refresh token: 256 bits.
const TOKEN_BYTES: usize = 32;

/// Bytes of an API key: 160 bits.
const KEY_BYTES: usize = 20;

/// Bytes of an API key's checksum: enough that a mistyped key is not looked up.
const CHECKSUM_BYTES: usize = 5;

/// Tells a refresh token from an access token when one is found where it should not be.
const REFRESH_PREFIX: &str = "rt_";

/// RFC 4648 in lower case: five bits a letter, none of which is mistaken for another in a log or a form.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The system's randomness failed; nothing secret can be made.
fn without_randomness(_: ring::error::Unspecified) -> Problem {
    tracing::error!("the system gives no randomness");
    Problem::internal()
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], Problem> {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(without_randomness)?;
    Ok(bytes)
}

/// SHA-256 in hexadecimal, as the store keeps it.
pub(crate) fn hash(secret: &[u8]) -> String {
    Sha256::digest(secret).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A new one-time token and its hash.
///
/// # Errors
/// 500 without randomness.
pub(crate) fn one_time_token() -> Result<(String, String), Problem> {
    let token = URL_SAFE_NO_PAD.encode(random::<TOKEN_BYTES>()?);
    let hash = hash(token.as_bytes());
    Ok((token, hash))
}

/// The halves of a refresh token: one names the family, the other is new with every use.
pub(crate) struct RefreshToken {
    family: [u8; TOKEN_BYTES],
    current: [u8; TOKEN_BYTES],
}

impl RefreshToken {
    /// The first of a new family.
    ///
    /// # Errors
    /// 500 without randomness.
    pub(crate) fn new() -> Result<Self, Problem> {
        Ok(Self { family: random()?, current: random()? })
    }

    /// The next of the same family.
    ///
    /// # Errors
    /// 500 without randomness.
    pub(crate) fn next(&self) -> Result<Self, Problem> {
        Ok(Self { family: self.family, current: random()? })
    }

    /// Reads what a client brings; nothing if it was never one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(REFRESH_PREFIX)?).ok()?;
        let (family, current) = bytes.split_at_checked(TOKEN_BYTES)?;
        Some(Self { family: family.try_into().ok()?, current: current.try_into().ok()? })
    }

    pub(crate) fn family_hash(&self) -> String {
        hash(&self.family)
    }

    pub(crate) fn token_hash(&self) -> String {
        hash(&self.current)
    }

    /// What the client gets.
    pub(crate) fn expose(&self) -> String {
        format!("{REFRESH_PREFIX}{}", URL_SAFE_NO_PAD.encode([self.family, self.current].concat()))
    }
}

/// A new API key.
pub(crate) struct NewKey {
    /// What the client gets, once.
    pub secret: SecretString,
    pub hash: String,
    pub prefix: &'static str,
    pub last_four: String,
}

impl NewKey {
    /// A key of a tenant in live or in test mode: prefix, 160 random bits, checksum.
    ///
    /// # Errors
    /// 500 without randomness.
    pub(crate) fn new(livemode: bool) -> Result<Self, Problem> {
        let prefix = if livemode { "sk_live_" } else { "sk_test_" };
        let body = format!("{prefix}{}", base32(&random::<KEY_BYTES>()?));
        let secret = format!("{body}{}", checksum(&body));
        let last_four = secret[secret.len() - 4..].to_owned();
        Ok(Self { hash: hash(secret.as_bytes()), secret: secret.into(), prefix, last_four })
    }
}

/// Whether a credential is an API key and not a token.
pub(crate) fn is_api_key(credential: &str) -> bool {
    credential.starts_with("sk_live_") || credential.starts_with("sk_test_")
}

/// The hash of a key; nothing when its checksum says that it was never one.
pub(crate) fn key_hash(key: &str) -> Option<String> {
    let (body, given) = key.split_at_checked(key.len().checked_sub(8)?)?;
    (is_api_key(key) && checksum(body) == given).then(|| hash(key.as_bytes()))
}

fn checksum(body: &str) -> String {
    base32(&Sha256::digest(body)[..CHECKSUM_BYTES])
}

/// Five bytes become eight letters; the inputs here are multiples of five.
fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5);
    for five in bytes.chunks(5) {
        let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for place in (0..8).rev() {
            let index = usize::try_from(bits >> (place * 5) & 31).unwrap_or_default();
            text.push(char::from(BASE32[index]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use secrecy::ExposeSecret;

    use super::{NewKey, RefreshToken, base32, key_hash, one_time_token};

    #[test]
    fn a_key_is_known_by_its_checksum_and_stored_by_its_hash() {
        let key = NewKey::new(false).expect("a key");
        let secret = key.secret.expose_secret();
        // 160 bits in 32 letters, and eight letters of checksum.
        assert!(secret.starts_with("sk_test_") && secret.len() == 8 + 32 + 8, "{secret}");
        assert!(secret.ends_with(&key.last_four) && !key.hash.contains(&secret[8..]));
        assert_eq!(key_hash(secret), Some(key.hash));
        let mistyped = secret.replace(&secret[10..11], if &secret[10..11] == "a" { "b" } else { "a" });
        for wrong in
            [&*mistyped, &secret.replace("sk_test_", "sk_live_"), &secret[..40], "sk_test_", "", "sk_test_ääää"]
        {
            assert_eq!(key_hash(wrong), None, "{wrong}");
        }
        assert!(NewKey::new(true).expect("a key").secret.expose_secret().starts_with("sk_live_"));
    }

    #[test]
    fn letters_are_those_of_rfc_4648() {
        assert_eq!(base32(b"fooba"), "mzxw6ytb");
        assert_eq!(base32(&[0xff; 5]), "77777777");
    }

    #[test]
    fn a_refresh_token_keeps_its_family_and_nothing_else() {
        let first = RefreshToken::new().expect("a token");
        let second = first.next().expect("a token");
        let read = RefreshToken::parse(&second.expose()).expect("it is one");
        assert_eq!(read.family_hash(), first.family_hash());
        assert_eq!(read.token_hash(), second.token_hash());
        assert_ne!(second.token_hash(), first.token_hash());
        for wrong in ["", "rt_", "rt_AAAA", &second.expose()[3..], &format!("{}AAAA", second.expose()), "rt_ä"] {
            assert!(RefreshToken::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn no_two_are_alike() {
        let tokens: BTreeSet<_> = (0..100).map(|_| one_time_token().expect("a token").0).collect();
        assert_eq!(tokens.len(), 100);
        // 256 bits in base64.
        assert!(tokens.iter().all(|token| token.len() == 43));
    }
}
