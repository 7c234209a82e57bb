//! How people write dates, numbers and amounts, by locale.
//!
//! A small table that follows the Unicode CLDR, for the locales of our customers' mails and documents. Dates are numeric where
//! the locale's words would not be those of the text around them. Amounts carry the currency's code, since a sign such as `$`
//! is that of many currencies. Integers and text only: what is written is exact.

use std::{fmt, str::FromStr};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::Money;

/// A locale that has its line in the table; its BCP 47 tag on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Locale {
    /// As in the United States.
    #[default]
    En,
    /// As in the United Kingdom.
    EnGb,
    De,
    Fr,
    Es,
    /// As in Brazil.
    PtBr,
    Ja,
}

/// One line of the table.
struct Format {
    tag: &'static str,
    /// Between groups of three digits.
    group: char,
    /// Fewest digits before the first separator for there to be one.
    least_lead: usize,
    decimal: char,
    /// `{code} {number}`, or the other way round.
    code_leads: bool,
    /// What stands between a number and its per cent sign.
    percent_space: &'static str,
    /// strftime.
    date: &'static str,
}

/// A narrow space that does not break, which French sets between groups.
const NARROW: char = '\u{202f}';

impl Locale {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::En, Self::EnGb, Self::De, Self::Fr, Self::Es, Self::PtBr, Self::Ja];

    /// The table.
    fn format(self) -> Format {
        let line = |tag, (group, decimal), date| Format {
            tag,
            group,
            least_lead: 1,
            decimal,
            code_leads: false,
            percent_space: " ",
            date,
        };
        let lead = |format| Format { code_leads: true, percent_space: "", ..format };
        match self {
            Self::En => lead(line("en", (',', '.'), "%b %-d, %Y")),
            Self::EnGb => lead(line("en-GB", (',', '.'), "%-d %b %Y")),
            Self::De => line("de", ('.', ','), "%d.%m.%Y"),
            Self::Fr => line("fr", (NARROW, ','), "%d/%m/%Y"),
            Self::Es => Format { least_lead: 2, ..line("es", ('.', ','), "%-d/%-m/%Y") },
            Self::PtBr => lead(line("pt-BR", ('.', ','), "%d/%m/%Y")),
            Self::Ja => lead(line("ja", (',', '.'), "%Y/%m/%d")),
        }
    }

    /// Its BCP 47 tag.
    #[must_use]
    pub fn tag(self) -> &'static str {
        self.format().tag
    }

    /// A day.
    #[must_use]
    pub fn date(self, date: Date) -> String {
        date.strftime(self.format().date).to_string()
    }

    /// An amount, with as many decimals as its currency has.
    #[must_use]
    pub fn amount(self, amount: Money) -> String {
        let format = self.format();
        let decimals = amount.currency().exponent() as usize;
        let digits = format!("{:0>width$}", amount.minor().unsigned_abs(), width = decimals + 1);
        let (major, minor) = digits.split_at(digits.len() - decimals);
        let sign = if amount.minor() < 0 { "-" } else { "" };
        let number = format!("{sign}{}", format.number(major, minor));
        let code = amount.currency().to_string().to_ascii_uppercase();
        if format.code_leads { format!("{code} {number}") } else { format!("{number} {code}") }
    }

    /// A number given as digits with a point, such as `-1204.5`; text that is none stays as it is.
    #[must_use]
    pub fn number(self, plain: &str) -> String {
        let (sign, digits) = plain.strip_prefix('-').map_or(("", plain), |digits| ("-", digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
            return plain.to_owned();
        }
        format!("{sign}{}", self.format().number(whole, fraction))
    }

    /// A rate in per cent, given as [`Locale::number`] takes it.
    #[must_use]
    pub fn percent(self, plain: &str) -> String {
        format!("{}{}%", self.number(plain), self.format().percent_space)
    }
}

impl Format {
    fn number(&self, whole: &str, fraction: &str) -> String {
        let mut text = String::with_capacity(whole.len() * 2 + fraction.len());
        let grouped = whole.len() >= 3 + self.least_lead;
        for (at, digit) in whole.chars().enumerate() {
            if grouped && at > 0 && (whole.len() - at).is_multiple_of(3) {
                text.push(self.group);
            }
            text.push(digit);
        }
        if !fraction.is_empty() {
            text.push(self.decimal);
            text.push_str(fraction);
        }
        text
    }
}

/// A tag that has no line in the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of the locales en, en-GB, de, fr, es, pt-BR and ja")]
pub struct UnknownLocale(String);

impl FromStr for Locale {
    type Err = UnknownLocale;

    fn from_str(tag: &str) -> Result<Self, UnknownLocale> {
        Self::ALL.into_iter().find(|locale| locale.tag() == tag).ok_or_else(|| UnknownLocale(tag.to_owned()))
    }
}

impl TryFrom<String> for Locale {
    type Error = UnknownLocale;

    fn try_from(tag: String) -> Result<Self, UnknownLocale> {
        tag.parse()
    }
}

impl From<Locale> for String {
    fn from(locale: Locale) -> Self {
        locale.tag().to_owned()
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor: i64, currency: &str) -> Money {
        Money::new(minor, currency.parse().unwrap())
    }

    #[test]
    fn every_locale_has_its_way() {
        let rows: Vec<String> = Locale::ALL
            .into_iter()
            .map(|locale| {
                let parts = [
                    locale.date("2026-08-01".parse().unwrap()),
                    locale.amount(money(-123_456, "eur")),
                    locale.amount(money(1_234_567, "jpy")),
                    locale.number("61480.25"),
                    locale.percent("19.6"),
                ];
                format!("{locale}: {}", parts.join(" | "))
            })
            .collect();
        assert_eq!(
            rows,
            [
                "en: Aug 1, 2026 | EUR -1,234.56 | JPY 1,234,567 | 61,480.25 | 19.6%",
                "en-GB: 1 Aug 2026 | EUR -1,234.56 | JPY 1,234,567 | 61,480.25 | 19.6%",
                "de: 01.08.2026 | -1.234,56 EUR | 1.234.567 JPY | 61.480,25 | 19,6 %",
                "fr: 01/08/2026 | -1\u{202f}234,56 EUR | 1\u{202f}234\u{202f}567 JPY | 61\u{202f}480,25 | 19,6 %",
                "es: 1/8/2026 | -1234,56 EUR | 1.234.567 JPY | 61.480,25 | 19,6 %",
                "pt-BR: 01/08/2026 | EUR -1.234,56 | JPY 1.234.567 | 61.480,25 | 19,6%",
                "ja: 2026/08/01 | EUR -1,234.56 | JPY 1,234,567 | 61,480.25 | 19.6%",
            ]
        );
    }

    #[test]
    fn amounts_are_exact_in_every_currency() {
        let cases = [
            (0, "usd", "USD 0.00"),
            (5, "eur", "EUR 0.05"),
            (-5, "eur", "EUR -0.05"),
            (999, "jpy", "JPY 999"),
            (1_234_567, "kwd", "KWD 1,234.567"),
            (i64::MIN, "usd", "USD -92,233,720,368,547,758.08"),
        ];
        for (minor, currency, expected) in cases {
            assert_eq!(Locale::En.amount(money(minor, currency)), expected);
        }
    }

    #[test]
    fn what_is_no_number_stays_as_it_is() {
        for text in ["", "-", "1/3", "1e5", "1,000", "١٢٣٤"] {
            assert_eq!(Locale::De.number(text), text);
        }
    }

    #[test]
    fn a_tag_is_read_as_it_is_written() {
        for locale in Locale::ALL {
            assert_eq!(locale.tag().parse(), Ok(locale));
        }
        assert!("de-AT".parse::<Locale>().is_err() && "EN".parse::<Locale>().is_err());
    }
}
