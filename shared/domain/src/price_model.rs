//! Price models whose rules hold: how a quantity becomes an amount.
//!
//! A model is stored and frozen as its [`ModelSpec`], with what clients left out filled in.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{ModelSpec, ModelType, TierSpec};

/// A range of quantities with its price. It begins where the one before ends; the last one is open-ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The last unit in it.
    pub up_to: Option<Decimal>,
    /// Price of each unit in it, in major units.
    pub unit_amount: Decimal,
    /// Charged once when it is entered, in major units.
    pub flat_amount: Decimal,
}

/// A range of values with its percentage. It begins where the one before ends; the last one is open-ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PercentTier {
    /// The last of the value in it, in major units.
    pub up_to: Option<Decimal>,
    /// Of the value in it.
    pub percent: Decimal,
    /// Charged once when it is entered, in major units.
    pub flat_amount: Decimal,
}

/// Units that are sold by the package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Units in one, above zero.
    pub(crate) package_size: Decimal,
    /// Price of one, in major units.
    pub(crate) package_amount: Decimal,
    /// Units that come before the first one.
    pub(crate) free_units: Decimal,
}

/// A fee per event, by its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Percentage {
    /// Of an event's value.
    pub percent: Decimal,
    /// Per event, in major units.
    pub fixed_amount: Decimal,
    /// Events that may be free.
    pub free_events: Option<u64>,
    /// Value that may be free, in major units.
    pub free_amount: Option<Decimal>,
    /// Least fee of an event that pays, the fixed amount included.
    pub min_amount_per_event: Option<Decimal>,
    /// Most that an event pays, the fixed amount included.
    pub max_amount_per_event: Option<Decimal>,
}

/// How a quantity becomes an amount of major units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ModelSpec", into = "ModelSpec")]
pub enum PriceModel {
    /// The same amount whatever the quantity.
    Flat {
        /// In major units.
        amount: Decimal,
    },
    /// The quantity times an amount.
    PerUnit {
        /// In major units.
        unit_amount: Decimal,
    },
    /// Each unit at its own tier's price, plus the flat amounts of the tiers entered.
    Graduated {
        /// Ascending, without gaps.
        tiers: Vec<Tier>,
    },
    /// All units at the price of the tier that the quantity reaches, plus its flat amount.
    Volume {
        /// Ascending, without gaps.
        tiers: Vec<Tier>,
    },
    /// Whole packages, rounded up.
    Package(Package),
    /// A fee per event, by its value.
    Percentage(Percentage),
    /// Each part of the value at its own tier's percentage, plus the flat amounts of the tiers entered.
    GraduatedPercentage {
        /// Ascending, without gaps.
        tiers: Vec<PercentTier>,
    },
    /// The value is the cost.
    Dynamic {
        /// What it is multiplied by.
        multiplier: Decimal,
    },
}

impl PriceModel {
    /// Its name.
    #[must_use]
    pub fn model_type(&self) -> ModelType {
        match self {
            Self::Flat { .. } => ModelType::Flat,
            Self::PerUnit { .. } => ModelType::PerUnit,
            Self::Graduated { .. } => ModelType::Graduated,
            Self::Volume { .. } => ModelType::Volume,
            Self::Package(_) => ModelType::Package,
            Self::Percentage(_) => ModelType::Percentage,
            Self::GraduatedPercentage { .. } => ModelType::GraduatedPercentage,
            Self::Dynamic { .. } => ModelType::Dynamic,
        }
    }
}

impl From<PriceModel> for ModelSpec {
    fn from(model: PriceModel) -> Self {
        let mut spec = Self::empty(model.model_type());
        match model {
            PriceModel::Flat { amount } => spec.amount = Some(amount),
            PriceModel::PerUnit { unit_amount } => spec.unit_amount = Some(unit_amount),
            PriceModel::Graduated { tiers } | PriceModel::Volume { tiers } => {
                spec.tiers = Some(tiers.into_iter().map(TierSpec::from).collect());
            }
            PriceModel::Package(Package { package_size, package_amount, free_units }) => {
                spec.package_size = Some(package_size);
                spec.package_amount = Some(package_amount);
                spec.free_units = Some(free_units);
            }
            PriceModel::Percentage(percentage) => {
                spec.percent = Some(percentage.percent);
                spec.fixed_amount = Some(percentage.fixed_amount);
                spec.free_events = percentage.free_events;
                spec.free_amount = percentage.free_amount;
                spec.min_amount_per_event = percentage.min_amount_per_event;
                spec.max_amount_per_event = percentage.max_amount_per_event;
            }
            PriceModel::GraduatedPercentage { tiers } => {
                spec.tiers = Some(tiers.into_iter().map(TierSpec::from).collect());
            }
            PriceModel::Dynamic { multiplier } => spec.multiplier = Some(multiplier),
        }
        spec
    }
}

impl From<Tier> for TierSpec {
    fn from(Tier { up_to, unit_amount, flat_amount }: Tier) -> Self {
        Self { up_to, unit_amount: Some(unit_amount), percent: None, flat_amount: Some(flat_amount) }
    }
}

impl From<PercentTier> for TierSpec {
    fn from(PercentTier { up_to, percent, flat_amount }: PercentTier) -> Self {
        Self { up_to, unit_amount: None, percent: Some(percent), flat_amount: Some(flat_amount) }
    }
}
