//! Exact numbers: arithmetic without any rounding, and the one rounding.
//!
//! A decimal rounds silently beyond its digits and in every division; a ratio of whole numbers of any size does neither.
//!
//! **Invariant:** nothing is rounded but by [`Exact::round_half_up`], which says so, and by being shown to people.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, Mul, Neg, Sub},
    str::FromStr,
};

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, ToPrimitive, Zero, pow};
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::AmountError;

/// Digits after the point that are shown of a number that has more.
const SHOWN_DECIMALS: u32 = 12;

/// Digits after the point that are shown of a number without end, where it is said that there are more.
const LEADING_DECIMALS: u32 = 6;

/// Longest number on the wire; longer ones are no amounts.
const MAX_TEXT_BYTES: usize = 1_000;

/// A ratio of whole numbers, always in lowest terms. On the wire a plain decimal ("0.25") where it has an end of at most
/// [`SHOWN_DECIMALS`] digits, else a fraction ("1/3").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exact(BigRational);

impl Exact {
    /// Nothing.
    #[must_use]
    pub fn zero() -> Self {
        Self(BigRational::zero())
    }

    /// `part` / `whole`.
    ///
    /// # Errors
    /// `Overflow` when the whole is zero.
    pub fn ratio(part: impl Into<BigInt>, whole: impl Into<BigInt>) -> Result<Self, AmountError> {
        let whole = whole.into();
        if whole.is_zero() { Err(AmountError::Overflow) } else { Ok(Self(BigRational::new(part.into(), whole))) }
    }

    /// The quotient.
    ///
    /// # Errors
    /// `Overflow` when the divisor is zero.
    pub fn divided_by(&self, divisor: &Self) -> Result<Self, AmountError> {
        if divisor.is_zero() { Err(AmountError::Overflow) } else { Ok(Self(&self.0 / &divisor.0)) }
    }

    /// Whether it is nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.0.is_negative()
    }

    /// Whether nothing is left to round.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.is_integer()
    }

    /// The next whole number above, or itself.
    #[must_use]
    pub fn ceil(&self) -> Self {
        Self(self.0.ceil())
    }

    /// An amount of major units in minor units of a currency with so many decimals.
    #[must_use]
    pub fn in_minor(&self, exponent: u32) -> Self {
        Self(&self.0 * power_of_ten(exponent))
    }

    /// Rounds half up, which is half away from zero: the one rounding rule.
    ///
    /// # Errors
    /// `Overflow` beyond 64 bits.
    pub fn round_half_up(&self) -> Result<i64, AmountError> {
        // `round` of a ratio is half away from zero.
        self.0.round().to_integer().to_i64().ok_or(AmountError::Overflow)
    }

    /// The next whole number below, and what is missing to the number itself: for allotting by largest remainder.
    ///
    /// # Errors
    /// `Overflow` beyond 64 bits.
    pub fn floor_and_rest(&self) -> Result<(i64, Self), AmountError> {
        let floor = self.0.floor();
        let rest = Self(&self.0 - &floor);
        Ok((floor.to_integer().to_i64().ok_or(AmountError::Overflow)?, rest))
    }

    /// The number as it is where it has an end of at most [`SHOWN_DECIMALS`] digits, else its first ones: "1793.103448...".
    pub(crate) fn leading_digits(&self) -> String {
        let first = || {
            let scaled = (&self.0 * power_of_ten(LEADING_DECIMALS)).trunc();
            let missing = power_of_ten(SHOWN_DECIMALS - LEADING_DECIMALS);
            format!("{}...", decimal_text(&(scaled * missing).to_integer()))
        };
        self.plain().unwrap_or_else(first)
    }

    /// As a plain decimal, if it has an end of at most [`SHOWN_DECIMALS`] digits.
    fn plain(&self) -> Option<String> {
        let scaled = &self.0 * power_of_ten(SHOWN_DECIMALS);
        scaled.is_integer().then(|| decimal_text(&scaled.to_integer()))
    }
}

fn power_of_ten(exponent: u32) -> BigRational {
    BigRational::from_integer(pow(BigInt::from(10), exponent as usize))
}

/// A whole number of 10^-[`SHOWN_DECIMALS`], without trailing zeros.
fn decimal_text(scaled: &BigInt) -> String {
    let digits = format!("{:0>width$}", scaled.magnitude().to_string(), width = SHOWN_DECIMALS as usize + 1);
    let (whole, decimals) = digits.split_at(digits.len() - SHOWN_DECIMALS as usize);
    let sign = if scaled.is_negative() { "-" } else { "" };
    let decimals = decimals.trim_end_matches('0');
    if decimals.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{decimals}") }
}

impl fmt::Display for Exact {
    /// For people: a decimal, rounded to [`SHOWN_DECIMALS`] digits where it has more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal_text(&(&self.0 * power_of_ten(SHOWN_DECIMALS)).round().to_integer()))
    }
}

/// Text that is no exact number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a decimal such as \"0.25\" or a fraction such as \"1/3\"")]
pub struct NotExact;

impl FromStr for Exact {
    type Err = NotExact;

    fn from_str(text: &str) -> Result<Self, NotExact> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(NotExact);
        }
        let whole = |text: &str| text.parse::<BigInt>().map_err(|_| NotExact);
        if let Some((part, of)) = text.split_once('/') {
            return Self::ratio(whole(part)?, whole(of)?).map_err(|_| NotExact);
        }
        let (digits, decimals) = text.split_once('.').unwrap_or((text, ""));
        if !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotExact);
        }
        let scale = u32::try_from(decimals.len()).map_err(|_| NotExact)?;
        let scaled = BigRational::from_integer(whole(&format!("{digits}{decimals}"))?);
        Ok(Self(scaled / power_of_ten(scale)))
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.plain().unwrap_or_else(|| self.0.to_string()))
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl From<i64> for Exact {
    fn from(whole: i64) -> Self {
        Self(BigRational::from_integer(whole.into()))
    }
}

impl From<Decimal> for Exact {
    fn from(decimal: Decimal) -> Self {
        let denominator = pow(BigInt::from(10), decimal.scale() as usize);
        Self(BigRational::new(decimal.mantissa().into(), denominator))
    }
}

impl Add for Exact {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Exact {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Mul for Exact {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self(self.0 * other.0)
    }
}

impl Neg for Exact {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sum for Exact {
    fn sum<I: Iterator<Item = Self>>(numbers: I) -> Self {
        numbers.fold(Self::zero(), Self::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(text: &str) -> Exact {
        text.parse().unwrap()
    }

    /// "Rounding is half-up (half away from zero), once per line."
    #[test]
    fn halves_round_away_from_zero() {
        let rounded = |text: &str| exact(text).in_minor(2).round_half_up().unwrap();
        assert_eq!(["0.005", "-0.005", "0.00499999", "1.235", "-1.2349"].map(rounded), [1, -1, 0, 124, -123]);
    }

    #[test]
    fn parts_are_rounded_once() {
        let part =
            |part: i64, whole: i64| (exact("1000") * Exact::ratio(part, whole).unwrap()).round_half_up().unwrap();
        assert_eq!((part(1, 3), part(2, 3), part(15, 30)), (333, 667, 500));
        // Rounding 0.49999966666666666666666666666 to 28 digits first changes nothing here, but it would for the third of
        // 1.49999999999999999999999999999.
        let third = exact("1.49999999999999999999999999999") * Exact::ratio(1, 3).unwrap();
        assert_eq!(third.round_half_up(), Ok(0));
        assert_eq!((exact("1.5") * Exact::ratio(1, 3).unwrap()).round_half_up(), Ok(1));
    }

    #[test]
    fn no_number_is_too_large_but_an_amount_may_be() {
        let huge = exact("999999999999999.999999999999");
        let product = huge.clone() * huge;
        assert_eq!(product.round_half_up(), Err(AmountError::Overflow));
        assert_eq!(Exact::from(i64::MAX).round_half_up(), Ok(i64::MAX));
        assert_eq!((Exact::from(i64::MAX) + exact("0.5")).round_half_up(), Err(AmountError::Overflow));
        assert_eq!(exact("1").divided_by(&Exact::zero()), Err(AmountError::Overflow));
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for text in ["0", "-3.5", "1200", "0.02218", "-1/3", "597/26912"] {
            let json = serde_json::to_string(&exact(text)).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Exact>(&json).unwrap(), exact(text));
        }
        assert_eq!(exact("2/3").to_string(), "0.666666666667");
        assert_eq!(exact("49.00").to_string(), "49");
        for text in ["", "-", "1/0", "1.x", "x", "1e3", "1.-5", " 1"] {
            assert!(text.parse::<Exact>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_without_end_is_shown_by_its_first_digits() {
        let shown = ["2.5", "1793.1034482758620689", "2/3", "-1/3", "1000/3"].map(|text| exact(text).leading_digits());
        assert_eq!(shown, ["2.5", "1793.103448...", "0.666666...", "-0.333333...", "333.333333..."]);
    }

    #[test]
    fn floors_are_below_also_below_zero() {
        assert_eq!(exact("-1.25").floor_and_rest(), Ok((-2, exact("0.75"))));
        assert_eq!(exact("1.25").floor_and_rest(), Ok((1, exact("0.25"))));
    }
}
