//! Tax: rates, and the exact tax on a line.
//!
//! Owns neither the net amounts nor how the invoice's tax is allotted to its lines. **Invariant:** rates are never compounded:
//! the tax by one is no base of another's.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{AmountError, Exact, SpecError, decimal, spec::check_name};

/// Digits after the point of a percentage: 9.975 exists, finer is a mistake.
const MAX_PERCENT_DECIMALS: u32 = 6;
/// Rates on one line: a country, a state, a county, a city and a few districts.
const MAX_RATES: usize = 10;

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

    fn of(&self, net_minor: &Exact) -> Exact {
        net_minor.clone() * Exact::from(self.0.percent) * Exact::from(Decimal::new(1, 2))
    }
}

/// Where an invoice's tax is rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxRounding {
    /// Once, the sum of the exact taxes.
    #[default]
    Invoice,
    /// The tax of each line by each rate.
    Line,
}

/// The tax on a line of this net amount, in minor units: each rate on the same base, none on another. Exact, or rounded by
/// rate where taxes are rounded by line.
///
/// # Errors
/// `Overflow` when a rounded tax is beyond 64 bits.
pub(crate) fn tax(net_minor: &Exact, rates: &[TaxRate], rounding: TaxRounding) -> Result<Exact, AmountError> {
    let taxes = rates.iter().map(|rate| rate.of(net_minor));
    match rounding {
        TaxRounding::Invoice => Ok(taxes.sum()),
        TaxRounding::Line => taxes.map(|tax| tax.round_half_up().map(Exact::from)).sum(),
    }
}

/// The rates of a body's field `path`.
///
/// # Errors
/// [`SpecError`] that names the rate, such as `tax_rates[1].percent`.
pub fn tax_rates(path: &str, specs: Vec<TaxRateSpec>) -> Result<Vec<TaxRate>, SpecError> {
    if specs.len() > MAX_RATES {
        return Err(SpecError::new(path, format!("must be at most {MAX_RATES} rates")));
    }
    let rate = |(index, spec): (usize, TaxRateSpec)| {
        TaxRate::try_from(spec).map_err(|error| error.below(&format!("{path}[{index}]")))
    };
    specs.into_iter().enumerate().map(rate).collect()
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

    fn taxed(percents: &[&str], nets: &[&str], rounding: TaxRounding) -> Vec<String> {
        let rates: Vec<TaxRate> = percents.iter().map(|percent| rate(percent).unwrap()).collect();
        nets.iter().map(|net| tax(&net.parse().unwrap(), &rates, rounding).unwrap().to_string()).collect()
    }

    /// "Several tax rates apply to the same base and are not compounded."
    #[test]
    fn rates_apply_to_the_same_base() {
        assert_eq!(taxed(&["5", "10"], &["8100"], TaxRounding::Invoice), ["1215"]);
        assert_eq!(taxed(&[], &["8100"], TaxRounding::Line), ["0"]);
        assert_eq!(taxed(&["9.975"], &["1/3", "-100"], TaxRounding::Invoice), ["0.03325", "-9.975"]);
    }

    #[test]
    fn by_line_each_rate_is_rounded() {
        assert_eq!(taxed(&["15"], &["43", "484"], TaxRounding::Line), ["6", "73"]);
        // Twice 0.5 is 1 + 1, not 1.
        assert_eq!(taxed(&["5", "5"], &["10", "-10"], TaxRounding::Line), ["2", "-2"]);
        assert_eq!(taxed(&["5", "5"], &["10", "-10"], TaxRounding::Invoice), ["1", "-1"]);
    }

    #[test]
    fn a_percentage_is_between_0_and_100() {
        assert!(rate("0").is_ok() && rate("100").is_ok() && rate("9.975").is_ok());
        for percent in ["-1", "100.01", "0.1234567"] {
            assert_eq!(rate(percent).unwrap_err().path, "percent");
        }
    }

    #[test]
    fn a_rate_in_a_list_is_named_by_its_place() {
        let spec = |percent: &str| TaxRateSpec { name: "VAT".to_owned(), percent: percent.parse().unwrap() };
        assert_eq!(tax_rates("tax_rates", vec![spec("1"), spec("101")]).unwrap_err().path, "tax_rates[1].percent");
        assert_eq!(tax_rates("tax_rates", vec![spec("1"); MAX_RATES + 1]).unwrap_err().path, "tax_rates");
        assert_eq!(tax_rates("tax_rates", vec![spec("1"), spec("1")]).unwrap().len(), 2);
    }
}
