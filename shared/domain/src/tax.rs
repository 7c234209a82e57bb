//! Tax: a rate, and how an invoice's tax is allotted to its lines.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{AmountError, Exact, SpecError, decimal, spec::check_name};

/// Digits after the point of a percentage: 9.975 exists, finer is a mistake.
const MAX_PERCENT_DECIMALS: u32 = 6;

/// The body of a tax rate, as clients write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaxRateSpec {
    /// Shown on invoices: "VAT".
    pub name: String,
    /// 0 to 100.
    #[serde(with = "decimal")]
    pub percent: Decimal,
}

/// A valid tax rate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TaxRateSpec", into = "TaxRateSpec")]
pub struct TaxRate(TaxRateSpec);

impl TaxRate {
    /// Shown on invoices.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// 0 to 100.
    #[must_use]
    pub fn percent(&self) -> Decimal {
        self.0.percent
    }

    fn of(&self, net_minor: i64) -> Exact {
        Exact::from(net_minor) * Exact::from(self.0.percent) * Exact::from(Decimal::new(1, 2))
    }

    /// The tax on lines of these net amounts, all in minor units, line by line. The lines' taxes sum to the rounded sum of
    /// the exact ones: each is rounded down, and what is missing goes to the largest remainders, ties in line order.
    ///
    /// # Errors
    /// `Overflow` beyond 64 bits.
    pub(crate) fn allot(&self, net_minor: &[i64]) -> Result<Vec<i64>, AmountError> {
        let net = net_minor.iter().try_fold(0_i64, |sum, &net| sum.checked_add(net)).ok_or(AmountError::Overflow)?;
        let mut missing = self.of(net).round_half_up()?;
        let mut taxes = Vec::with_capacity(net_minor.len());
        let mut rests = Vec::with_capacity(net_minor.len());
        for (line, &net) in net_minor.iter().enumerate() {
            let (tax, rest) = self.of(net).floor_and_rest()?;
            missing = missing.checked_sub(tax).ok_or(AmountError::Overflow)?;
            taxes.push(tax);
            rests.push((rest, line));
        }
        rests.sort_by(|(rest, line), (other, next)| other.cmp(rest).then(line.cmp(next)));
        for (_, (_, line)) in (0..missing).zip(rests) {
            taxes[line] += 1;
        }
        Ok(taxes)
    }
}

impl TryFrom<TaxRateSpec> for TaxRate {
    type Error = SpecError;

    fn try_from(spec: TaxRateSpec) -> Result<Self, SpecError> {
        check_name("name", Some(&spec.name))?;
        let in_range = (Decimal::ZERO..=Decimal::ONE_HUNDRED).contains(&spec.percent);
        if !in_range || spec.percent.normalize().scale() > MAX_PERCENT_DECIMALS {
            let rule = format!("must be between 0 and 100, with at most {MAX_PERCENT_DECIMALS} digits after the point");
            return Err(SpecError::new("percent", rule));
        }
        Ok(Self(spec))
    }
}

impl From<TaxRate> for TaxRateSpec {
    fn from(rate: TaxRate) -> Self {
        rate.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(percent: &str) -> Result<TaxRate, SpecError> {
        TaxRateSpec { name: "VAT".to_owned(), percent: percent.parse().unwrap() }.try_into()
    }

    fn allot(percent: &str, net_minor: &[i64]) -> Vec<i64> {
        rate(percent).unwrap().allot(net_minor).unwrap()
    }

    #[test]
    fn the_invoices_tax_is_rounded_once_and_allotted_by_largest_remainder() {
        // Eight times 0.4 is 3.2: the first three lines bear it.
        assert_eq!(allot("40", &[1; 8]), [1, 1, 1, 0, 0, 0, 0, 0]);
        // 6.45 + 72.6 = 79.05: rounded by line it would be 6 + 73 as well, by remainder the second takes the rest.
        assert_eq!(allot("15", &[43, 484]), [6, 73]);
        assert_eq!(allot("10", &[4, 9, 9]), [0, 1, 1]);
        // Worked example pro-002.
        assert_eq!(allot("20", &[3871]), [774]);
        // Worked example coupon-003.
        assert_eq!(allot("8.25", &[7000]), [578]);
    }

    #[test]
    fn credits_are_taxed_alike() {
        assert_eq!(allot("25", &[-19333]), [-4833]);
        assert_eq!(allot("15", &[-1, -1, -1]), [-1 + 1, 0, 0]);
    }

    #[test]
    fn a_percentage_is_between_0_and_100() {
        assert!(rate("0").is_ok() && rate("100").is_ok() && rate("9.975").is_ok());
        for percent in ["-1", "100.01", "0.1234567"] {
            assert_eq!(rate(percent).unwrap_err().path, "percent");
        }
    }

    #[test]
    fn a_tax_that_does_not_fit_is_an_error() {
        assert_eq!(rate("20").unwrap().allot(&[i64::MAX, 1]), Err(AmountError::Overflow));
        assert_eq!(rate("100").unwrap().allot(&[i64::MAX]), Ok(vec![i64::MAX]));
    }
}
