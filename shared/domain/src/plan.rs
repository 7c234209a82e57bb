//! Plans: what a customer subscribes to, and in which periods it is billed.
//!
//! `PlanSpec` is the body that clients write; a [`Plan`] is one whose rules hold. It is stored and frozen in the same shape.

use std::{collections::BTreeSet, num::NonZeroU16};

use serde::{Deserialize, Serialize};

use crate::{
    Currency, Every, Interval, Meter, Price, PriceSpec, SpecError,
    spec::{check_key, check_name},
};

/// Prices of a plan: more would not fit an invoice that a person reads.
const MAX_PRICES: usize = 100;
/// Longest period, in years: beyond that nobody bills.
const MAX_PERIOD_YEARS: u16 = 10;
/// Longest trial, in days: as long as the longest period.
const MAX_TRIAL_DAYS: u16 = MAX_PERIOD_YEARS * 365;

/// What usage in a trial costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialUsage {
    /// Nothing.
    #[default]
    Free,
    /// What it costs after it.
    Billed,
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
    /// Days before fixed fees and commitment begin.
    #[serde(default)]
    pub trial_days: u16,
    /// What usage in them costs.
    #[serde(default)]
    pub trial_usage: TrialUsage,
    /// Least amount of a whole period's lines, in minor units; 0 is none.
    #[serde(default)]
    pub minimum_commitment_minor: i64,
    /// In the order of an invoice's lines.
    pub prices: Vec<PriceSpec>,
}

fn one() -> NonZeroU16 {
    NonZeroU16::MIN
}

/// A plan whose rules hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PlanSpec", into = "PlanSpec")]
pub struct Plan {
    /// Its models are written in full.
    spec: PlanSpec,
    /// The spec's, in its order.
    prices: Vec<Price>,
}

impl Plan {
    /// Its key, unique per tenant.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.spec.key
    }

    /// The currency of all its prices.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.spec.currency
    }

    /// The length of its period.
    #[must_use]
    pub fn every(&self) -> Every {
        Every { interval: self.spec.interval, count: self.spec.interval_count }
    }

    /// Days before fixed fees and commitment begin.
    #[must_use]
    pub fn trial_days(&self) -> u16 {
        self.spec.trial_days
    }

    /// What usage in a trial costs.
    #[must_use]
    pub fn trial_usage(&self) -> TrialUsage {
        self.spec.trial_usage
    }

    /// Least amount of a whole period's lines, in minor units; 0 is none.
    #[must_use]
    pub fn minimum_commitment_minor(&self) -> i64 {
        self.spec.minimum_commitment_minor
    }

    /// Its prices, in the order of an invoice's lines.
    #[must_use]
    pub fn prices(&self) -> &[Price] {
        &self.prices
    }

    /// One of its prices.
    #[must_use]
    pub fn price(&self, key: &str) -> Option<&Price> {
        self.prices.iter().find(|price| price.key == key)
    }

    /// What a line for one of its prices is called: "Pro, Base".
    #[must_use]
    pub fn describe(&self, price: &Price) -> String {
        format!("{}, {}", self.title(), price.name.clone().unwrap_or_else(|| title(&price.key)))
    }

    /// What the line for its commitment is called: "Pro, minimum commitment".
    #[must_use]
    pub fn describe_commitment(&self) -> String {
        format!("{}, minimum commitment", self.title())
    }

    fn title(&self) -> String {
        self.spec.name.clone().unwrap_or_else(|| title(&self.spec.key))
    }

    /// Keys of the meters it bills, each once.
    pub fn meters(&self) -> impl Iterator<Item = &str> {
        let keys: BTreeSet<&str> = self.prices.iter().filter_map(|price| price.meter.as_deref()).collect();
        keys.into_iter()
    }

    /// Whether the meters it bills exist and give what its models rate; `meter` finds one by its key.
    ///
    /// # Errors
    /// A [`SpecError`] at `prices[i].meter` for one that does not exist, or is no sum under a percentage.
    pub fn check_meters<'a>(&self, meter: impl Fn(&str) -> Option<&'a Meter>) -> Result<(), SpecError> {
        for (index, price) in self.prices.iter().enumerate() {
            let Some(key) = &price.meter else { continue };
            let found = meter(key).ok_or_else(|| SpecError::new("meter", format!("`{key}` is no meter")));
            found.and_then(|meter| price.check_meter(meter)).map_err(|error| error.below(&path_of(index)))?;
        }
        Ok(())
    }

    /// What clients see.
    #[must_use]
    pub fn spec(&self) -> &PlanSpec {
        &self.spec
    }
}

impl TryFrom<PlanSpec> for Plan {
    type Error = SpecError;

    fn try_from(mut spec: PlanSpec) -> Result<Self, SpecError> {
        check_key("key", &spec.key)?;
        check_name("name", spec.name.as_deref())?;
        check_period(&spec)?;
        if spec.prices.is_empty() || spec.prices.len() > MAX_PRICES {
            return Err(SpecError::new("prices", format!("must be 1 to {MAX_PRICES} prices")));
        }
        let mut prices = Vec::with_capacity(spec.prices.len());
        let mut keys = BTreeSet::new();
        for (index, written) in spec.prices.iter_mut().enumerate() {
            let below = |error: SpecError| error.below(&path_of(index));
            let price = Price::try_from(written.clone()).map_err(below)?;
            if !keys.insert(price.key.clone()) {
                return Err(below(SpecError::new("key", format!("`{}` is used twice", price.key))));
            }
            check_interval(&price, Every { interval: spec.interval, count: spec.interval_count }).map_err(below)?;
            written.model = price.model.clone().into();
            prices.push(price);
        }
        Ok(Self { spec, prices })
    }
}

impl From<Plan> for PlanSpec {
    fn from(plan: Plan) -> Self {
        plan.spec
    }
}

fn path_of(index: usize) -> String {
    format!("prices[{index}]")
}

/// A key as a person would write it: `api_calls` is "Api calls".
pub(crate) fn title(key: &str) -> String {
    let words = key.replace(['_', '-'], " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

fn check_period(spec: &PlanSpec) -> Result<(), SpecError> {
    let a_year = match spec.interval {
        Interval::Day => 365,
        Interval::Week => 52,
        Interval::Month => 12,
        Interval::Quarter => 4,
        Interval::Year => 1,
    };
    let longest = a_year * MAX_PERIOD_YEARS;
    if spec.interval_count.get() > longest {
        return Err(SpecError::new("interval_count", format!("must be between 1 and {longest}")));
    }
    if spec.trial_days > MAX_TRIAL_DAYS {
        return Err(SpecError::new("trial_days", format!("must be between 0 and {MAX_TRIAL_DAYS}")));
    }
    if spec.minimum_commitment_minor < 0 {
        return Err(SpecError::new("minimum_commitment_minor", "must not be negative"));
    }
    Ok(())
}

/// A price's own period fits into every one of the plan's, even the longest of its into the shortest of the plan's.
fn check_interval(price: &Price, plan: Every) -> Result<(), SpecError> {
    if price.interval.is_none_or(|own| plan.covers(Every::one(own))) {
        return Ok(());
    }
    Err(SpecError::new("interval", "must not be longer than the plan's period"))
}
