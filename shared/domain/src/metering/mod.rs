//! Metering: what the events of a window come to.
//!
//! Events are folded one by one, so that a window of any number of them needs the memory of its result. **Invariant:** the
//! result depends on the events alone, not on the order in which they were reported.

mod accumulator;
mod tally;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use accumulator::Accumulator;

use crate::{Exact, PropertyFilter, QuantityError};

/// Which of a meter's events a price sees, and how they are told apart.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection<'a> {
    /// On top of the meter's own.
    pub filters: &'a [PropertyFilter],
    /// Properties each combination of whose values is measured apart.
    pub group_by: &'a [String],
    /// Whether the values of single events are wanted.
    pub each_event: bool,
}

/// The instants whose events count, half-open like every period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterWindow {
    /// First instant in it.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
    /// First instant of the full period that it is a part of.
    pub full_from: Timestamp,
    /// First instant after the full period.
    pub full_to: Timestamp,
    /// First instant whose events a recurring meter remembers.
    pub carried_from: Timestamp,
}

/// An event, as far as measuring looks at it.
#[derive(Clone, Copy, Debug)]
pub struct EventView<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its own time.
    pub at: Timestamp,
    /// What it reports.
    pub properties: &'a BTreeMap<String, String>,
}

/// The values of the properties that usage is grouped by, in the price's order; an event without one has an empty value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Group(Vec<(String, String)>);

impl Group {
    /// Property and value, in the price's order.
    pub fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(property, value)| (property.as_str(), value.as_str()))
    }
}

impl fmt::Display for Group {
    /// "region: eu, tier: gold".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (property, value)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{property}: {value}")?;
        }
        Ok(())
    }
}

/// What was used, by one group if there are groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// None without groups.
    pub group: Option<Group>,
    /// The meter's value.
    pub quantity: Exact,
    /// The values of single events, in the order of their time; only if they were wanted.
    pub values: Vec<Exact>,
}

/// An event whose properties give no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event `{event}`: {source}")]
pub struct MeasureError {
    /// Its id.
    pub event: String,
    /// Why.
    pub source: QuantityError,
}
