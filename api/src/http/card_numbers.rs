//! Card numbers: recognises what must never enter (PCI DSS: payment tokens only).
//!
//! Looks at text, not at fields, so that a number hidden in a name or in metadata is found too.
//! The Luhn test alone would refuse every tenth long number (timestamps, counters, ids), so a
//! number must also have the prefix and the length of a card scheme.

use std::ops::RangeInclusive;

/// Digits of a card number (ISO/IEC 7812).
const LENGTHS: RangeInclusive<usize> = 13..=19;

/// Digits of a prefix in [`SCHEMES`].
const PREFIX_DIGITS: usize = 4;

/// First four digits and lengths of the card schemes.
const SCHEMES: [(RangeInclusive<u32>, RangeInclusive<usize>); 10] = [
    (4000..=4999, 13..=19), // Visa
    (5000..=5099, 13..=19), // Maestro
    (5100..=5599, 16..=16), // Mastercard
    (2221..=2720, 16..=16), // Mastercard, second series
    (5600..=6999, 13..=19), // Maestro, Discover, UnionPay, RuPay
    (3400..=3499, 15..=15), // American Express
    (3700..=3799, 15..=15), // American Express
    (3000..=3099, 14..=19), // Diners Club
    (3600..=3999, 14..=19), // Diners Club
    (3528..=3589, 16..=19), // JCB
];

/// Whether `text` contains a card number: digits, in one run or in groups separated by single
/// spaces or hyphens, that are no part of a longer word or number.
pub(super) fn contains_card_number(text: &str) -> bool {
    let mut run = Run::default();
    for character in text.chars() {
        match character {
            '0'..='9' => run.digit(character),
            ' ' | '-' if run.may_be_separated() => run.separated = true,
            _ if run.is_card() && !character.is_alphanumeric() => return true,
            _ => run = Run::after(character),
        }
    }
    run.is_card()
}

/// The digits read so far without a break.
#[derive(Default)]
struct Run {
    digits: Vec<u8>,
    separated: bool,
    /// It began inside a word or behind a `+` (a telephone number).
    tainted: bool,
}

impl Run {
    /// The run that begins behind `character`.
    fn after(character: char) -> Self {
        let tainted = character.is_alphanumeric() || matches!(character, '+' | '_');
        Self { tainted, ..Self::default() }
    }

    fn digit(&mut self, digit: char) {
        // A run that is already too long stays too long; it need not grow with the input.
        if self.digits.len() <= *LENGTHS.end() {
            self.digits.extend(digit.to_digit(10).and_then(|value| u8::try_from(value).ok()));
        }
        self.separated = false;
    }

    fn may_be_separated(&self) -> bool {
        !self.digits.is_empty() && !self.separated
    }

    fn is_card(&self) -> bool {
        !self.tainted && LENGTHS.contains(&self.digits.len()) && has_scheme(&self.digits) && passes_luhn(&self.digits)
    }
}

fn has_scheme(digits: &[u8]) -> bool {
    let prefix = digits.iter().take(PREFIX_DIGITS).fold(0, |sum, digit| sum * 10 + u32::from(*digit));
    SCHEMES.iter().any(|(prefixes, lengths)| prefixes.contains(&prefix) && lengths.contains(&digits.len()))
}

/// The Luhn test (ISO/IEC 7812-1, annex B).
fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| match u32::from(*digit) {
            digit if index % 2 == 0 => digit,
            digit if digit > 4 => digit * 2 - 9,
            digit => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::contains_card_number;

    #[test]
    fn card_numbers_are_found_however_they_are_written() {
        for text in [
            "4242424242424242",
            "4242 4242 4242 4242",
            "4000-0566-5566-5556",
            "378282246310005",
            "3782 822463 10005",
            "6011111111111117",
            "2223003122003222",
            "card: 5555555555554444, thanks",
            "(30569309025904)",
            "6205500000000000004",
        ] {
            assert!(contains_card_number(text), "{text}");
        }
    }

    #[test]
    fn other_numbers_pass() {
        for text in [
            "4242424242424241",                     // fails the Luhn test
            "1735689600005",                        // milliseconds; passes Luhn, no scheme
            "usr_4242424242424242",                 // an id
            "a4242424242424242",                    // inside a word
            "4242424242424242f",                    // inside a word
            "+4242424242424242",                    // a telephone number
            "424242424242424242424242",             // too long
            "4242  4242  4242  4242",               // separate numbers
            "01980000-0000-7000-8000-000000000000", // a UUID
            "pm_card_visa",
            "",
        ] {
            assert!(!contains_card_number(text), "{text}");
        }
    }
}
