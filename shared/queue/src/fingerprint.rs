//! Which failures are the same: [`fingerprint`].
//!
//! Owns what of a message counts: its words. Numbers, ids and quoted text are what differs from case to case.
//!
//! **Invariant:** the same job, code and message give the same fingerprint in every process and version: groups and the
//! mirror hold it. A change here splits groups that lie in Redis already.

use sha2::{Digest, Sha256};

/// Bytes of the digest that are kept: 48 bits tell apart far more kinds of failure than there ever are.
const DIGEST_BYTES: usize = 6;

/// Words from this length on are ids if they look like one; shorter ones are rather codes and units.
const ID_CHARS: usize = 8;

/// Quotes and what ends them.
const QUOTES: [(char, char); 5] = [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('‘', '’')];

/// Twelve hexadecimal digits that failures of one kind share: SHA-256 over job, code and the message's words.
pub(crate) fn fingerprint(job: &str, code: &str, message: &str) -> String {
    let digest = Sha256::digest(format!("{job}\n{code}\n{}", normalised(message)));
    digest.iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// The message with `#` for numbers, `*` for ids and quoted text, and single blanks.
fn normalised(message: &str) -> String {
    let mut reader = Reader { rest: message, before: ' ' };
    let mut words = String::with_capacity(message.len());
    while let Some(piece) = reader.next_piece() {
        match piece {
            Piece::Blank if words.is_empty() || words.ends_with(' ') => {}
            Piece::Blank => words.push(' '),
            Piece::Number => words.push('#'),
            Piece::Quoted => words.push('*'),
            Piece::Word(word) if is_id(word) => words.push('*'),
            Piece::Word(word) => push_without_numbers(word, &mut words),
            Piece::Sign(sign) => words.push(sign),
        }
    }
    words.truncate(words.trim_end().len());
    words
}

/// What a message is made of.
enum Piece<'a> {
    Blank,
    /// Digits, with a point, comma or colon among them.
    Number,
    Quoted,
    /// ASCII letters, digits, `_` and `-`.
    Word(&'a str),
    Sign(char),
}

struct Reader<'a> {
    rest: &'a str,
    /// The character before the rest.
    before: char,
}

impl<'a> Reader<'a> {
    fn next_piece(&mut self) -> Option<Piece<'a>> {
        let first = self.rest.chars().next()?;
        if first.is_whitespace() {
            self.take(self.rest.len() - self.rest.trim_start().len());
            return Some(Piece::Blank);
        }
        if let Some(length) = self.quoted(first) {
            self.take(length);
            return Some(Piece::Quoted);
        }
        let word = self.rest.find(|sign| !is_word_char(sign)).unwrap_or(self.rest.len());
        if word == 0 {
            self.take(first.len_utf8());
            return Some(Piece::Sign(first));
        }
        if self.rest[..word].bytes().all(|byte| byte.is_ascii_digit()) {
            self.take(number_length(self.rest));
            return Some(Piece::Number);
        }
        Some(Piece::Word(self.take(word)))
    }

    /// Takes so many bytes, at least one character.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.before = taken.chars().next_back().unwrap_or(self.before);
        self.rest = rest;
        taken
    }

    /// Length of a quotation that begins here. A quote within a word is an apostrophe, one without an end a sign.
    fn quoted(&self, first: char) -> Option<usize> {
        let (_, end) = QUOTES.into_iter().find(|(begin, _)| *begin == first)?;
        if self.before.is_alphanumeric() {
            return None;
        }
        let mut escaped = false;
        for (at, sign) in self.rest.char_indices().skip(1) {
            if sign == end && !escaped {
                return Some(at + sign.len_utf8());
            }
            escaped = sign == '\\' && !escaped;
        }
        None
    }
}

fn is_word_char(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || sign == '_' || sign == '-'
}

/// Length of the number at the begin: digits, and what separates digits, as in `1,234.50` or `10.0.0.1:6379`.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = 0;
    while is_digit(at) || (matches!(bytes.get(at), Some(b'.' | b',' | b':')) && is_digit(at + 1)) {
        at += 1;
    }
    at
}

/// Whether a word is long and has a digit, is hexadecimal, or mixes capitals as only chance does.
fn is_id(word: &str) -> bool {
    if word.len() < ID_CHARS {
        return false;
    }
    let count = |is: fn(&u8) -> bool| word.bytes().filter(is).count();
    let (capital, small) = (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
    let letters = capital + small;
    count(u8::is_ascii_digit) > 0
        || count(u8::is_ascii_hexdigit) == word.len()
        // Of names such as ServerSelectionTimeout fewer than a quarter are capitals.
        || (letters >= ID_CHARS && capital * 4 >= letters && small * 4 >= letters)
}

fn push_without_numbers(word: &str, words: &mut String) {
    let mut in_number = false;
    for sign in word.chars() {
        let is_digit = sign.is_ascii_digit();
        if !is_digit {
            words.push(sign);
        } else if !in_number {
            words.push('#');
        }
        in_number = is_digit;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_differs_from_case_to_case_is_left_out() {
        for (message, words) in [
            ("", ""),
            ("the worker went silent", "the worker went silent"),
            ("  spread\n\tover   lines ", "spread over lines"),
            ("aborted after 60ms", "aborted after #ms"),
            ("aborted after 1.5s", "aborted after #s"),
            ("1,234.50 EUR of 7 (3 left)", "# EUR of # (# left)"),
            ("connecting to 10.0.0.1:6379", "connecting to #"),
            ("HTTP 503: try again in 30 s.", "HTTP #: try again in # s."),
            ("customer cus_3kTMd9aQ0xPz1V is gone", "customer * is gone"),
            ("job kTMdaQxPzVabQd", "job *"),
            ("id 550e8400-e29b-41d4-a716-446655440000, deadbeef", "id *, *"),
            ("missing field `amount` at line 1 column 48", "missing field * at line # column #"),
            (r#"no plan "gold \"plus\"" for 'acme corp'"#, "no plan * for *"),
            ("it didn't answer, the gateway's fault", "it didn't answer, the gateway's fault"),
            ("an open \"quote", "an open \"quote"),
            ("READONLY CLUSTERDOWN ServerSelectionTimeout", "READONLY CLUSTERDOWN ServerSelectionTimeout"),
            ("Zeitüberschreitung „später“ 5×", "Zeitüberschreitung „später“ #×"),
            ("v2 of sha256", "v# of sha#"),
        ] {
            assert_eq!(normalised(message), words, "{message:?}");
        }
    }

    #[test]
    fn a_fingerprint_is_for_ever() {
        let one = fingerprint("collect_payment", "gateway_unavailable", "HTTP 503 for inv_20260710cone");
        assert_eq!(one, "fd98ca905700");
        assert_eq!(one, fingerprint("collect_payment", "gateway_unavailable", "HTTP 502  for inv_20260811ctwo"));
        for (job, code, message) in [
            ("collect_payments", "gateway_unavailable", "HTTP 503 for inv_20260710cone"),
            ("collect_payment", "gateway_timeout", "HTTP 503 for inv_20260710cone"),
            ("collect_payment", "gateway_unavailable", "HTTP 503 of inv_20260710cone"),
        ] {
            assert_ne!(one, fingerprint(job, code, message));
        }
    }

    proptest! {
        #[test]
        fn any_message_has_one_and_numbers_do_not_matter(head in "\\PC{0,40}", one: u32, other: u32) {
            let _of_anything = fingerprint("job", "code", &head);
            let with = |number: u32| normalised(&format!("{head} {number} left"));
            prop_assert_eq!(with(one), with(other));
        }

        #[test]
        fn blanks_are_single(message in "[a-z \\n\\t\"']{0,60}") {
            let words = normalised(&message);
            prop_assert!(!words.contains("  ") && words.trim() == words);
        }
    }
}
