//! Whose letter it is: name, colour and where to ask.

use std::{fmt, str::FromStr};

use super::OneLine;

/// Text is legible from this contrast on (WCAG 2.2, 1.4.3).
const LEGIBLE: f64 = 4.5;
/// A colour that is not legible goes a tenth of the way to black or white at a time.
const STEP: f64 = 0.1;

/// The sender as the reader knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brand {
    /// Stands at the top of the letter.
    pub name: OneLine,
    /// Colours the headline's label and the button.
    pub colour: Colour,
    /// The mail address that answers questions.
    pub support: Option<OneLine>,
}

/// A colour: red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour([u8; 3]);

impl Colour {
    /// Of a tenant that has not chosen any.
    pub const DEFAULT: Self = Self([0x0b, 0x6e, 0x57]);
    /// Of what is wrong.
    pub(super) const ALARM: Self = Self([0xb3, 0x26, 0x1e]);
    const WHITE: Self = Self([0xff; 3]);
    const BLACK: Self = Self([0x15, 0x20, 0x2b]);
    /// The letter's paper where the reader prefers it dark.
    const DARK_PAPER: Self = Self([0x16, 0x1d, 0x23]);

    /// This colour, darkened until it is legible on white paper.
    #[must_use]
    pub fn on_white(self) -> Self {
        self.towards(Self::BLACK, Self::WHITE)
    }

    /// This colour, lightened until it is legible on dark paper.
    #[must_use]
    pub fn on_dark(self) -> Self {
        self.towards(Self::WHITE, Self::DARK_PAPER)
    }

    /// Black or white, whichever is legible upon this colour.
    #[must_use]
    pub fn ink(self) -> Self {
        if self.contrast(Self::WHITE) >= self.contrast(Self::BLACK) { Self::WHITE } else { Self::BLACK }
    }

    fn towards(self, end: Self, paper: Self) -> Self {
        (0..=10)
            .map(|tenths| self.mixed(end, f64::from(tenths) * STEP))
            .find(|colour| colour.contrast(paper) >= LEGIBLE)
            .unwrap_or(end)
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two bytes lies a byte")]
    fn mixed(self, other: Self, share: f64) -> Self {
        let mix = |at: usize| {
            let (from, to) = (f64::from(self.0[at]), f64::from(other.0[at]));
            (from + (to - from) * share).round() as u8
        };
        Self([mix(0), mix(1), mix(2)])
    }

    /// WCAG's contrast ratio, 1 to 21.
    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    fn luminance(self) -> f64 {
        let linear = |byte: u8| {
            let share = f64::from(byte) / 255.0;
            if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.0;
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }
}

impl FromStr for Colour {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "expected a colour such as #0b6e57";
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6).ok_or(RULE)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(RULE);
        }
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| RULE);
        Ok(Self([byte(0)?, byte(2)?, byte(4)?]))
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_colour_a_tenant_chooses_is_legible() {
        for text in ["#000000", "#ffffff", "#ffff00", "#0b6e57", "#ff00ff", "#808080", "#00ffff"] {
            let colour: Colour = text.parse().unwrap();
            assert!(colour.on_white().contrast(Colour::WHITE) >= LEGIBLE, "{text} on white");
            assert!(colour.on_dark().contrast(Colour::DARK_PAPER) >= LEGIBLE, "{text} on dark");
            for button in [colour.on_white(), colour.on_dark()] {
                assert!(button.contrast(button.ink()) >= LEGIBLE, "{text} as a button");
            }
        }
        assert_eq!(Colour::DEFAULT.on_white(), Colour::DEFAULT, "what is legible stays");
    }

    #[test]
    fn a_colour_is_six_digits() {
        assert_eq!("#0B6e57".parse::<Colour>().unwrap().to_string(), "#0b6e57");
        for bad in ["0b6e57", "#0b6e5", "#0b6e577", "#+b6e57", "red", "#0b6e5ä", "#ffffff;}"] {
            assert!(bad.parse::<Colour>().is_err(), "{bad}");
        }
    }
}
