//! Meters: what a usage event adds to a quantity.
//!
//! Knows one event at a time; adding them up over a window is the store's.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    SpecError,
    decimal::{self, NotDecimal},
    spec::{check_key, check_name},
};

/// How events become a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// The number of events.
    Count,
    /// The sum of a property.
    Sum,
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
    /// The property that is summed; for `sum` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_property: Option<String>,
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

    /// What an event with these properties adds.
    ///
    /// # Errors
    /// When the property to be summed is missing or no decimal.
    pub fn quantity(&self, properties: &BTreeMap<String, String>) -> Result<Decimal, QuantityError> {
        match (self.0.aggregation, &self.0.value_property) {
            (Aggregation::Sum, Some(name)) => {
                let text = properties.get(name).ok_or_else(|| QuantityError::Missing(name.clone()))?;
                decimal::parse(text).map_err(|rule| QuantityError::NotDecimal { property: name.clone(), rule })
            }
            // A sum without a property is not a valid meter.
            _ => Ok(Decimal::ONE),
        }
    }
}

impl TryFrom<MeterSpec> for Meter {
    type Error = SpecError;

    fn try_from(spec: MeterSpec) -> Result<Self, SpecError> {
        check_key("key", &spec.key)?;
        check_name("name", spec.name.as_deref())?;
        check_name("value_property", spec.value_property.as_deref())?;
        match (spec.aggregation, &spec.value_property) {
            (Aggregation::Sum, None) => Err(SpecError::new("value_property", "is required for a sum")),
            (Aggregation::Count, Some(_)) => Err(SpecError::new("value_property", "means nothing for a count")),
            _ => Ok(Self(spec)),
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
    use super::*;

    fn meter(aggregation: Aggregation, value_property: Option<&str>) -> Result<Meter, SpecError> {
        let value_property = value_property.map(ToOwned::to_owned);
        MeterSpec { key: "lines".to_owned(), name: None, aggregation, value_property }.try_into()
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
