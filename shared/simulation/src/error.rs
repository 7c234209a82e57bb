//! What is wrong with a scenario, and where.

use std::fmt::Write as _;

/// Longest key that is repeated in a path; keys are the client's, and the line is for people.
const MAX_SHOWN_KEY_CHARS: usize = 64;

/// Longest rule that is told: enough for a list of field names.
const MAX_RULE_CHARS: usize = 300;

/// A scenario that cannot be simulated: one line of text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} {rule}")]
pub struct SimulationError {
    /// Place in the scenario, such as `plans[0].prices[1].model.tiers[2].up_to`; `scenario` for all of it.
    pub path: String,
    /// The rule, as the rest of a sentence that begins with the path.
    pub rule: String,
}

impl SimulationError {
    pub(crate) fn new(path: impl Into<String>, rule: impl AsRef<str>) -> Self {
        Self { path: path.into(), rule: one_line(rule.as_ref()) }
    }

    /// Of the scenario as a whole.
    pub(crate) fn whole(rule: impl AsRef<str>) -> Self {
        Self::new("scenario", rule)
    }
}

/// What clients write may hold line breaks and other signs that a terminal obeys.
fn one_line(text: &str) -> String {
    let shown = |sign: char| if sign.is_control() { ' ' } else { sign };
    let mut line: String = text.chars().take(MAX_RULE_CHARS).map(shown).collect();
    if text.chars().nth(MAX_RULE_CHARS).is_some() {
        line.push('…');
    }
    line
}

/// Appends a field's key to a path: `.key`, or `["a key"]` if it is no plain word.
pub(crate) fn push_key(path: &mut String, key: &str) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let cut: String = key.chars().take(MAX_SHOWN_KEY_CHARS).collect();
    if cut.is_empty() || !cut.bytes().all(plain) {
        // Debug escapes what is not printed. Writing to a string cannot fail.
        let _ = write!(path, "[{cut:?}]");
    } else {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&cut);
    }
}

/// A member of an object.
pub(crate) fn member(parent: &str, key: &str) -> String {
    let mut path = parent.to_owned();
    push_key(&mut path, key);
    path
}

/// An element of a list.
pub(crate) fn element(list: &str, index: usize) -> String {
    format!("{list}[{index}]")
}
