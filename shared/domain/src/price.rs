//! Prices: what is charged for, when, and within which limits.
//!
//! A [`PriceSpec`] is what clients write; a [`Price`] is one whose rules hold, and comes out of a [`Plan`] only.

use serde::{Deserialize, Serialize};

use crate::{
    Aggregation, Every, Interval, Meter, ModelSpec, Plan, PriceModel, PropertyFilter, Selection, SpecError, TaxRate,
    TaxRateSpec,
    meter::check_filters,
    spec::{check_key, check_name},
};

/// Tax rates of a price: no place levies more.
const MAX_TAX_RATES: usize = 10;
/// Properties that usage is grouped by: every combination of their values is a line.
const MAX_GROUP_PROPERTIES: usize = 3;

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

/// A price as clients write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceSpec {
    /// Unique in the plan.
    pub key: String,
    /// Shown on invoices; the key if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is charged for.
    pub kind: PriceKind,
    /// When it is billed.
    pub timing: Timing,
    /// Its own period, of one interval and not longer than the plan's; the plan's if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Key of the meter; for usage only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter: Option<String>,
    /// The events it sees: those that pass every filter; for usage only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<PropertyFilter>,
    /// Properties of events: each combination of their values is rated apart and has a line; for usage only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<String>,
    /// In place of the customer's; an empty list is no tax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_rates: Option<Vec<TaxRateSpec>>,
    /// Least amount a period, in proportion in a part of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_amount_minor: Option<i64>,
    /// Most amount a period, in proportion in a part of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_amount_minor: Option<i64>,
    /// How the quantity becomes an amount.
    pub model: ModelSpec,
}

/// A valid price of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Unique in the plan.
    pub key: String,
    /// Shown on invoices; the key if there is none.
    pub name: Option<String>,
    /// What it is charged for.
    pub kind: PriceKind,
    /// When it is billed; usage in arrears.
    pub timing: Timing,
    /// Its own period, of one interval and not longer than the plan's.
    pub interval: Option<Interval>,
    /// Key of the meter, for usage.
    pub meter: Option<String>,
    /// The events it sees: those that pass every filter.
    pub filters: Vec<PropertyFilter>,
    /// Properties of events: each combination of their values is rated apart and has a line.
    pub group_by: Vec<String>,
    /// In place of the customer's; an empty list is no tax.
    pub tax_rates: Option<Vec<TaxRate>>,
    /// Least amount a period, in proportion in a part of one.
    pub min_amount_minor: Option<i64>,
    /// Most amount a period, in proportion in a part of one.
    pub max_amount_minor: Option<i64>,
    /// How the quantity becomes an amount.
    pub model: PriceModel,
}

impl Price {
    /// The length of its period: its own, or the plan's.
    #[must_use]
    pub fn every(&self, plan: &Plan) -> Every {
        self.interval.map_or_else(|| plan.every(), Every::one)
    }

    /// Which of its meter's events it sees.
    #[must_use]
    pub fn selection(&self) -> Selection<'_> {
        let each_event = matches!(self.model, PriceModel::Percentage(_));
        Selection { filters: &self.filters, group_by: &self.group_by, each_event }
    }

    /// Whether it is charged by the subscription's quantity.
    #[must_use]
    pub fn is_licensed(&self) -> bool {
        self.kind == PriceKind::Licensed
    }

    /// Whether it can be charged by this meter.
    pub(crate) fn check_meter(&self, meter: &Meter) -> Result<(), SpecError> {
        let model = self.model.model_type();
        if model.is_of_a_sum() && meter.spec().aggregation != Aggregation::Sum {
            let rule = format!("`{}` is no sum, and a {model} model is of a sum's value", meter.key());
            return Err(SpecError::new("meter", rule));
        }
        Ok(())
    }
}

impl TryFrom<PriceSpec> for Price {
    type Error = SpecError;

    fn try_from(spec: PriceSpec) -> Result<Self, SpecError> {
        check_key("key", &spec.key)?;
        check_name("name", spec.name.as_deref())?;
        check_usage(&spec)?;
        check_limits(&spec)?;
        Ok(Self {
            key: spec.key,
            name: spec.name,
            kind: spec.kind,
            timing: spec.timing,
            interval: spec.interval,
            meter: spec.meter,
            filters: spec.filters,
            group_by: spec.group_by,
            tax_rates: spec.tax_rates.map(tax_rates).transpose()?,
            min_amount_minor: spec.min_amount_minor,
            max_amount_minor: spec.max_amount_minor,
            model: PriceModel::try_from(spec.model).map_err(|error| error.below("model"))?,
        })
    }
}

/// What belongs to usage, and to nothing else.
fn check_usage(spec: &PriceSpec) -> Result<(), SpecError> {
    if spec.kind == PriceKind::Usage {
        if spec.meter.is_none() {
            return Err(SpecError::new("meter", "is required for usage"));
        }
        if spec.timing == Timing::Advance {
            return Err(SpecError::new("timing", "must be arrears: usage is known after its period"));
        }
        check_filters(&spec.filters)?;
        return check_group_by(&spec.group_by);
    }
    let given = [
        ("meter", spec.meter.is_some()),
        ("filters", !spec.filters.is_empty()),
        ("group_by", !spec.group_by.is_empty()),
    ];
    if let Some((field, _)) = given.iter().find(|(_, given)| *given) {
        return Err(SpecError::new(*field, "means nothing unless the kind is usage"));
    }
    if spec.model.r#type.is_for_usage_only() {
        let rule = format!("must be another unless the kind is usage: {} is of a meter's value", spec.model.r#type);
        return Err(SpecError::new("model.type", rule));
    }
    Ok(())
}

fn check_group_by(group_by: &[String]) -> Result<(), SpecError> {
    if group_by.len() > MAX_GROUP_PROPERTIES {
        return Err(SpecError::new("group_by", format!("must be at most {MAX_GROUP_PROPERTIES} properties")));
    }
    for (index, property) in group_by.iter().enumerate() {
        let path = format!("group_by[{index}]");
        check_name(&path, Some(property))?;
        if group_by[..index].contains(property) {
            return Err(SpecError::new(path, format!("`{property}` is used twice")));
        }
    }
    Ok(())
}

fn check_limits(spec: &PriceSpec) -> Result<(), SpecError> {
    let limits = [("min_amount_minor", spec.min_amount_minor), ("max_amount_minor", spec.max_amount_minor)];
    if let Some((name, _)) = limits.iter().find(|(_, limit)| limit.is_some_and(|limit| limit < 0)) {
        return Err(SpecError::new(*name, "must not be negative"));
    }
    if spec.min_amount_minor.zip(spec.max_amount_minor).is_some_and(|(least, most)| least > most) {
        return Err(SpecError::new("min_amount_minor", "must not be above max_amount_minor"));
    }
    Ok(())
}

fn tax_rates(specs: Vec<TaxRateSpec>) -> Result<Vec<TaxRate>, SpecError> {
    if specs.len() > MAX_TAX_RATES {
        return Err(SpecError::new("tax_rates", format!("must be at most {MAX_TAX_RATES} tax rates")));
    }
    let rate = |(index, spec): (usize, TaxRateSpec)| {
        TaxRate::try_from(spec).map_err(|error| error.below(&format!("tax_rates[{index}]")))
    };
    specs.into_iter().enumerate().map(rate).collect()
}
