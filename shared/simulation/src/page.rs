//! A page of text: paragraphs, rows with figures, rules.
//!
//! Knows widths, not meanings. A sign may take no column, one or two; what is measured is what a terminal shows.

use domain::{Currency, Money};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Columns of the page: those of the narrowest terminal in use.
pub(crate) const WIDTH: usize = 80;

/// Where the names of totals end.
const TOTAL_NAME_END: usize = 58;

/// Where a row's text begins.
const INDENT: usize = 2;

/// Least columns for text beside figures.
const LEAST_TEXT: usize = 20;

/// Least room between two columns.
const GAP: usize = 2;

/// Whether text is for a terminal that shows styles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Text alone.
    Plain,
    /// With bold and dim parts, by ANSI sequences.
    Ansi,
}

/// How a part is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Plain,
    Bold,
    Dim,
}

/// The page so far.
pub(crate) struct Page {
    style: Style,
    text: String,
}

impl Page {
    pub(crate) fn new(style: Style) -> Self {
        Self { style, text: String::new() }
    }

    /// A line as it is.
    pub(crate) fn line(&mut self, line: &str, ink: Ink) {
        let (on, off) = match (self.style, ink) {
            (Style::Plain, _) | (_, Ink::Plain) => ("", ""),
            (Style::Ansi, Ink::Bold) => ("\u{1b}[1m", "\u{1b}[0m"),
            (Style::Ansi, Ink::Dim) => ("\u{1b}[2m", "\u{1b}[0m"),
        };
        for part in [on, line.trim_end(), off, "\n"] {
            self.text.push_str(part);
        }
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    pub(crate) fn rule(&mut self) {
        self.line(&"─".repeat(WIDTH), Ink::Dim);
    }

    /// A title on the left, a word on the right, a rule below.
    pub(crate) fn heading(&mut self, title: &str, word: &str) {
        self.line(&format!("{title}{word:>room$}", room = WIDTH.saturating_sub(title.width())), Ink::Bold);
        self.rule();
    }

    /// Text broken into lines, each indented.
    pub(crate) fn paragraph(&mut self, text: &str, indent: usize, ink: Ink) {
        for line in broken(text, WIDTH - indent) {
            self.line(&indented(&line, indent), ink);
        }
    }

    /// Text on the left, figures on its first line, each ending at a column, or further left where the next one needs room.
    /// Text that leaves them no room is broken into lines; figures that leave the text none stand below it.
    pub(crate) fn row(&mut self, text: &str, figures: &[(&str, usize)], ink: Ink) {
        let mut placed = Vec::new();
        let mut room = WIDTH;
        for (figure, end) in figures.iter().rev().filter(|(figure, _)| !figure.is_empty()) {
            let begin = (*end).min(room).saturating_sub(figure.width());
            placed.push((begin, *figure));
            room = begin.saturating_sub(GAP);
        }
        placed.reverse();
        let is_below = room < INDENT + LEAST_TEXT;
        let mut lines = broken(text, if is_below { WIDTH } else { room } - INDENT).into_iter();
        let first = lines.next().unwrap_or_default();
        if is_below {
            std::iter::once(first).chain(lines).for_each(|line| self.line(&indented(&line, INDENT), ink));
            self.line(&with_figures(String::new(), &placed), ink);
        } else {
            self.line(&with_figures(indented(&first, INDENT), &placed), ink);
            lines.for_each(|line| self.line(&indented(&line, INDENT), ink));
        }
    }

    /// A sum below a column of amounts.
    pub(crate) fn total(&mut self, name: &str, amount: &str, ink: Ink) {
        let begin = TOTAL_NAME_END.saturating_sub(name.width());
        let room = WIDTH - TOTAL_NAME_END;
        self.line(&format!("{}{amount:>room$}", indented(name, begin)), ink);
    }

    /// A sum with what it consists of, if that has room: "Tax (VAT 20%)".
    pub(crate) fn detailed_total(&mut self, name: &str, details: &[String], amount: &str) {
        let detailed = format!("{name} ({})", details.join("; "));
        let is_shown = !details.is_empty() && detailed.width() + INDENT <= TOTAL_NAME_END;
        self.total(if is_shown { &detailed } else { name }, amount, Ink::Plain);
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}

fn indented(line: &str, indent: usize) -> String {
    format!("{}{line}", " ".repeat(indent))
}

/// The line with figures added, each beginning at a column.
fn with_figures(mut line: String, placed: &[(usize, &str)]) -> String {
    for (begin, figure) in placed {
        line.push_str(&" ".repeat(begin.saturating_sub(line.width())));
        line.push_str(figure);
    }
    line
}

/// Breaks text between words into lines of so many columns; a longer word is broken in itself.
fn broken(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.width() + 1 + word.width() <= room {
            line.push(' ');
        } else if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for sign in word.chars() {
            if line.width() + sign.width().unwrap_or_default() > room {
                lines.push(std::mem::take(&mut line));
            }
            line.push(sign);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// An amount in major units, its thousands set apart: "-1,234.50".
pub(crate) fn amount(minor: i64, currency: Currency) -> String {
    let major = Money::new(minor, currency).major().to_string();
    let (sign, digits) = major.strip_prefix('-').map_or(("", &major[..]), |digits| ("-", digits));
    let (whole, fraction) = digits.find('.').map_or((digits, ""), |point| digits.split_at(point));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{fraction}")
}

/// Text without the signs that a terminal obeys.
pub(crate) fn printable(text: &str) -> String {
    let shown = |sign: char| if sign.is_control() { '\u{fffd}' } else { sign };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(minor: i64, code: &str) -> String {
        amount(minor, code.parse().unwrap())
    }

    #[test]
    fn amounts_have_all_their_digits_and_set_thousands_apart() {
        assert_eq!((shown(0, "usd"), shown(-5, "usd")), ("0.00".to_owned(), "-0.05".to_owned()));
        assert_eq!(
            (shown(123_456_789, "usd"), shown(-100_000, "usd")),
            ("1,234,567.89".to_owned(), "-1,000.00".to_owned())
        );
        assert_eq!((shown(1000, "jpy"), shown(999, "kwd")), ("1,000".to_owned(), "0.999".to_owned()));
        assert_eq!(shown(i64::MIN, "usd"), "-92,233,720,368,547,758.08");
    }

    #[test]
    fn text_is_broken_by_what_a_terminal_shows() {
        assert_eq!(broken("one two three", 7), ["one two", "three"]);
        assert_eq!(broken("日本語 日本", 8), ["日本語", "日本"]);
        assert_eq!(broken("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(broken("  ", 3), [""; 0]);
    }

    #[test]
    fn what_a_terminal_obeys_is_not_passed_on() {
        assert_eq!(printable("a\u{1b}[31mb\n"), "a\u{fffd}[31mb\u{fffd}");
    }
}
