//! Arithmetic that is exact or an error, and the one rounding.
//!
//! The decimal type rounds silently beyond 28 digits and in every division. So sums and products are computed here on whole
//! numbers wider than a decimal's, and quotients only ever as a fraction that is rounded once.

use rust_decimal::Decimal;

use crate::AmountError;

/// The exact sum.
///
/// # Errors
/// `Overflow` when it needs more digits than a decimal has.
pub(crate) fn add(a: Decimal, b: Decimal) -> Result<Decimal, AmountError> {
    let (a, b) = (a.normalize(), b.normalize());
    let scale = a.scale().max(b.scale());
    let sum = mantissa_at(a, scale).zip(mantissa_at(b, scale)).and_then(|(a, b)| a.checked_add(b));
    decimal(sum, scale)
}

/// The exact difference; errors as [`add`].
pub(crate) fn sub(a: Decimal, b: Decimal) -> Result<Decimal, AmountError> {
    add(a, -b)
}

/// The exact product; errors as [`add`].
pub(crate) fn mul(a: Decimal, b: Decimal) -> Result<Decimal, AmountError> {
    let (a, b) = (a.normalize(), b.normalize());
    decimal(a.mantissa().checked_mul(b.mantissa()), a.scale() + b.scale())
}

fn mantissa_at(value: Decimal, scale: u32) -> Option<i128> {
    10_i128.checked_pow(scale - value.scale())?.checked_mul(value.mantissa())
}

fn decimal(mantissa: Option<i128>, scale: u32) -> Result<Decimal, AmountError> {
    let mantissa = mantissa.ok_or(AmountError::Overflow)?;
    Decimal::try_from_i128_with_scale(mantissa, scale).map_err(|_| AmountError::Overflow)
}

/// An exact fraction of minor units.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fraction {
    numerator: i128,
    /// Positive.
    denominator: i128,
}

impl Fraction {
    /// `value` x 10^`shift` x `part` / `whole`. `whole` is positive.
    ///
    /// # Errors
    /// `Overflow` when it does not fit 127 bits.
    pub(crate) fn of(value: Decimal, shift: u32, (part, whole): (i64, i64)) -> Result<Self, AmountError> {
        let value = value.normalize();
        let power = |exponent: u32| 10_i128.checked_pow(exponent).ok_or(AmountError::Overflow);
        let product = |a: i128, b: i128| a.checked_mul(b).ok_or(AmountError::Overflow);
        let scaled = product(value.mantissa(), power(shift.saturating_sub(value.scale()))?)?;
        Ok(Self {
            numerator: product(scaled, part.into())?,
            denominator: product(power(value.scale().saturating_sub(shift))?, whole.into())?,
        })
    }

    /// Whether nothing is left to round.
    pub(crate) fn is_whole(self) -> bool {
        self.numerator % self.denominator == 0
    }

    /// Rounds half up, which is half away from zero: the one rounding rule.
    ///
    /// # Errors
    /// `Overflow` beyond 64 bits.
    pub(crate) fn round_half_up(self) -> Result<i64, AmountError> {
        let (quotient, remainder) = (self.numerator / self.denominator, self.numerator % self.denominator);
        let rest = remainder.abs();
        let away = if rest >= self.denominator - rest { self.numerator.signum() } else { 0 };
        i64::try_from(quotient + away).map_err(|_| AmountError::Overflow)
    }

    /// The next whole number below, and what is missing to the fraction itself: for allotting by largest remainder among
    /// fractions of one denominator.
    ///
    /// # Errors
    /// `Overflow` beyond 64 bits.
    pub(crate) fn floor_and_rest(self) -> Result<(i64, i128), AmountError> {
        let floor = i64::try_from(self.numerator.div_euclid(self.denominator)).map_err(|_| AmountError::Overflow)?;
        Ok((floor, self.numerator.rem_euclid(self.denominator)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn sums_and_products_that_do_not_fit_are_errors_not_rounded_ones() {
        assert_eq!(mul(dec("0.0000000000000000000000000001"), dec("0.1")), Err(AmountError::Overflow));
        assert_eq!(add(Decimal::MAX, dec("0.1")), Err(AmountError::Overflow));
        assert_eq!(add(dec("9999999999999999999999999999"), dec("0.01")), Err(AmountError::Overflow));
        assert_eq!(mul(Decimal::MAX, Decimal::MAX), Err(AmountError::Overflow));
        assert_eq!(mul(dec("1.50"), dec("2")), Ok(dec("3")));
        assert_eq!(add(dec("0.1"), dec("0.02")), Ok(dec("0.12")));
        assert_eq!(sub(dec("0.1"), dec("0.02")), Ok(dec("0.08")));
    }

    #[test]
    fn halves_round_away_from_zero() {
        let rounded = |text: &str| Fraction::of(dec(text), 2, (1, 1)).unwrap().round_half_up().unwrap();
        assert_eq!(["0.005", "-0.005", "0.00499999", "1.235", "-1.2349"].map(rounded), [1, -1, 0, 124, -123]);
    }

    #[test]
    fn parts_are_rounded_once() {
        let part = |part, whole| Fraction::of(dec("10"), 2, (part, whole)).unwrap().round_half_up().unwrap();
        assert_eq!((part(1, 3), part(2, 3), part(15, 30)), (333, 667, 500));
        // Rounding 0.33333333333333333333333333335 to 28 digits first would make it a half.
        assert_eq!(Fraction::of(dec("0.015"), 2, (1, 3)).unwrap().round_half_up(), Ok(1));
        assert_eq!(Fraction::of(dec("0.01499999"), 2, (1, 3)).unwrap().round_half_up(), Ok(0));
    }
}
