//! Instants on the wire: RFC 3339, nothing looser, in years in which somebody may be billed.
//!
//! Use as `#[serde(with = "instant")]`, or `instant::option` where it may be left out.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::Error};

/// Seconds since 1970 at the beginning of the year 2200: later ones are typing errors, as are those before 1970.
const YEAR_2200: i64 = 7_258_118_400;

/// Text that is no instant; a rule.
const NOT_AN_INSTANT: &str = "must be an instant such as 2024-01-31T05:00:00Z";

fn parse(text: &str) -> Result<Timestamp, &'static str> {
    // The parser takes more than RFC 3339 does, such as dates without separators and zones in brackets.
    let shape: String = text.chars().map(|sign| if sign.is_ascii_digit() { '0' } else { sign }).collect();
    let rest = shape.strip_prefix("0000-00-00T00:00:00").ok_or(NOT_AN_INSTANT)?;
    let offset = match rest.strip_prefix('.') {
        Some(fraction) if fraction.starts_with('0') => fraction.trim_start_matches('0'),
        Some(_) => return Err(NOT_AN_INSTANT),
        None => rest,
    };
    if !matches!(offset, "Z" | "+00:00" | "-00:00") {
        return Err(NOT_AN_INSTANT);
    }
    let at: Timestamp = text.parse().map_err(|_| NOT_AN_INSTANT)?;
    // As everywhere in the product, finer parts of a second are dropped.
    let at = Timestamp::from_millisecond(at.as_millisecond()).map_err(|_| NOT_AN_INSTANT)?;
    if (0..YEAR_2200).contains(&at.as_second()) { Ok(at) } else { Err("must be in the years 1970 to 2199") }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The same for instants that may be left out.
pub(crate) mod option {
    use super::{Deserialize, Deserializer, Error, Timestamp, parse};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| parse(&text)).transpose().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rfc_3339_is_an_instant() {
        for (text, utc) in [
            ("2024-01-31T05:00:00Z", "2024-01-31T05:00:00Z"),
            ("2024-01-31T05:00:00.2509Z", "2024-01-31T05:00:00.25Z"),
            ("2024-01-31T00:00:00-05:00", "2024-01-31T05:00:00Z"),
            ("2199-12-31T23:59:59Z", "2199-12-31T23:59:59Z"),
        ] {
            assert_eq!(parse(text).map(|at| at.to_string()), Ok(utc.to_owned()));
        }
        for text in [
            "",
            "now",
            "2024-01-31",
            "2024-01-31T05:00Z",
            "2024-01-31T05:00:00",
            "2024-01-31T05:00:00.Z",
            "20240131T050000Z",
            "2024-02-30T05:00:00Z",
            "2024-01-31T05:00:00Z[UTC]",
            "2024-01-31T05:00:00+05",
            "٢٠٢٤-01-31T05:00:00Z",
        ] {
            assert_eq!(parse(text), Err(NOT_AN_INSTANT), "{text}");
        }
        for text in ["1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "9998-12-31T00:00:00Z"] {
            assert_eq!(parse(text), Err("must be in the years 1970 to 2199"), "{text}");
        }
    }
}
