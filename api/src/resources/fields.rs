//! Fields that several resources have: names, addresses, metadata, instants, dates.
//!
//! Owns their limits and what is wrong with a value, as a 422 with its place.

use std::collections::BTreeMap;

use billing::MAX_METADATA_ENTRIES;
pub(crate) use billing::MetadataPatch;
use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use utoipa::ToSchema;

use crate::http::problem::Problem;

/// Longest name: it is one line of an invoice.
const MAX_NAME_CHARS: usize = 200;

/// Longest e-mail address (RFC 5321, 4.5.3.1, less the angle brackets).
const MAX_EMAIL_BYTES: usize = 254;

/// Longest part of an address before the `@` (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;

/// Longest label of a domain name (RFC 1035, 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// Longest token of a payment gateway.
const MAX_TOKEN_BYTES: usize = 255;

/// Longest key of an entry.
const MAX_METADATA_KEY_CHARS: usize = 40;

/// Where metadata stands in a body.
const POINTER: &str = "/metadata";

/// Longest value of an entry.
const MAX_METADATA_VALUE_CHARS: usize = 500;

/// Strings that belong to the client.
pub(crate) type Metadata = BTreeMap<String, String>;

/// The body of an action that needs none.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct NoFields {}

/// An instant of a client's, cut to the millisecond that the store keeps, so that what is answered is what is stored.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Instant(pub Timestamp);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let at = Timestamp::deserialize(deserializer)?;
        Timestamp::from_millisecond(at.as_millisecond()).map(Self).map_err(D::Error::custom)
    }
}

/// A decimal that is written plainly, as a string.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Quantity(#[serde(with = "domain::decimal")] pub Decimal);

/// A half-open range of local dates of the customer.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Period {
    /// First day in it.
    #[schema(example = "2026-08-01")]
    pub start: Date,
    /// First day after it.
    #[schema(example = "2026-09-01")]
    pub end: Date,
}

impl From<domain::BillingPeriod> for Period {
    fn from(period: domain::BillingPeriod) -> Self {
        Self { start: period.start, end: period.end }
    }
}

/// A shown name.
///
/// # Errors
/// 422 unless it is one line of 1 to 200 characters.
pub(crate) fn name(pointer: &str, name: String) -> Result<String, Problem> {
    let fits = (1..=MAX_NAME_CHARS).contains(&name.trim().chars().count())
        && name.chars().count() <= MAX_NAME_CHARS
        && !name.chars().any(char::is_control);
    if fits { Ok(name) } else { Err(refused(pointer, "invalid_name", "must be one line of 1 to 200 characters")) }
}

/// An e-mail address: `local@domain` in ASCII, without quotes and comments, so that every mail server takes it.
///
/// # Errors
/// 422 for anything else.
pub(crate) fn email(pointer: &str, address: String) -> Result<String, Problem> {
    let parts = address.rsplit_once('@').filter(|_| address.len() <= MAX_EMAIL_BYTES);
    let fits = parts.is_some_and(|(local, domain)| is_local_part(local) && is_domain(domain));
    if fits {
        Ok(address)
    } else {
        Err(refused(pointer, "invalid_email", "must be an address such as ada@acme.example"))
    }
}

fn is_local_part(local: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    local.len() <= MAX_LOCAL_BYTES && local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(allowed))
}

fn is_domain(domain: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_label = |label: &str| {
        (1..=MAX_LABEL_BYTES).contains(&label.len())
            && label.bytes().all(allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.split('.').all(is_label)
}

/// The payment gateway's token for a payment method.
///
/// # Errors
/// 422 unless it is 1 to 255 printable ASCII characters without spaces.
pub(crate) fn token(pointer: &str, token: String) -> Result<String, Problem> {
    if (1..=MAX_TOKEN_BYTES).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(token);
    }
    Err(refused(pointer, "invalid_token", "must be the payment gateway's token: 1 to 255 printable characters"))
}

/// An object's metadata.
///
/// # Errors
/// 422 beyond 50 entries, 40 characters of a key (at least 1) or 500 of a value.
pub(crate) fn metadata(metadata: Metadata) -> Result<Metadata, Problem> {
    if metadata.len() > MAX_METADATA_ENTRIES {
        return Err(refused(POINTER, "too_many_entries", "must have at most 50 entries"));
    }
    for (key, value) in &metadata {
        check_entry(key, value)?;
    }
    Ok(metadata)
}

/// A change of an object's metadata.
///
/// # Errors
/// 422 as for [`metadata`].
pub(crate) fn metadata_patch(patch: MetadataPatch) -> Result<MetadataPatch, Problem> {
    for (key, value) in &patch {
        check_entry(key, value.as_deref().unwrap_or_default())?;
    }
    Ok(patch)
}

fn check_entry(key: &str, value: &str) -> Result<(), Problem> {
    if !(1..=MAX_METADATA_KEY_CHARS).contains(&key.chars().count()) {
        return Err(refused(POINTER, "invalid_key", "must have keys of 1 to 40 characters"));
    }
    if value.chars().count() > MAX_METADATA_VALUE_CHARS {
        return Err(refused(POINTER, "value_too_long", "must have values of at most 500 characters"));
    }
    Ok(())
}

/// The 422 for one field; `rule` is the rest of a sentence that begins with the field.
pub(crate) fn refused(pointer: &str, code: &str, rule: &str) -> Problem {
    Problem::rule_violated("rule_violated", format!("{} {rule}", pointer.trim_start_matches('/')))
        .at(pointer, code, rule)
}

#[cfg(test)]
mod tests {
    use super::{Instant, Metadata, Quantity, email, metadata, name, token};

    #[test]
    fn addresses_are_those_that_every_server_takes() {
        for good in ["ada@acme.example", "a.b+c@x-y.example", "0042@customers.example", "root@localhost"] {
            assert!(email("/email", good.to_owned()).is_ok(), "{good}");
        }
        let long = format!("{}@acme.example", "x".repeat(65));
        for bad in [
            "",
            "ada",
            "@acme.example",
            "ada@",
            "a b@acme.example",
            "a@b@c d",
            "ada@acme..example",
            ".ada@acme.example",
            "ada@-acme.example",
            "ada\r\nBcc: x@acme.example",
            "\"a\"@acme.example",
            "ådå@acme.example",
            &long,
        ] {
            let problem = email("/email", bad.to_owned()).expect_err(bad);
            assert_eq!((problem.status().as_u16(), &*problem.errors()[0].pointer), (422, "/email"));
        }
    }

    #[test]
    fn names_are_one_line() {
        assert!(name("/name", "Ada Lovelace, Ltd. ✓".to_owned()).is_ok());
        for bad in [String::new(), " ".to_owned(), "a\nb".to_owned(), "x".repeat(201)] {
            assert!(name("/name", bad).is_err());
        }
    }

    #[test]
    fn a_token_is_plain() {
        assert!(token("/payment_method", "pm_1".to_owned()).is_ok());
        for bad in ["", "pm 1", "pm\n"] {
            assert!(token("/payment_method", bad.to_owned()).is_err());
        }
    }

    #[test]
    fn metadata_is_bounded() {
        let entry = |key: &str, value: &str| Metadata::from([(key.to_owned(), value.to_owned())]);
        let many = |count: usize| (0..count).map(|number| (number.to_string(), String::new())).collect::<Metadata>();
        assert!(metadata(many(50)).is_ok() && metadata(many(51)).is_err());
        assert!(metadata(entry(&"k".repeat(40), "")).is_ok() && metadata(entry(&"k".repeat(41), "")).is_err());
        assert!(metadata(entry("k", &"v".repeat(500))).is_ok() && metadata(entry("k", &"v".repeat(501))).is_err());
        assert!(metadata(entry("", "v")).is_err());
    }

    #[test]
    fn instants_are_cut_and_decimals_are_plain() {
        let at: Instant = serde_json::from_str("\"2026-08-01T12:00:00.123456+02:00\"").expect("an instant");
        assert_eq!(at.0.to_string(), "2026-08-01T10:00:00.123Z");
        assert!(serde_json::from_str::<Quantity>("\"2.50\"").is_ok());
        for bad in ["2", "\"1e3\"", "\"1_000\""] {
            assert!(serde_json::from_str::<Quantity>(bad).is_err(), "{bad}");
        }
    }
}
