//! The secret key, as Stripe takes it: a bearer token or the user name of basic authentication.
//! Any non-empty key is accepted: the sandbox has one account and guards nothing.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use crate::errors::ApiError;

/// Proof that the request carried a key.
#[derive(Debug)]
pub(crate) struct SecretKey;

impl<S: Sync> FromRequestParts<S> for SecretKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let header = parts.headers.get(AUTHORIZATION);
        let value = header.and_then(|value| value.to_str().ok()).unwrap_or("");
        if carries_key(value) { Ok(Self) } else { Err(ApiError::unauthenticated()) }
    }
}

fn carries_key(authorization: &str) -> bool {
    let Some((scheme, key)) = authorization.split_once(' ') else {
        return false;
    };
    let key = key.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return !key.is_empty();
    }
    scheme.eq_ignore_ascii_case("basic") && !key.is_empty() && !starts_with_colon(key)
}

/// Whether the base64 text decodes to something that begins with a colon: an empty user name. The
/// colon's six upper bits are `O`, its two lower bits leave `g` to `v` for the second character.
fn starts_with_colon(base64: &str) -> bool {
    let mut chars = base64.bytes();
    chars.next() == Some(b'O') && chars.next().is_some_and(|c| (b'g'..=b'v').contains(&c))
}

#[cfg(test)]
mod tests {
    use super::carries_key;

    #[test]
    fn a_key_is_needed_in_either_form() {
        for accepted in ["Bearer sk_test_1", "bearer x", "Basic c2tfdGVzdF8xOg=="] {
            assert!(carries_key(accepted), "{accepted}");
        }
        for refused in ["", "Bearer", "Bearer  ", "Basic Og==", "Basic OnNlY3JldA==", "Digest abc", "sk_test_1"] {
            assert!(!carries_key(refused), "{refused}");
        }
    }
}
