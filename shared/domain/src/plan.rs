//! Plans and prices: what is charged, when and by which model.
//!
//! `PlanSpec` is the body that clients write; a [`Plan`] is one whose rules hold. It is stored and frozen in the same shape.

use std::{collections::BTreeSet, num::NonZeroU16};

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    BillingCycle, Cadence, Currency, Interval, SpecError, decimal,
    spec::{check_key, check_name},
};

/// Prices of a plan: more would not fit an invoice that a person reads.
const MAX_PRICES: usize = 100;
/// Tiers of a price.
const MAX_TIERS: usize = 100;
/// Longest period, in months: ten years, beyond which nobody bills.
const MAX_PERIOD_MONTHS: u16 = 120;

/// What a price is charged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceKind {
    /// Once a period.
    Fixed,
    /// The subscription's quantity.
    Licensed,
    /// A meter's value.
    Usage,
}

/// When a price is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timing {
    /// At the start of its period.
    Advance,
    /// After the end of its period.
    Arrears,
}

/// A range of quantities with its price. It begins where the one before ends; the last one is open-ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The last unit in it.
    #[serde(with = "decimal::option")]
    pub up_to: Option<Decimal>,
    /// Price of each unit in it, in major units.
    #[serde(default, with = "decimal")]
    pub unit_amount: Decimal,
    /// Charged once when it is entered, in major units.
    #[serde(default, with = "decimal")]
    pub flat_amount: Decimal,
}

/// How a quantity becomes an amount of major units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum PriceModel {
    /// The same amount whatever the quantity.
    Flat {
        /// In major units.
        #[serde(with = "decimal")]
        amount: Decimal,
    },
    /// The quantity times an amount.
    PerUnit {
        /// In major units.
        #[serde(with = "decimal")]
        unit_amount: Decimal,
    },
    /// Each unit at its own tier's price, plus the flat amounts of the tiers entered.
    Graduated {
        /// Ascending, without gaps.
        tiers: Vec<Tier>,
    },
}

/// One price of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Unique in the plan.
    pub key: String,
    /// Shown on invoices; the key if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is charged for.
    pub kind: PriceKind,
    /// When it is billed.
    pub timing: Timing,
    /// Key of the meter; for usage only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter: Option<String>,
    /// Least amount a period, in proportion in a part of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_amount_minor: Option<i64>,
    /// Most amount a period, in proportion in a part of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_amount_minor: Option<i64>,
    /// How the quantity becomes an amount.
    pub model: PriceModel,
}

/// The body of a plan, as clients write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanSpec {
    /// Unique per tenant.
    pub key: String,
    /// Shown on invoices; the key if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of all prices.
    pub currency: Currency,
    /// Unit of a period.
    pub interval: Interval,
    /// Intervals in a period.
    #[serde(default = "one")]
    pub interval_count: NonZeroU16,
    /// In the order of an invoice's lines.
    pub prices: Vec<Price>,
}

fn one() -> NonZeroU16 {
    NonZeroU16::MIN
}

/// A plan whose rules hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PlanSpec", into = "PlanSpec")]
pub struct Plan(PlanSpec);

impl Plan {
    /// Its key, unique per tenant.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// The currency of all its prices.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.0.currency
    }

    /// Its prices, in the order of an invoice's lines.
    #[must_use]
    pub fn prices(&self) -> &[Price] {
        &self.0.prices
    }

    /// How a subscription that starts on a local day is billed.
    #[must_use]
    pub fn cadence(&self, start: Date, cycle: BillingCycle) -> Cadence {
        Cadence::starting(start, (self.0.interval, self.0.interval_count), cycle)
    }

    /// What a line for one of its prices is called: "Pro, Base".
    #[must_use]
    pub fn describe(&self, price: &Price) -> String {
        let name = |name: &Option<String>, key: &str| name.clone().unwrap_or_else(|| title(key));
        format!("{}, {}", name(&self.0.name, &self.0.key), name(&price.name, &price.key))
    }

    /// Keys of the meters it bills, each once.
    pub fn meters(&self) -> impl Iterator<Item = &str> {
        let keys: BTreeSet<&str> = self.0.prices.iter().filter_map(|price| price.meter.as_deref()).collect();
        keys.into_iter()
    }

    /// What clients see.
    #[must_use]
    pub fn spec(&self) -> &PlanSpec {
        &self.0
    }
}

impl TryFrom<PlanSpec> for Plan {
    type Error = SpecError;

    fn try_from(spec: PlanSpec) -> Result<Self, SpecError> {
        check_key("key", &spec.key)?;
        check_name("name", spec.name.as_deref())?;
        let longest = match spec.interval {
            Interval::Month => MAX_PERIOD_MONTHS,
            Interval::Year => MAX_PERIOD_MONTHS / 12,
        };
        if spec.interval_count.get() > longest {
            return Err(SpecError::new("interval_count", format!("must be between 1 and {longest}")));
        }
        if spec.prices.is_empty() || spec.prices.len() > MAX_PRICES {
            return Err(SpecError::new("prices", format!("must be 1 to {MAX_PRICES} prices")));
        }
        let mut keys = BTreeSet::new();
        for (index, price) in spec.prices.iter().enumerate() {
            let path = format!("prices[{index}]");
            check_price(price).map_err(|error| error.below(&path))?;
            if !keys.insert(&price.key) {
                return Err(SpecError::new(format!("{path}.key"), format!("`{}` is used twice", price.key)));
            }
        }
        Ok(Self(spec))
    }
}

impl From<Plan> for PlanSpec {
    fn from(plan: Plan) -> Self {
        plan.0
    }
}

/// A key as a person would write it: `api_calls` is "Api calls".
fn title(key: &str) -> String {
    let words = key.replace(['_', '-'], " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

fn check_price(price: &Price) -> Result<(), SpecError> {
    check_key("key", &price.key)?;
    check_name("name", price.name.as_deref())?;
    match (price.kind, &price.meter) {
        (PriceKind::Usage, None) => return Err(SpecError::new("meter", "is required for usage")),
        (PriceKind::Usage, Some(_)) if price.timing == Timing::Advance => {
            return Err(SpecError::new("timing", "must be arrears: usage is known after its period"));
        }
        (PriceKind::Fixed | PriceKind::Licensed, Some(_)) => {
            return Err(SpecError::new("meter", "means nothing unless the kind is usage"));
        }
        _ => {}
    }
    check_limits(price)?;
    match &price.model {
        PriceModel::Flat { amount } => not_negative("model.amount", *amount),
        PriceModel::PerUnit { unit_amount } => not_negative("model.unit_amount", *unit_amount),
        PriceModel::Graduated { tiers } => check_tiers(tiers),
    }
}

fn check_limits(price: &Price) -> Result<(), SpecError> {
    let limits = [("min_amount_minor", price.min_amount_minor), ("max_amount_minor", price.max_amount_minor)];
    if let Some((name, _)) = limits.iter().find(|(_, limit)| limit.is_some_and(|limit| limit < 0)) {
        return Err(SpecError::new(*name, "must not be negative"));
    }
    if price.min_amount_minor.zip(price.max_amount_minor).is_some_and(|(least, most)| least > most) {
        return Err(SpecError::new("min_amount_minor", "must not be above max_amount_minor"));
    }
    Ok(())
}

fn not_negative(path: impl Into<String>, amount: Decimal) -> Result<(), SpecError> {
    if amount.is_sign_negative() && !amount.is_zero() {
        return Err(SpecError::new(path, "must not be negative"));
    }
    Ok(())
}

fn check_tiers(tiers: &[Tier]) -> Result<(), SpecError> {
    if tiers.is_empty() || tiers.len() > MAX_TIERS {
        return Err(SpecError::new("model.tiers", format!("must be 1 to {MAX_TIERS} tiers")));
    }
    let mut below = Decimal::ZERO;
    for (index, tier) in tiers.iter().enumerate() {
        let path = |field: &str| format!("model.tiers[{index}].{field}");
        not_negative(path("unit_amount"), tier.unit_amount)?;
        not_negative(path("flat_amount"), tier.flat_amount)?;
        match (tier.up_to, index + 1 == tiers.len()) {
            (None, true) => {}
            (None, false) => return Err(SpecError::new(path("up_to"), "may be null in the last tier only")),
            (Some(_), true) => return Err(SpecError::new(path("up_to"), "must be null in the last tier")),
            (Some(up_to), false) if up_to <= below => {
                return Err(SpecError::new(path("up_to"), format!("must be above {below}")));
            }
            (Some(up_to), false) => below = up_to,
        }
    }
    Ok(())
}
