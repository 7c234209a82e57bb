//! Quantities as BSON Decimal128, so that the database sums them exactly.

use std::str::FromStr;

use bson::Decimal128;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::StoreError;

pub(crate) fn serialize<S: Serializer>(quantity: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    Decimal128::from_str(&quantity.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    parse(&Decimal128::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Reads a database sum.
///
/// # Errors
/// `Corrupt` when the sum does not fit 28 digits: it must never be rounded silently.
pub(crate) fn parse(sum: &Decimal128) -> Result<Decimal, StoreError> {
    let text = sum.to_string();
    let digits = text.split_once(['e', 'E']).map_or(text.as_str(), |(digits, _)| digits);
    // Reading an exponent rounds digits that do not fit; so they are read exactly first.
    Decimal::from_str_exact(digits)
        .and_then(|exact| if digits.len() == text.len() { Ok(exact) } else { Decimal::from_scientific(&text) })
        .map_err(|error| StoreError::Corrupt(format!("quantity {text} is not an exact decimal: {error}")))
}
