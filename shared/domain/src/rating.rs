//! Rating: what a quantity costs by a price's model, exactly.
//!
//! Owns no rounding and no proration: an amount is rounded once, on its line. **Invariant:** rating a quantity in several
//! steps costs exactly what rating it once does, since an amount depends on the total quantity alone.

use std::fmt;

use rust_decimal::Decimal;

use crate::{Exact, PriceModel, Tier};

/// One term of an amount, in major units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Units at a price each.
    Units {
        /// How many.
        quantity: Decimal,
        /// Price of one.
        unit_amount: Decimal,
    },
    /// An amount for entering a tier.
    Flat {
        /// The amount.
        amount: Decimal,
    },
}

impl Step {
    fn amount(self) -> Exact {
        match self {
            Self::Units { quantity, unit_amount } => Exact::from(quantity) * Exact::from(unit_amount),
            Self::Flat { amount } => amount.into(),
        }
    }
}

impl fmt::Display for Step {
    /// "5 x 10.00", with prices as the plan writes them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Units { quantity, unit_amount } => write!(f, "{} x {unit_amount}", quantity.normalize()),
            Self::Flat { amount } => write!(f, "{amount}"),
        }
    }
}

/// What a quantity costs, and how that came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rating {
    /// Exact, in major units: the sum of the steps.
    pub amount: Exact,
    /// At least one.
    pub steps: Vec<Step>,
}

/// Rates a quantity; a negative one as zero.
#[must_use]
pub fn rate(model: &PriceModel, quantity: Decimal) -> Rating {
    let quantity = quantity.max(Decimal::ZERO);
    let steps = match model {
        PriceModel::Flat { amount } => vec![Step::Units { quantity: Decimal::ONE, unit_amount: *amount }],
        PriceModel::PerUnit { unit_amount } => vec![Step::Units { quantity, unit_amount: *unit_amount }],
        PriceModel::Graduated { tiers } => graduated(tiers, quantity),
    };
    let amount = steps.iter().map(|step| step.amount()).sum();
    Rating { amount, steps }
}

/// Each unit at its own tier's price; the flat amount of every tier entered, the first one also at quantity 0.
fn graduated(tiers: &[Tier], quantity: Decimal) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut below = Decimal::ZERO;
    for (index, tier) in tiers.iter().enumerate() {
        if index > 0 && quantity <= below {
            break;
        }
        let reached = tier.up_to.map_or(quantity, |up_to| up_to.min(quantity));
        steps.push(Step::Units { quantity: reached - below, unit_amount: tier.unit_amount });
        if !tier.flat_amount.is_zero() {
            steps.push(Step::Flat { amount: tier.flat_amount });
        }
        below = reached;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    /// Tiers of (`up_to`, `unit_amount`, `flat_amount`), the last one open-ended.
    fn graduated(tiers: &[(&str, &str, &str)]) -> PriceModel {
        let last = tiers.len() - 1;
        let tier = |(index, (up_to, unit, flat)): (usize, &(&str, &str, &str))| Tier {
            up_to: (index < last).then(|| dec(up_to)),
            unit_amount: dec(unit),
            flat_amount: dec(flat),
        };
        PriceModel::Graduated { tiers: tiers.iter().enumerate().map(tier).collect() }
    }

    fn totals(model: &PriceModel, quantities: &[&str]) -> Vec<String> {
        let total = |quantity: &&str| rate(model, dec(quantity)).amount.to_string();
        quantities.iter().map(total).collect()
    }

    #[test]
    fn each_unit_costs_what_its_tier_says() {
        // Worked examples price-002, price-008, price-019.
        let model = graduated(&[("5", "7", "0"), ("10", "6.5", "0"), ("", "6", "0")]);
        assert_eq!(totals(&model, &["1", "5", "6", "20", "25"]), ["7", "35", "41.5", "127.5", "157.5"]);
        let model = graduated(&[("100", "1", "0"), ("200", "0.5", "0"), ("", "0.1", "0")]);
        assert_eq!(totals(&model, &["100", "200", "250", "100.5"]), ["100", "150", "155", "100.25"]);
        assert_eq!(totals(&graduated(&[("5", "2", "0"), ("", "1", "0")]), &["13"]), ["18"]);
    }

    #[test]
    fn flat_amounts_are_charged_on_entering_a_tier_the_first_also_at_zero() {
        // Worked example price-007.
        let model = graduated(&[("10", "10", "2"), ("20", "5", "3"), ("", "5", "3")]);
        assert_eq!(totals(&model, &["0", "1", "10", "11", "12", "21"]), ["2", "12", "102", "110", "115", "163"]);
        assert_eq!(totals(&model, &["-7"]), ["2"]);
        // Worked example price-014.
        let model = graduated(&[("5", "0", "100"), ("10", "0", "50"), ("15", "5", "0"), ("", "1", "0")]);
        assert_eq!(totals(&model, &["12", "22"]), ["160", "182"]);
    }

    #[test]
    fn a_flat_price_ignores_the_quantity_and_a_negative_one_rates_as_zero() {
        assert_eq!(totals(&PriceModel::Flat { amount: dec("49.00") }, &["0", "1", "7"]), ["49", "49", "49"]);
        let model = PriceModel::PerUnit { unit_amount: dec("0.10") };
        assert_eq!(totals(&model, &["7", "-7", "0.5"]), ["0.7", "0", "0.05"]);
    }
}
