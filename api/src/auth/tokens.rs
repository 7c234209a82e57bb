//! Access tokens: JWTs signed with Ed25519 (RFC 9068 profile, RFC 8725 practices).
//!
//! Owns issuing, which the auth service alone can do since it alone has the key, and checking.
//! Refresh tokens are opaque and not here.
//!
//! **Invariant:** a token is accepted only with exactly the header members `alg`, `typ` and `kid`;
//! the algorithm is fixed; the key is found by exact `kid` in our own set. So a token can neither
//! choose its key (`jwk`, `jku`, `x5u`, ...), nor its algorithm, nor ask for an extension (`crit`).
//!
//! **Invariant:** time is an argument; the JWT crate's own clock is never consulted.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ring::{
    rand::SecureRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    crypto,
    jwks::{PUBLIC_KEY_BYTES, PublicKey},
    role::{Role, Scopes},
};

/// Life of an access token: how long a disabled user could go on if nothing else stopped it.
pub const ACCESS_TOKEN_LIFE: SignedDuration = SignedDuration::from_mins(10);

/// How far the clocks of issuer and verifier may be apart.
const LEEWAY: SignedDuration = SignedDuration::from_secs(30);

/// Largest token in bytes. Ours have about 700; the rest is room for scopes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Media type of an access token (RFC 9068, 2.1), without which a token of another purpose signed
/// with the same key would pass for one.
const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// Who issues tokens, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm {
    /// `iss`: the auth service.
    pub issuer: String,
    /// `aud`: the API.
    pub audience: String,
}

/// What a token says about its bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// `usr_...`
    pub user: String,
    /// `ten_...`
    pub tenant: String,
    /// The user's role in the tenant.
    pub role: Role,
    /// What the token may be used for.
    pub scopes: Scopes,
    /// `ses_...`: the session that it belongs to.
    pub session: String,
}

/// The claims of an access token. Instants are seconds since 1970. Decoding refuses a claim that
/// occurs twice, and a list of audiences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Issuer.
    pub iss: String,
    /// Audience.
    pub aud: String,
    /// User.
    pub sub: String,
    /// Tenant.
    pub tenant: String,
    /// The user's role in the tenant.
    pub role: Role,
    /// Scopes, separated by spaces.
    pub scope: Scopes,
    /// Session; when it ends, so does the token.
    pub sid: String,
    /// Issued at.
    pub iat: i64,
    /// Not valid from here on.
    pub exp: i64,
    /// Not valid before. Ours have none; it is honoured all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Id of the token.
    pub jti: String,
}

impl Claims {
    /// What the token says about its bearer.
    #[must_use]
    pub fn grant(self) -> Grant {
        Grant { user: self.sub, tenant: self.tenant, role: self.role, scopes: self.scope, session: self.sid }
    }
}

/// A freshly signed token.
#[derive(Debug)]
pub struct AccessToken {
    /// The token, for its bearer alone.
    pub token: SecretString,
    /// How long it is valid.
    pub expires_in: SignedDuration,
}

/// A key that cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not an Ed25519 private key in PKCS#8.
    #[error("the signing key is not an Ed25519 private key in PKCS#8 PEM")]
    Invalid,
    /// The source of randomness failed.
    #[error("no signing key could be generated")]
    Randomness,
}

/// Signing failed, which a key that was read well never does.
#[derive(Debug, thiserror::Error)]
#[error("an access token could not be signed")]
pub struct SigningError(#[from] jsonwebtoken::errors::Error);

/// Makes a new signing key as PKCS#8 PEM, the form in which [`Signer`] and its configuration take
/// it.
///
/// # Errors
/// `Randomness`.
pub fn generate_signing_key(randomness: &dyn SecureRandom) -> Result<SecretString, KeyError> {
    const LINE: usize = 64;
    let der = Ed25519KeyPair::generate_pkcs8(randomness).map_err(|_| KeyError::Randomness)?;
    let text = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    Ok(pem.into())
}

/// The public half of an Ed25519 private key in PKCS#8 PEM.
pub(super) fn public_half(pem: &str) -> Result<PublicKey, KeyError> {
    let key = EncodingKey::from_ed_pem(pem.as_bytes()).map_err(|_| KeyError::Invalid)?;
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.as_bytes()).map_err(|_| KeyError::Invalid)?;
    let public: [u8; PUBLIC_KEY_BYTES] = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Invalid)?;
    Ok(PublicKey::new(public))
}

/// Issues access tokens. Holds the private key, and only the auth service holds it.
#[derive(Clone, Debug)]
pub struct Signer {
    key: EncodingKey,
    public: PublicKey,
    header: Header,
    realm: Realm,
}

impl Signer {
    /// A signer for a realm, with an Ed25519 private key in PKCS#8 PEM.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn from_pem(pem: &SecretString, realm: Realm) -> Result<Self, KeyError> {
        crypto::install();
        let key = EncodingKey::from_ed_pem(pem.expose_secret().as_bytes()).map_err(|_| KeyError::Invalid)?;
        let public = public_half(pem.expose_secret())?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(ACCESS_TOKEN_TYPE.to_owned());
        header.kid = Some(public.kid());
        Ok(Self { key, public, header, realm })
    }

    /// The key with which others check what this one signs.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.public
    }

    /// Signs a token for `grant`, valid from `now` for [`ACCESS_TOKEN_LIFE`]; `jti` is its id.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn issue(&self, grant: &Grant, now: Timestamp, jti: String) -> Result<AccessToken, SigningError> {
        let claims = Claims {
            iss: self.realm.issuer.clone(),
            aud: self.realm.audience.clone(),
            sub: grant.user.clone(),
            tenant: grant.tenant.clone(),
            role: grant.role,
            scope: grant.scopes.clone(),
            sid: grant.session.clone(),
            iat: now.as_second(),
            exp: now.as_second() + ACCESS_TOKEN_LIFE.as_secs(),
            nbf: None,
            jti,
        };
        let token = jsonwebtoken::encode(&self.header, &claims, &self.key)?;
        Ok(AccessToken { token: token.into(), expires_in: ACCESS_TOKEN_LIFE })
    }
}

/// Why a token is not accepted. For logs; a client only learns whether it is worth a new token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Larger than any token of ours.
    #[error("the token is too large")]
    TooLarge,
    /// Not a JWT of three parts with the header of an access token.
    #[error("the token's header is not that of an access token")]
    Header,
    /// No key of the set has its `kid`.
    #[error("the token's key is not known")]
    UnknownKey,
    /// Signature, issuer, audience or form of the claims.
    #[error("the token is not valid: {0}")]
    Invalid(String),
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come, or it would live longer than any token of ours.
    #[error("the token's times are not those of an access token")]
    WrongTimes,
}

/// The only header that an access token has. Any other member is refused, known or not.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader {
    alg: String,
    typ: String,
    kid: String,
}

/// Which key a token says it was signed with, checked as far as that goes without the key.
///
/// # Errors
/// `TooLarge`, `Header`.
pub(super) fn key_of(token: &str) -> Result<String, TokenError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::TooLarge);
    }
    let mut parts = token.split('.');
    let encoded = parts.next().unwrap_or_default();
    // Two more parts and no fifth: five parts are an encrypted token (JWE).
    if parts.count() != 2 {
        return Err(TokenError::Header);
    }
    let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| TokenError::Header)?;
    let header: StrictHeader = serde_json::from_slice(&json).map_err(|_| TokenError::Header)?;
    // The media type is compared without case (RFC 2045), the algorithm exactly (RFC 7515).
    let fits = header.alg == "EdDSA" && header.typ.eq_ignore_ascii_case(ACCESS_TOKEN_TYPE);
    if fits { Ok(header.kid) } else { Err(TokenError::Header) }
}

/// Checks access tokens with the public keys of a realm.
#[derive(Clone)]
pub struct Verifier {
    keys: HashMap<String, DecodingKey>,
    validation: Validation,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("keys", &self.keys.keys()).finish_non_exhaustive()
    }
}

impl Verifier {
    /// A verifier for the tokens of a realm that were signed with one of these keys.
    #[must_use]
    pub fn new(keys: &[PublicKey], realm: &Realm) -> Self {
        crypto::install();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&realm.issuer]);
        validation.set_audience(&[&realm.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // The crate reads the wall clock for both; `check_times` does it with our time.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let named = |key: &PublicKey| (key.kid(), DecodingKey::from_ed_der(key.as_bytes()));
        Self { keys: keys.iter().map(named).collect(), validation }
    }

    pub(super) fn knows(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
    }

    /// Checks a token at the instant `now`.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let kid = key_of(token)?;
        let key = self.keys.get(&kid).ok_or(TokenError::UnknownKey)?;
        let decoded = jsonwebtoken::decode::<Claims>(token, key, &self.validation)
            .map_err(|error| TokenError::Invalid(error.to_string()))?;
        check_times(&decoded.claims, now)?;
        Ok(decoded.claims)
    }
}

fn check_times(claims: &Claims, now: Timestamp) -> Result<(), TokenError> {
    let (now, leeway) = (now.as_second(), LEEWAY.as_secs());
    if now >= claims.exp.saturating_add(leeway) {
        return Err(TokenError::Expired);
    }
    let begins = claims.nbf.unwrap_or(claims.iat).max(claims.iat);
    let life = claims.exp.checked_sub(claims.iat);
    let fits = begins <= now + leeway && life.is_some_and(|life| (1..=ACCESS_TOKEN_LIFE.as_secs()).contains(&life));
    if fits { Ok(()) } else { Err(TokenError::WrongTimes) }
}
