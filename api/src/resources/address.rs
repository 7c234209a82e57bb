//! Postal addresses, as clients write and see them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::refused;
use crate::http::problem::Problem;

/// Longest part of an address: a line on an envelope.
const MAX_PART_CHARS: usize = 200;

/// A postal address; every part may be left out.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Address {
    #[schema(example = "12 St James's Square")]
    line1: Option<String>,
    line2: Option<String>,
    #[schema(example = "SW1Y 4JH")]
    postal_code: Option<String>,
    #[schema(example = "London")]
    city: Option<String>,
    state: Option<String>,
    /// ISO 3166-1, two upper-case letters.
    #[schema(example = "GB", pattern = "^[A-Z]{2}$")]
    country: Option<String>,
}

impl Address {
    /// # Errors
    /// 422 for a part that is not one line of 1 to 200 characters, or a country that is no two upper-case letters.
    pub(super) fn parse(self) -> Result<store::Address, Problem> {
        Ok(store::Address {
            line1: part("/address/line1", self.line1)?,
            line2: part("/address/line2", self.line2)?,
            postal_code: part("/address/postal_code", self.postal_code)?,
            city: part("/address/city", self.city)?,
            state: part("/address/state", self.state)?,
            country: country(self.country)?,
        })
    }

    pub(super) fn of(address: store::Address) -> Self {
        let store::Address { line1, line2, postal_code, city, state, country } = address;
        Self { line1, line2, postal_code, city, state, country }
    }
}

fn part(pointer: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    let fits = |text: &String| {
        (1..=MAX_PART_CHARS).contains(&text.chars().count())
            && !text.trim().is_empty()
            && !text.chars().any(char::is_control)
    };
    if text.as_ref().is_none_or(fits) {
        return Ok(text);
    }
    Err(refused(pointer, "invalid_value", "must be one line of 1 to 200 characters"))
}

fn country(code: Option<String>) -> Result<Option<String>, Problem> {
    let fits = |code: &String| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    if code.as_ref().is_none_or(fits) {
        return Ok(code);
    }
    Err(refused("/address/country", "invalid_value", "must be two upper-case letters (ISO 3166-1)"))
}
