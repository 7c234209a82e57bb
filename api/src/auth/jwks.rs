//! The JSON Web Key Set: the public keys with which tokens are checked (RFC 7517, RFC 8037).
//!
//! Owns the document, built by hand, and the names of keys. **Invariant:** a key's `kid` is its
//! thumbprint, so two keys never share a name.

use std::fmt;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::tokens::{KeyError, public_half};

/// Bytes of an Ed25519 public key.
pub(super) const PUBLIC_KEY_BYTES: usize = 32;

/// Most keys of a set: two during a rotation, and room for some that are not ours.
const MAX_KEYS: usize = 16;

/// What the DER of every Ed25519 public key begins with (RFC 8410, 4): its algorithm, and a bit string of 32 bytes.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// An Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; PUBLIC_KEY_BYTES]);

impl PublicKey {
    /// The key with these bytes.
    #[must_use]
    pub fn new(bytes: [u8; PUBLIC_KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The key in a PEM: a public one, or the public half of a private one.
    ///
    /// # Errors
    /// `Invalid` for anything but an Ed25519 key in PKCS#8 or SPKI.
    pub fn from_pem(pem: &SecretString) -> Result<Self, KeyError> {
        let text = pem.expose_secret();
        if text.contains("PRIVATE KEY") {
            return public_half(text);
        }
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
        let der = STANDARD.decode(body).map_err(|_| KeyError::Invalid)?;
        let key = der.strip_prefix(&SPKI_PREFIX).and_then(|key| key.try_into().ok()).ok_or(KeyError::Invalid)?;
        Ok(Self(key))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn x(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The key's thumbprint (RFC 7638): SHA-256 of its required members in lexical order.
    #[must_use]
    pub fn kid(&self) -> String {
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, self.x());
        URL_SAFE_NO_PAD.encode(Sha256::digest(members))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.kid())
    }
}

/// One member of the document. All are optional in reading: a set may hold keys of other kinds.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Jwk {
    kty: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
}

impl Jwk {
    fn of(key: &PublicKey) -> Self {
        Self {
            kty: Some("OKP".to_owned()),
            crv: Some("Ed25519".to_owned()),
            x: Some(key.x()),
            kid: Some(key.kid()),
            alg: Some("EdDSA".to_owned()),
            usage: Some("sig".to_owned()),
        }
    }

    /// The key, if it is one that signs access tokens and bears its own name.
    fn public_key(&self) -> Option<PublicKey> {
        let says = |member: &Option<String>, value: &str| member.as_deref() == Some(value);
        let or_nothing = |member: &Option<String>, value: &str| member.as_deref().is_none_or(|member| member == value);
        let fits = says(&self.kty, "OKP")
            && says(&self.crv, "Ed25519")
            && or_nothing(&self.alg, "EdDSA")
            && or_nothing(&self.usage, "sig");
        let bytes = URL_SAFE_NO_PAD.decode(self.x.as_deref()?).ok()?;
        let key = PublicKey(bytes.try_into().ok()?);
        (fits && says(&self.kid, &key.kid())).then_some(key)
    }
}

/// The document at `/.well-known/jwks.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Jwks {
    keys: Vec<Jwk>,
}

/// A text that is no key set.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// It does not decode.
    #[error("the key set cannot be read")]
    Malformed(#[from] serde_json::Error),
    /// More than [`MAX_KEYS`].
    #[error("the key set has more than {MAX_KEYS} keys")]
    TooManyKeys,
    /// None of its keys can check an access token.
    #[error("the key set has no usable key")]
    NoUsableKey,
}

impl Jwks {
    /// The document of these keys: the one that signs, and during a rotation the other one.
    #[must_use]
    pub fn of(keys: &[PublicKey]) -> Self {
        Self { keys: keys.iter().map(Jwk::of).collect() }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// `Malformed`, `TooManyKeys`.
    pub fn parse(document: &[u8]) -> Result<Self, JwksError> {
        let set: Self = serde_json::from_slice(document)?;
        if set.keys.len() > MAX_KEYS { Err(JwksError::TooManyKeys) } else { Ok(set) }
    }

    /// The keys that can check an access token; keys of other kinds are passed over.
    ///
    /// # Errors
    /// `NoUsableKey`.
    pub fn public_keys(&self) -> Result<Vec<PublicKey>, JwksError> {
        let keys: Vec<_> = self.keys.iter().filter_map(Jwk::public_key).collect();
        if keys.is_empty() { Err(JwksError::NoUsableKey) } else { Ok(keys) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Jwks, JwksError, PublicKey};

    /// The key of RFC 8037, appendix A.
    const X: [u8; 32] = [
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1,
        0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
    ];

    #[test]
    fn the_kid_is_the_thumbprint_of_the_rfc() {
        assert_eq!(PublicKey::new(X).kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn the_document_reads_back() {
        let key = PublicKey::new(X);
        let document = serde_json::to_value(Jwks::of(&[key])).expect("a document");
        assert_eq!(
            document,
            serde_json::json!({ "keys": [{
                "kty": "OKP",
                "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
                "alg": "EdDSA",
                "use": "sig",
            }] })
        );
        let read = Jwks::parse(document.to_string().as_bytes()).expect("a document");
        assert_eq!(read.public_keys().expect("a key"), [key]);
    }

    #[test]
    fn keys_that_cannot_check_our_tokens_are_passed_over() {
        let mut document = serde_json::to_value(Jwks::of(&[PublicKey::new(X)])).expect("a document");
        for (member, value) in [
            ("kty", "RSA"),
            ("crv", "X25519"),
            ("alg", "HS256"),
            ("use", "enc"),
            ("x", "AAAA"),
            ("kid", "another-name"),
        ] {
            let before = std::mem::replace(&mut document["keys"][0][member], value.into());
            let set = Jwks::parse(document.to_string().as_bytes()).expect("a document");
            assert!(matches!(set.public_keys(), Err(JwksError::NoUsableKey)), "{member}");
            document["keys"][0][member] = before;
        }
    }

    #[test]
    fn what_is_no_set_is_refused() {
        let key = serde_json::json!({ "kty": "OKP" });
        let many = serde_json::json!({ "keys": vec![key; 17] }).to_string();
        assert!(matches!(Jwks::parse(many.as_bytes()), Err(JwksError::TooManyKeys)));
        assert!(matches!(Jwks::parse(b"<html>"), Err(JwksError::Malformed(_))));
    }
}
