//! Text from outside, made fit for one line of a mail.

use std::fmt;

/// Names and descriptions are shorter; what is longer would only push the amounts out of sight.
const MAX_CHARS: usize = 160;
/// A paragraph is a few sentences around names; what is longer would not be read.
const MAX_PARAGRAPH_CHARS: usize = 800;

/// A single line without control characters: every run of white space and control characters is one
/// space, what is too long (a name of more than 160 characters) ends in an ellipsis.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OneLine(String);

impl OneLine {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Running text of up to 800 characters.
    #[must_use]
    pub fn paragraph(text: impl AsRef<str>) -> Self {
        Self::of(text.as_ref(), MAX_PARAGRAPH_CHARS)
    }

    fn of(text: &str, max_chars: usize) -> Self {
        let words = text
            .split(|c: char| (c.is_whitespace() && !is_unbreakable(c)) || c.is_control() || is_invisible(c))
            .filter(|word| !word.is_empty());
        let line = words.collect::<Vec<_>>().join(" ");
        if line.chars().count() <= max_chars {
            return Self(line);
        }
        let mut short: String = line.chars().take(max_chars - 1).collect();
        short.truncate(short.trim_end().len());
        short.push('…');
        Self(short)
    }
}

impl<T: AsRef<str>> From<T> for OneLine {
    fn from(text: T) -> Self {
        Self::of(text.as_ref(), MAX_CHARS)
    }
}

/// Marks that turn the direction of the text after them, and line separators: with these a name
/// could disguise the amount beside it.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Spaces that hold the groups of a number together.
fn is_unbreakable(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{202f}')
}

impl fmt::Display for OneLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_comes_becomes_one_visible_line() {
        let line = OneLine::from("  Acme\r\n\r\nPay to:\u{202e} evil\t\u{0}Inc ");
        assert_eq!(line.as_str(), "Acme Pay to: evil Inc");
    }

    #[test]
    fn what_is_too_long_says_so() {
        let line = OneLine::from("ä".repeat(500));
        assert_eq!(line.as_str().chars().count(), MAX_CHARS);
        assert!(line.as_str().ends_with('…'));
    }
}
