//! Money: whole minor units of a currency.
//!
//! **Invariant:** amounts are integers, never wrap and never meet another currency's.

use std::{fmt, str::FromStr};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::Exact;

/// An ISO 4217 currency; lower case on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(iso_currency::Currency);

/// An amount that cannot be represented, or amounts that cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not an ISO 4217 code in lower case, or a code without minor units.
    #[error("`{0}` is not a currency: use a lower-case ISO 4217 code such as usd")]
    UnknownCurrency(String),
    /// More than a 64-bit number of minor units, or more digits than can be kept exactly.
    #[error("the amount is too large to be computed exactly")]
    Overflow,
    /// Two currencies met.
    #[error("{0} and {1} cannot be added")]
    CurrencyMismatch(Currency, Currency),
}

impl Currency {
    /// Digits after the decimal point (ISO 4217 exponent): jpy 0, usd 2, kwd 3.
    #[must_use]
    pub fn exponent(self) -> u32 {
        // Parsing refuses the codes without an exponent.
        self.0.exponent().map_or(0, u32::from)
    }
}

impl FromStr for Currency {
    type Err = AmountError;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        let unknown = || AmountError::UnknownCurrency(code.to_owned());
        if !code.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Err(unknown());
        }
        let currency = iso_currency::Currency::from_code(&code.to_ascii_uppercase()).ok_or_else(unknown)?;
        // Metals and test codes have no minor unit, so nothing can be owed in them.
        currency.exponent().ok_or_else(unknown)?;
        Ok(Self(currency))
    }
}

impl fmt::Display for Currency {
    /// The code in lower case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.code().to_ascii_lowercase())
    }
}

impl TryFrom<String> for Currency {
    type Error = AmountError;

    fn try_from(code: String) -> Result<Self, Self::Error> {
        code.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.to_string()
    }
}

/// An owed amount in minor units. Shown in major units with the currency's code: `12.50 usd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// An amount of minor units.
    #[must_use]
    pub fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// An exact amount of major units, rounded half up (half away from zero).
    ///
    /// # Errors
    /// `Overflow` beyond 64 bits of minor units.
    pub fn round_half_up(major: Decimal, currency: Currency) -> Result<Self, AmountError> {
        let minor = Exact::from(major).in_minor(currency.exponent()).round_half_up()?;
        Ok(Self { minor, currency })
    }

    /// Minor units.
    #[must_use]
    pub fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    #[must_use]
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// The amount in major units, with all digits of the currency: 12.50.
    #[must_use]
    pub fn major(self) -> Decimal {
        Decimal::new(self.minor, self.currency.exponent())
    }

    /// The sum of two amounts of one currency.
    ///
    /// # Errors
    /// `CurrencyMismatch`, or `Overflow` beyond 64 bits.
    pub fn checked_add(self, other: Self) -> Result<Self, AmountError> {
        if self.currency != other.currency {
            return Err(AmountError::CurrencyMismatch(self.currency, other.currency));
        }
        let minor = self.minor.checked_add(other.minor).ok_or(AmountError::Overflow)?;
        Ok(Self { minor, ..self })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.major(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor: i64, code: &str) -> Money {
        Money::new(minor, code.parse().unwrap())
    }

    /// "Owed amounts are integers in the currency's minor unit (ISO 4217 exponent: jpy 0, usd 2, kwd 3), in JSON with
    /// the suffix `_minor`."
    #[test]
    fn minor_units_follow_the_currency() {
        let rounded = |text: &str, code: &str| {
            Money::round_half_up(text.parse().unwrap(), code.parse().unwrap()).unwrap().minor()
        };
        assert_eq!((rounded("1", "jpy"), rounded("1", "usd"), rounded("1", "kwd")), (1, 100, 1000));
        // Worked example cur-001.
        assert_eq!((rounded("10.275", "usd"), rounded("1000.5", "jpy")), (1028, 1001));
        assert_eq!((rounded("1000.5", "krw"), rounded("1000.5", "clp")), (1001, 1001));
    }

    #[test]
    fn amounts_are_shown_with_all_their_digits() {
        assert_eq!(money(1250, "usd").to_string(), "12.50 usd");
        assert_eq!(money(-5, "usd").to_string(), "-0.05 usd");
        assert_eq!(money(7, "jpy").to_string(), "7 jpy");
    }

    #[test]
    fn sums_neither_wrap_nor_mix_currencies() {
        assert_eq!(money(1, "usd").checked_add(money(2, "usd")), Ok(money(3, "usd")));
        assert_eq!(money(i64::MAX, "usd").checked_add(money(1, "usd")), Err(AmountError::Overflow));
        let mixed = money(1, "usd").checked_add(money(1, "eur"));
        assert!(matches!(mixed, Err(AmountError::CurrencyMismatch(..))));
        assert_eq!(Money::round_half_up(Decimal::MAX, "usd".parse().unwrap()), Err(AmountError::Overflow));
    }

    /// "Currency codes are lower case."
    #[test]
    fn unknown_currencies_are_named() {
        for code in ["USD", "Usd", "xau", "xyz", "", "us", "dollars"] {
            assert_eq!(code.parse::<Currency>(), Err(AmountError::UnknownCurrency(code.to_owned())));
        }
    }
}
