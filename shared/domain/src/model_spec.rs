//! Price models as clients write them, and their rules.
//!
//! A spec is one flat object with every field there is, so that whatever does not fit is named by its exact path; a tagged
//! enum would lose it.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{Package, PercentTier, Percentage, PriceModel, SpecError, Tier, count, decimal, spec::check_not_negative};

/// Tiers of a price: more would fit no price list.
const MAX_TIERS: usize = 100;
/// Largest percentage: ten times the value; more is a typing error.
const MAX_PERCENT: Decimal = Decimal::ONE_THOUSAND;
/// Digits after the point of a percentage: finer is a mistake.
const MAX_PERCENT_DECIMALS: u32 = 6;

/// The name of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelType {
    /// [`PriceModel::Flat`].
    Flat,
    /// [`PriceModel::PerUnit`].
    PerUnit,
    /// [`PriceModel::Graduated`].
    Graduated,
    /// [`PriceModel::Volume`].
    Volume,
    /// [`PriceModel::Package`].
    Package,
    /// [`PriceModel::Percentage`].
    Percentage,
    /// [`PriceModel::GraduatedPercentage`].
    GraduatedPercentage,
    /// [`PriceModel::Dynamic`].
    Dynamic,
}

impl ModelType {
    /// Its wire name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::PerUnit => "per_unit",
            Self::Graduated => "graduated",
            Self::Volume => "volume",
            Self::Package => "package",
            Self::Percentage => "percentage",
            Self::GraduatedPercentage => "graduated_percentage",
            Self::Dynamic => "dynamic",
        }
    }

    /// The fields of its spec that mean something.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Flat => &["amount"],
            Self::PerUnit => &["unit_amount"],
            Self::Graduated | Self::Volume | Self::GraduatedPercentage => &["tiers"],
            Self::Package => &["package_size", "package_amount", "free_units"],
            Self::Percentage => &[
                "percent",
                "fixed_amount",
                "free_events",
                "free_amount",
                "min_amount_per_event",
                "max_amount_per_event",
            ],
            Self::Dynamic => &["multiplier"],
        }
    }

    /// Whether it rates values that only a meter gives.
    pub(crate) fn is_for_usage_only(self) -> bool {
        self.is_of_a_sum() || self == Self::Dynamic
    }

    /// Whether it rates parts of a value, which only a sum has.
    pub(crate) fn is_of_a_sum(self) -> bool {
        matches!(self, Self::Percentage | Self::GraduatedPercentage)
    }
}

impl fmt::Display for ModelType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A tier as clients write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierSpec {
    /// The last unit in it; null in the last tier.
    #[serde(with = "decimal::option")]
    pub up_to: Option<Decimal>,
    /// Price of each unit in it, in major units; 0 if left out. Not in a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "decimal::option")]
    pub unit_amount: Option<Decimal>,
    /// Percentage of the value in it; in a percentage only, and there required.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "decimal::option")]
    pub percent: Option<Decimal>,
    /// Charged once when it is entered, in major units; 0 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "decimal::option")]
    pub flat_amount: Option<Decimal>,
}

/// A model as clients write it: those fields that belong to its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Which model it is.
    pub r#type: ModelType,
    /// Of `flat`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "decimal::option")]
    pub amount: Option<Decimal>,
    /// Of `per_unit`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "decimal::option")]
    pub unit_amount: Option<Decimal>,
    /// Of `graduated`, `volume` and `graduated_percentage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tiers: Option<Vec<TierSpec>>,
    /// Of `package`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "decimal::option")]
    pub package_size: Option<Decimal>,
    /// Of `package`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "decimal::option")]
    pub package_amount: Option<Decimal>,
    /// Of `package`; 0 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "decimal::option")]
    pub free_units: Option<Decimal>,
    /// Of `percentage`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "decimal::option")]
    pub percent: Option<Decimal>,
    /// Of `percentage`; 0 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "decimal::option")]
    pub fixed_amount: Option<Decimal>,
    /// Of `percentage`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "count::option")]
    pub free_events: Option<u64>,
    /// Of `percentage`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "decimal::option")]
    pub free_amount: Option<Decimal>,
    /// Of `percentage`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "decimal::option")]
    pub min_amount_per_event: Option<Decimal>,
    /// Of `percentage`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "decimal::option")]
    pub max_amount_per_event: Option<Decimal>,
    /// Of `dynamic`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "decimal::option")]
    pub multiplier: Option<Decimal>,
}

impl TryFrom<ModelSpec> for PriceModel {
    type Error = SpecError;

    fn try_from(spec: ModelSpec) -> Result<Self, SpecError> {
        spec.check_fields()?;
        Ok(match spec.r#type {
            ModelType::Flat => Self::Flat { amount: required("amount", spec.amount)? },
            ModelType::PerUnit => Self::PerUnit { unit_amount: required("unit_amount", spec.unit_amount)? },
            ModelType::Graduated => Self::Graduated { tiers: tiers(spec.tiers, unit_tier)? },
            ModelType::Volume => Self::Volume { tiers: tiers(spec.tiers, unit_tier)? },
            ModelType::Package => Self::Package(package(&spec)?),
            ModelType::Percentage => Self::Percentage(percentage(&spec)?),
            ModelType::GraduatedPercentage => Self::GraduatedPercentage { tiers: tiers(spec.tiers, percent_tier)? },
            ModelType::Dynamic => Self::Dynamic { multiplier: required("multiplier", spec.multiplier)? },
        })
    }
}

impl ModelSpec {
    /// Nothing but its type.
    pub(crate) fn empty(r#type: ModelType) -> Self {
        Self {
            r#type,
            amount: None,
            unit_amount: None,
            tiers: None,
            package_size: None,
            package_amount: None,
            free_units: None,
            percent: None,
            fixed_amount: None,
            free_events: None,
            free_amount: None,
            min_amount_per_event: None,
            max_amount_per_event: None,
            multiplier: None,
        }
    }

    /// Fields of another model are mistakes, not decoration.
    fn check_fields(&self) -> Result<(), SpecError> {
        let given = [
            ("amount", self.amount.is_some()),
            ("unit_amount", self.unit_amount.is_some()),
            ("tiers", self.tiers.is_some()),
            ("package_size", self.package_size.is_some()),
            ("package_amount", self.package_amount.is_some()),
            ("free_units", self.free_units.is_some()),
            ("percent", self.percent.is_some()),
            ("fixed_amount", self.fixed_amount.is_some()),
            ("free_events", self.free_events.is_some()),
            ("free_amount", self.free_amount.is_some()),
            ("min_amount_per_event", self.min_amount_per_event.is_some()),
            ("max_amount_per_event", self.max_amount_per_event.is_some()),
            ("multiplier", self.multiplier.is_some()),
        ];
        let foreign = given.iter().find(|(field, given)| *given && !self.r#type.fields().contains(field));
        foreign.map_or(Ok(()), |(field, _)| Err(SpecError::new(*field, means_nothing(self.r#type))))
    }
}

fn means_nothing(r#type: ModelType) -> String {
    format!("means nothing for a {type} model")
}

fn required(field: &str, number: Option<Decimal>) -> Result<Decimal, SpecError> {
    let number = number.ok_or_else(|| SpecError::new(field, "is required"))?;
    check_not_negative(field, number)?;
    Ok(number)
}

fn optional(field: &str, number: Option<Decimal>) -> Result<Option<Decimal>, SpecError> {
    number.map(|number| required(field, Some(number))).transpose()
}

fn or_zero(field: &str, number: Option<Decimal>) -> Result<Decimal, SpecError> {
    required(field, Some(number.unwrap_or_default()))
}

fn required_percent(percent: Option<Decimal>) -> Result<Decimal, SpecError> {
    let percent = required("percent", percent)?;
    if percent > MAX_PERCENT || percent.normalize().scale() > MAX_PERCENT_DECIMALS {
        let rule =
            format!("must be between 0 and {MAX_PERCENT}, with at most {MAX_PERCENT_DECIMALS} digits after the point");
        return Err(SpecError::new("percent", rule));
    }
    Ok(percent)
}

fn package(spec: &ModelSpec) -> Result<Package, SpecError> {
    let package_size = required("package_size", spec.package_size)?;
    if package_size.is_zero() {
        return Err(SpecError::new("package_size", "must be above 0"));
    }
    let package_amount = required("package_amount", spec.package_amount)?;
    Ok(Package { package_size, package_amount, free_units: or_zero("free_units", spec.free_units)? })
}

fn percentage(spec: &ModelSpec) -> Result<Percentage, SpecError> {
    let min_amount_per_event = optional("min_amount_per_event", spec.min_amount_per_event)?;
    let max_amount_per_event = optional("max_amount_per_event", spec.max_amount_per_event)?;
    if min_amount_per_event.zip(max_amount_per_event).is_some_and(|(least, most)| least > most) {
        return Err(SpecError::new("min_amount_per_event", "must not be above max_amount_per_event"));
    }
    Ok(Percentage {
        percent: required_percent(spec.percent)?,
        fixed_amount: or_zero("fixed_amount", spec.fixed_amount)?,
        free_events: spec.free_events,
        free_amount: optional("free_amount", spec.free_amount)?,
        min_amount_per_event,
        max_amount_per_event,
    })
}

fn tiers<T>(
    tiers: Option<Vec<TierSpec>>,
    read: impl Fn(&TierSpec) -> Result<T, SpecError>,
) -> Result<Vec<T>, SpecError> {
    let tiers = tiers.ok_or_else(|| SpecError::new("tiers", "is required"))?;
    if tiers.is_empty() || tiers.len() > MAX_TIERS {
        return Err(SpecError::new("tiers", format!("must be 1 to {MAX_TIERS} tiers")));
    }
    let mut below = Decimal::ZERO;
    let mut found = Vec::with_capacity(tiers.len());
    for (index, tier) in tiers.iter().enumerate() {
        let is_last = index + 1 == tiers.len();
        let checked = check_end(tier, below, is_last).and_then(|()| read(tier));
        found.push(checked.map_err(|error| error.below(&format!("tiers[{index}]")))?);
        below = tier.up_to.unwrap_or(below);
    }
    Ok(found)
}

fn check_end(tier: &TierSpec, below: Decimal, is_last: bool) -> Result<(), SpecError> {
    let rule = match tier.up_to {
        None if !is_last => "may be null in the last tier only".to_owned(),
        Some(_) if is_last => "must be null in the last tier".to_owned(),
        Some(up_to) if up_to <= below => format!("must be above {below}"),
        _ => return Ok(()),
    };
    Err(SpecError::new("up_to", rule))
}

fn unit_tier(tier: &TierSpec) -> Result<Tier, SpecError> {
    if tier.percent.is_some() {
        return Err(SpecError::new("percent", "means nothing in a tier of units"));
    }
    let unit_amount = or_zero("unit_amount", tier.unit_amount)?;
    Ok(Tier { up_to: tier.up_to, unit_amount, flat_amount: or_zero("flat_amount", tier.flat_amount)? })
}

fn percent_tier(tier: &TierSpec) -> Result<PercentTier, SpecError> {
    if tier.unit_amount.is_some() {
        return Err(SpecError::new("unit_amount", means_nothing(ModelType::GraduatedPercentage)));
    }
    let percent = required_percent(tier.percent)?;
    Ok(PercentTier { up_to: tier.up_to, percent, flat_amount: or_zero("flat_amount", tier.flat_amount)? })
}
