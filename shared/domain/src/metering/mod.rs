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

use crate::{Aggregation, Exact, Meter, PropertyFilter, QuantityError};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

impl MeterWindow {
    /// The first instant whose events matter to a meter: for a recurring one those whose value is carried into the window,
    /// for a weighted sum those of the period that a change has cut.
    #[must_use]
    pub fn reaches_back_to(&self, meter: &Meter) -> Timestamp {
        match (meter.is_recurring(), meter.aggregation()) {
            (true, _) => self.carried_from.min(self.from),
            (false, Aggregation::WeightedSum) => self.full_from.max(self.carried_from).min(self.from),
            (false, _) => self.from,
        }
    }
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

/// Why events come to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeasureError {
    /// An event's properties give no quantity.
    #[error("event `{event}`: {source}")]
    Event {
        /// Its id.
        event: String,
        /// Why.
        source: QuantityError,
    },
    /// More than can be kept.
    #[error("event `{event}`: there are more than {limit} {what}")]
    TooMany {
        /// The id of the event that is one too many.
        event: String,
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
}
