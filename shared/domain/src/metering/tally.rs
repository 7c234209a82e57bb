//! Tallies: what one group of events comes to so far, by the meter's aggregation.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::MeterWindow;
use crate::{Aggregation, AmountError, Exact};

/// A running value.
#[derive(Clone, Debug)]
pub(super) enum Tally {
    /// Counts and sums.
    Total(Exact),
    Max(Option<Exact>),
    Latest(Option<Exact>),
    Unique(BTreeSet<String>),
    /// The running sum, since when it holds, and its time-weighted total so far, in units x milliseconds.
    Weighted {
        level: Exact,
        since: Timestamp,
        area: Exact,
    },
}

impl Tally {
    pub(super) fn new(aggregation: Aggregation, window: &MeterWindow) -> Self {
        match aggregation {
            Aggregation::Count | Aggregation::Sum => Self::Total(Exact::zero()),
            Aggregation::Max => Self::Max(None),
            Aggregation::Latest => Self::Latest(None),
            Aggregation::UniqueCount => Self::Unique(BTreeSet::new()),
            Aggregation::WeightedSum => {
                Self::Weighted { level: Exact::zero(), since: window.from, area: Exact::zero() }
            }
        }
    }

    /// Adds an event; one before the window is only carried into it.
    pub(super) fn add(&mut self, at: Timestamp, value: Exact, text: Option<&str>) {
        match self {
            Self::Total(total) => *total = total.clone() + value,
            Self::Max(most) => *most = Some(most.take().map_or(value.clone(), |most| most.max(value))),
            Self::Latest(latest) => *latest = Some(value),
            Self::Unique(texts) => drop(texts.insert(text.unwrap_or_default().to_owned())),
            Self::Weighted { level, since, area } => {
                if at > *since {
                    *area = area.clone() + level.clone() * milliseconds(*since, at);
                    *since = at;
                }
                *level = level.clone() + value;
            }
        }
    }

    /// The meter's value at the end of the window.
    pub(super) fn value(self, window: &MeterWindow) -> Result<Exact, AmountError> {
        match self {
            Self::Total(total) => Ok(total),
            Self::Max(value) | Self::Latest(value) => Ok(value.unwrap_or_else(Exact::zero)),
            Self::Unique(texts) => Ok(Exact::from(i64::try_from(texts.len()).map_err(|_| AmountError::Overflow)?)),
            Self::Weighted { level, since, area } => {
                let area = area + level * milliseconds(since, window.to);
                let length = milliseconds(window.full_from, window.full_to);
                // A day that does not exist is a period without time.
                if length.is_zero() { Ok(Exact::zero()) } else { area.divided_by(&length) }
            }
        }
    }
}

fn milliseconds(from: Timestamp, to: Timestamp) -> Exact {
    Exact::from(to.as_millisecond() - from.as_millisecond())
}
