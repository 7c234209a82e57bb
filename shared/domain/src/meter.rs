//! Meters: what a usage event reports, and which events count.
//!
//! Knows one event at a time; what many of them come to is [`crate::metering`]'s.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    SpecError,
    decimal::{self, NotDecimal},
    spec::{check_key, check_name},
};

/// Properties by which a meter or a price looks at events.
const MAX_FILTERS: usize = 20;
/// Values of a filter: more are a property of their own.
const MAX_FILTER_VALUES: usize = 100;

/// How events become a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// The number of events.
    Count,
    /// The sum of a property.
    Sum,
    /// The largest value of a property; zero without events.
    Max,
    /// The value of a property in the last event, by its own time.
    Latest,
    /// The number of different values of a property.
    UniqueCount,
    /// The running sum of a property, averaged over the period's time.
    WeightedSum,
}

/// What becomes of an event that is reported after its period was billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatePolicy {
    /// The next invoice has a line for what it changes.
    #[default]
    Adjust,
    /// It is kept, and never billed.
    Ignore,
}

/// Events whose property has one of some values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PropertyFilter {
    /// The property that is looked at.
    pub property: String,
    /// What it may be.
    pub values: Vec<String>,
}

impl PropertyFilter {
    /// Whether an event with these properties passes; one without the property does not.
    #[must_use]
    pub fn passes(&self, properties: &BTreeMap<String, String>) -> bool {
        properties.get(&self.property).is_some_and(|value| self.values.contains(value))
    }
}

/// Checks filters at `filters`.
///
/// # Errors
/// A [`SpecError`] for too many, a name that is none, one property twice, or no value.
pub(crate) fn check_filters(filters: &[PropertyFilter]) -> Result<(), SpecError> {
    if filters.len() > MAX_FILTERS {
        return Err(SpecError::new("filters", format!("must be at most {MAX_FILTERS}")));
    }
    let mut properties = BTreeSet::new();
    for (index, filter) in filters.iter().enumerate() {
        let path = |field: &str| format!("filters[{index}].{field}");
        check_name(&path("property"), Some(&filter.property))?;
        if !properties.insert(&filter.property) {
            return Err(SpecError::new(path("property"), format!("`{}` is used twice", filter.property)));
        }
        if filter.values.is_empty() || filter.values.len() > MAX_FILTER_VALUES {
            return Err(SpecError::new(path("values"), format!("must be 1 to {MAX_FILTER_VALUES} values")));
        }
    }
    Ok(())
}

/// The body of a meter, as clients write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeterSpec {
    /// Unique per tenant.
    pub key: String,
    /// Shown to people; the key if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How its events become a quantity.
    pub aggregation: Aggregation,
    /// The property that is looked at; for a count there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_property: Option<String>,
    /// The events that count: those that pass every filter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<PropertyFilter>,
    /// Whether its value is carried into the next period.
    #[serde(default)]
    pub recurring: bool,
    /// What becomes of late events.
    #[serde(default)]
    pub late_policy: LatePolicy,
}

/// A valid meter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "MeterSpec", into = "MeterSpec")]
pub struct Meter(MeterSpec);

/// Why an event's properties give no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The property to be summed is not there.
    #[error("the property `{0}` is missing")]
    Missing(String),
    /// The property to be summed is no number.
    #[error("the property `{property}` {rule}")]
    NotDecimal {
        /// The property.
        property: String,
        /// What it must be.
        rule: NotDecimal,
    },
}

impl Meter {
    /// Its key, unique per tenant.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// What clients see.
    #[must_use]
    pub fn spec(&self) -> &MeterSpec {
        &self.0
    }

    /// How its events become a quantity.
    #[must_use]
    pub fn aggregation(&self) -> Aggregation {
        self.0.aggregation
    }

    /// Whether its value is carried into the next period.
    #[must_use]
    pub fn is_recurring(&self) -> bool {
        self.0.recurring
    }

    /// What becomes of late events.
    #[must_use]
    pub fn late_policy(&self) -> LatePolicy {
        self.0.late_policy
    }

    /// Whether an event with these properties counts.
    #[must_use]
    pub fn counts(&self, properties: &BTreeMap<String, String>) -> bool {
        self.0.filters.iter().all(|filter| filter.passes(properties))
    }

    /// What an event with these properties reports: its value, or 1 where the events themselves or different texts are
    /// counted; nothing if it does not count.
    ///
    /// # Errors
    /// When the property that is looked at is missing or no decimal.
    pub fn quantity(&self, properties: &BTreeMap<String, String>) -> Result<Decimal, QuantityError> {
        if !self.counts(properties) {
            return Ok(Decimal::ZERO);
        }
        // Any aggregation but a count has a property, or it is not a valid meter.
        let Some(name) = &self.0.value_property else { return Ok(Decimal::ONE) };
        let text = properties.get(name).ok_or_else(|| QuantityError::Missing(name.clone()))?;
        if self.0.aggregation == Aggregation::UniqueCount {
            return Ok(Decimal::ONE);
        }
        decimal::parse(text).map_err(|rule| QuantityError::NotDecimal { property: name.clone(), rule })
    }

    /// The text of the property that is looked at.
    pub(crate) fn text<'a>(&self, properties: &'a BTreeMap<String, String>) -> Option<&'a str> {
        self.0.value_property.as_ref().and_then(|name| properties.get(name)).map(String::as_str)
    }
}

impl TryFrom<MeterSpec> for Meter {
    type Error = SpecError;

    fn try_from(spec: MeterSpec) -> Result<Self, SpecError> {
        check_key("key", &spec.key)?;
        check_name("name", spec.name.as_deref())?;
        check_name("value_property", spec.value_property.as_deref())?;
        check_filters(&spec.filters)?;
        match (spec.aggregation, &spec.value_property) {
            (Aggregation::Count, Some(_)) => Err(SpecError::new("value_property", "means nothing for a count")),
            (Aggregation::Count, None) | (_, Some(_)) => Ok(Self(spec)),
            (Aggregation::Sum, None) => Err(SpecError::new("value_property", "is required for a sum")),
            (_, None) => Err(SpecError::new("value_property", "is required: it is what the meter looks at")),
        }
    }
}

impl From<Meter> for MeterSpec {
    fn from(meter: Meter) -> Self {
        meter.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn meter(aggregation: Aggregation, value_property: Option<&str>) -> Result<Meter, SpecError> {
        let spec = json!({ "key": "lines", "aggregation": aggregation, "value_property": value_property });
        serde_json::from_value::<MeterSpec>(spec).unwrap().try_into()
    }

    fn quantity(meter: &Meter, value: &str) -> Result<Decimal, QuantityError> {
        meter.quantity(&BTreeMap::from([("value".to_owned(), value.to_owned())]))
    }

    #[test]
    fn a_count_counts_events_and_a_sum_adds_a_property() {
        let count = meter(Aggregation::Count, None).unwrap();
        assert_eq!(count.quantity(&BTreeMap::new()), Ok(Decimal::ONE));
        let sum = meter(Aggregation::Sum, Some("value")).unwrap();
        assert_eq!(quantity(&sum, "-2.5"), Ok("-2.5".parse().unwrap()));
        assert_eq!(sum.quantity(&BTreeMap::new()), Err(QuantityError::Missing("value".to_owned())));
        let error = quantity(&sum, "many").unwrap_err();
        assert!(error.to_string().starts_with("the property `value` must be a decimal number"), "{error}");
    }

    #[test]
    fn a_property_belongs_to_a_sum_and_only_to_it() {
        assert_eq!(meter(Aggregation::Sum, None).unwrap_err().to_string(), "value_property is required for a sum");
        assert_eq!(meter(Aggregation::Count, Some("value")).unwrap_err().path, "value_property");
        assert_eq!(meter(Aggregation::Sum, Some(" ")).unwrap_err().path, "value_property");
    }
}
