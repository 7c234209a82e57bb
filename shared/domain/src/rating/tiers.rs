//! Tiers: a quantity cut where one tier ends and the next begins, or put whole into the one it reaches.

use rust_decimal::Decimal;

use super::{Step, flat};
use crate::{Exact, PercentTier, Tier};

/// Where a tier ends.
trait Ending {
    /// The last unit in it; none if it is open-ended.
    fn up_to(&self) -> Option<Decimal>;

    /// Whether a quantity reaches beyond it. 100.5 is past a tier that ends at 100.
    fn is_passed_by(&self, quantity: &Exact) -> bool {
        self.up_to().is_some_and(|up_to| *quantity > Exact::from(up_to))
    }
}

impl Ending for Tier {
    fn up_to(&self) -> Option<Decimal> {
        self.up_to
    }
}

impl Ending for PercentTier {
    fn up_to(&self) -> Option<Decimal> {
        self.up_to
    }
}

/// Each unit at its own tier's price; the flat amount of every tier entered, the first one also at quantity 0.
pub(super) fn graduated(tiers: &[Tier], quantity: &Exact) -> Vec<Step> {
    let steps = |(tier, part): (&Tier, Exact)| {
        let units = Step::Units { quantity: part, unit_amount: tier.unit_amount };
        [Some(units), flat(tier.flat_amount)].into_iter().flatten()
    };
    entered(tiers, quantity).into_iter().flat_map(steps).collect()
}

/// Each part of the value at its own tier's percentage; flat amounts as in [`graduated`].
pub(super) fn graduated_percentage(tiers: &[PercentTier], value: &Exact) -> Vec<Step> {
    let steps = |(tier, part): (&PercentTier, Exact)| {
        let percent = Step::Percent { percent: tier.percent, value: part };
        [Some(percent), flat(tier.flat_amount)].into_iter().flatten()
    };
    entered(tiers, value).into_iter().flat_map(steps).collect()
}

/// All units at the price of the tier that they reach, with its flat amount; the first one also at quantity 0.
pub(super) fn volume(tiers: &[Tier], quantity: &Exact) -> Vec<Step> {
    let reached = tiers.iter().find(|tier| !tier.is_passed_by(quantity));
    let steps = |tier: &Tier| {
        let units = Step::Units { quantity: quantity.clone(), unit_amount: tier.unit_amount };
        [Some(units), flat(tier.flat_amount)].into_iter().flatten()
    };
    reached.into_iter().flat_map(steps).collect()
}

/// The tiers that a quantity enters, with its part in each; the first one also at quantity 0.
fn entered<'a, T: Ending>(tiers: &'a [T], quantity: &Exact) -> Vec<(&'a T, Exact)> {
    let mut parts = Vec::new();
    let mut below = Exact::zero();
    for tier in tiers {
        let end = tier.up_to().map(Exact::from).filter(|_| tier.is_passed_by(quantity));
        let reached = end.clone().unwrap_or_else(|| quantity.clone());
        parts.push((tier, reached.clone() - below));
        if end.is_none() {
            break;
        }
        below = reached;
    }
    parts
}
