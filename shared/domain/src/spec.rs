//! Rule violations in what clients write, named by path, and the rules that many bodies share.

use rust_decimal::Decimal;

/// Longest key: keys stand in ids, metrics and mails.
const MAX_KEY_BYTES: usize = 64;

/// A rule that a body violates, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} {rule}")]
pub struct SpecError {
    /// Path in the body, such as `prices[1].model.tiers[2].up_to`.
    pub path: String,
    /// The rule, as the rest of a sentence that begins with the path.
    pub rule: String,
}

impl SpecError {
    /// A rule that is violated at `path`.
    pub fn new(path: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { path: path.into(), rule: rule.into() }
    }

    /// The same violation, seen from the object that contains it at `parent`.
    #[must_use]
    pub fn below(self, parent: &str) -> Self {
        Self { path: format!("{parent}.{}", self.path), rule: self.rule }
    }
}

/// Keys are lower-case letters, digits, `_` and `-`.
pub(crate) fn check_key(path: &str, key: &str) -> Result<(), SpecError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    if key.is_empty() || key.len() > MAX_KEY_BYTES || !key.bytes().all(allowed) {
        let rule = format!("must be 1 to {MAX_KEY_BYTES} lower-case letters, digits, `_` or `-`");
        return Err(SpecError::new(path, rule));
    }
    Ok(())
}

/// A shown name is a line of text; where it may be left out, it is not empty.
pub(crate) fn check_name(path: &str, name: Option<&str>) -> Result<(), SpecError> {
    /// Longest name: it is one line of an invoice.
    const MAX_NAME_CHARS: usize = 200;
    let fits = |name: &str| {
        !name.trim().is_empty() && name.chars().count() <= MAX_NAME_CHARS && !name.chars().any(char::is_control)
    };
    if name.is_none_or(fits) {
        return Ok(());
    }
    Err(SpecError::new(path, format!("must be one line of 1 to {MAX_NAME_CHARS} characters")))
}

/// What is charged is never negative: credits have their own ways.
pub(crate) fn check_not_negative(path: impl Into<String>, number: Decimal) -> Result<(), SpecError> {
    if number.is_sign_negative() && !number.is_zero() {
        return Err(SpecError::new(path, "must not be negative"));
    }
    Ok(())
}
