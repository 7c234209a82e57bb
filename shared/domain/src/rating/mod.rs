//! Rating: what usage costs by a price's model, exactly.
//!
//! Owns no rounding and no proration: an amount is rounded once, on its line. **Invariant:** rating usage in several steps
//! costs exactly what rating it once does, since an amount depends on all of the usage alone and never on its parts.

mod percentage;
mod step;
#[cfg(test)]
mod tests;
mod tiers;

pub use percentage::ChargedEvents;
pub use step::{EventFee, Step};

use rust_decimal::Decimal;

use crate::{Exact, Package, PriceModel};

/// What is rated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rated {
    /// Units, or a value in major units.
    pub quantity: Exact,
    /// What a percentage charges the events for that the quantity is the sum of; without it the quantity is one event.
    pub charged_events: Option<ChargedEvents>,
}

impl Rated {
    /// A quantity whose events do not matter.
    #[must_use]
    pub fn quantity(quantity: Exact) -> Self {
        Self { quantity, charged_events: None }
    }
}

/// What usage costs, and how that came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rating {
    /// Exact, in major units: the sum of the steps.
    pub amount: Exact,
    /// At least one.
    pub steps: Vec<Step>,
}

/// Rates usage; negative usage as zero.
#[must_use]
pub fn rate(model: &PriceModel, usage: &Rated) -> Rating {
    let quantity = usage.quantity.clone().max(Exact::zero());
    let steps = match model {
        PriceModel::Flat { amount } => vec![Step::Units { quantity: 1.into(), unit_amount: *amount }],
        PriceModel::PerUnit { unit_amount } => vec![Step::Units { quantity, unit_amount: *unit_amount }],
        PriceModel::Graduated { tiers } => tiers::graduated(tiers, &quantity),
        PriceModel::Volume { tiers } => tiers::volume(tiers, &quantity),
        PriceModel::Package(package) => packages(package, quantity),
        PriceModel::Percentage(percentage) => percentage::fees(percentage, usage),
        PriceModel::GraduatedPercentage { tiers } => tiers::graduated_percentage(tiers, &quantity),
        PriceModel::Dynamic { multiplier } => vec![Step::Units { quantity, unit_amount: *multiplier }],
    };
    let amount = steps.iter().map(Step::amount).sum();
    Rating { amount, steps }
}

/// Whole packages for what is not free.
fn packages(package: &Package, quantity: Exact) -> Vec<Step> {
    let Package { package_size: size, package_amount: amount, free_units } = *package;
    let charged = (quantity - free_units.into()).max(Exact::zero());
    // The size is above zero, so there always is a quotient.
    let count = charged.divided_by(&size.into()).map_or_else(|_| Exact::zero(), |packages| packages.ceil());
    vec![Step::Packages { count, size, amount }]
}

/// The step for an amount that is charged once, unless it is nothing.
fn flat(amount: Decimal) -> Option<Step> {
    (!amount.is_zero()).then_some(Step::Flat { amount })
}
