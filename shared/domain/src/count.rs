//! Counts on the wire: whole numbers, plain or in a string.
//!
//! Clients write quantities as strings and counts as numbers; where one field looks like the other, both are understood.
//! What is written is a number.
//!
//! Use as `#[serde(deserialize_with = "count::option")]`.

use std::fmt;

use serde::{
    Deserializer,
    de::{Error, Unexpected, Visitor},
};

/// Largest count: all in the wire's formats hold it exactly.
const MAX_COUNT: u64 = 1_000_000_000_000_000;

/// Reads a count, or null.
///
/// # Errors
/// Those of the deserializer, and what is no whole number from 0 to [`MAX_COUNT`].
pub(crate) fn option<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    deserializer.deserialize_any(Count)
}

struct Count;

impl Visitor<'_> for Count {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from 0 to {MAX_COUNT}")
    }

    fn visit_u64<E: Error>(self, count: u64) -> Result<Self::Value, E> {
        if count > MAX_COUNT { Err(E::invalid_value(Unexpected::Unsigned(count), &self)) } else { Ok(Some(count)) }
    }

    fn visit_i64<E: Error>(self, count: i64) -> Result<Self::Value, E> {
        u64::try_from(count)
            .map_err(|_| E::invalid_value(Unexpected::Signed(count), &self))
            .and_then(|count| self.visit_u64(count))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let count = text.parse().ok().filter(|_| digits);
        count.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self)).and_then(|count| self.visit_u64(count))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn whole_numbers_are_counts_and_nothing_else_is() {
        let good = [json!(0), json!(3), json!("3"), json!(MAX_COUNT), Value::Null];
        let read = |value: Value| option(value).map_err(|error| error.to_string());
        assert_eq!(good.map(|value| read(value).unwrap()), [Some(0), Some(3), Some(3), Some(MAX_COUNT), None]);
        for bad in [json!(-1), json!(2.5), json!("2.5"), json!("+3"), json!(""), json!(MAX_COUNT + 1), json!([])] {
            let error = read(bad).unwrap_err();
            assert!(error.ends_with("expected a whole number from 0 to 1000000000000000"), "{error}");
        }
    }
}
