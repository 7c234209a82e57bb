//! Decimals on the wire: plain strings, parsed strictly.
//!
//! **Invariant:** what is written is what is meant. The decimal type itself accepts underscores and exponents and rounds what
//! does not fit; here such text is refused.
//!
//! Use as `#[serde(with = "domain::decimal")]`, or `domain::decimal::option` for `null`.

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Digits before the point: enough for any count and any currency, few enough that a product of two fits 28 digits in all
/// but absurd cases (which are errors).
pub const MAX_WHOLE_DIGITS: usize = 15;
/// Digits after the point: a billionth of a minor unit is priced, finer is a mistake.
pub const MAX_DECIMALS: usize = 12;

/// Text that is not a decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a decimal number such as \"0.25\", of at most {MAX_WHOLE_DIGITS} digits before and {MAX_DECIMALS} after the point"
)]
pub struct NotDecimal;

/// Parses `-?digits[.digits]`.
///
/// # Errors
/// [`NotDecimal`] for anything else, or too many digits.
pub fn parse(text: &str) -> Result<Decimal, NotDecimal> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |part: &str, most: usize| {
        !part.is_empty() && part.len() <= most && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !digits(whole, MAX_WHOLE_DIGITS) || !digits(decimals, MAX_DECIMALS) {
        return Err(NotDecimal);
    }
    Decimal::from_str_exact(text).map_err(|_| NotDecimal)
}

/// Writes a decimal as a string.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Reads a decimal from a string by [`parse`].
///
/// # Errors
/// Those of the deserializer, and [`NotDecimal`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The same for decimals that may be `null`.
pub mod option {
    use super::{Decimal, Deserialize, Deserializer, Error, Serializer, parse};

    /// Writes a decimal as a string, or null.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &Option<Decimal>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a decimal from a string, or null.
    ///
    /// # Errors
    /// Those of the deserializer, and [`super::NotDecimal`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| parse(&text)).transpose().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "Rates and quantities are decimal strings in major units."
    #[test]
    fn plain_decimals_are_read_as_written() {
        for text in ["0", "49.00", "-3.5", "999999999999999.999999999999"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        // There is no negative zero.
        assert_eq!(parse("-0.0").unwrap().to_string(), "0.0");
    }

    #[test]
    fn everything_else_is_refused() {
        let texts = ["", "-", ".5", "5.", "+5", "1_000", "1e3", " 1", "1,5", "NaN", "١"];
        let too_long = ["1000000000000000", "0.0000000000001"];
        for text in texts.into_iter().chain(too_long) {
            assert_eq!(parse(text), Err(NotDecimal), "{text}");
        }
    }
}
