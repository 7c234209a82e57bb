//! Tallies: what one group of events comes to so far, by the meter's aggregation.
//!
//! **Invariant:** events may be added in any order, except that of two `latest` values at one instant the one added last wins.

use std::{collections::BTreeSet, mem};

use jiff::Timestamp;

use super::MeterWindow;
use crate::{Aggregation, AmountError, Exact};

/// A running value.
#[derive(Clone, Debug)]
pub(super) enum Tally {
    /// Counts and sums.
    Total(Exact),
    Max(Option<Exact>),
    Latest(Option<(Timestamp, Exact)>),
    Unique(BTreeSet<String>),
    /// In units x milliseconds: each event's value for as long as it holds, until the end of the window.
    Weighted(Exact),
}

impl Tally {
    pub(super) fn new(aggregation: Aggregation) -> Self {
        match aggregation {
            Aggregation::Count | Aggregation::Sum => Self::Total(Exact::zero()),
            Aggregation::Max => Self::Max(None),
            Aggregation::Latest => Self::Latest(None),
            Aggregation::UniqueCount => Self::Unique(BTreeSet::new()),
            Aggregation::WeightedSum => Self::Weighted(Exact::zero()),
        }
    }

    /// Adds an event that is in the window, or carried into it: then it weighs from the window's begin.
    pub(super) fn add(&mut self, at: Timestamp, (value, text): (Exact, Option<&str>), window: &MeterWindow) {
        match self {
            Self::Total(total) => increase(total, value),
            Self::Max(most) => {
                if most.as_ref().is_none_or(|most| *most < value) {
                    *most = Some(value);
                }
            }
            Self::Latest(latest) => {
                if latest.as_ref().is_none_or(|(last, _)| *last <= at) {
                    *latest = Some((at, value));
                }
            }
            Self::Unique(texts) => {
                // Most texts are known ones, and need no copy.
                let text = text.unwrap_or_default();
                if !texts.contains(text) {
                    texts.insert(text.to_owned());
                }
            }
            Self::Weighted(area) => increase(area, value * milliseconds(at.max(window.from), window.to)),
        }
    }

    /// The different texts it keeps.
    pub(super) fn kept(&self) -> usize {
        if let Self::Unique(texts) = self { texts.len() } else { 0 }
    }

    /// The meter's value at the end of the window.
    pub(super) fn value(self, window: &MeterWindow) -> Result<Exact, AmountError> {
        match self {
            Self::Total(total) => Ok(total),
            Self::Max(value) => Ok(value.unwrap_or_else(Exact::zero)),
            Self::Latest(latest) => Ok(latest.map_or_else(Exact::zero, |(_, value)| value)),
            Self::Unique(texts) => Ok(Exact::from(i64::try_from(texts.len()).map_err(|_| AmountError::Overflow)?)),
            Self::Weighted(area) => {
                let length = milliseconds(window.full_from, window.full_to);
                // A day that does not exist is a period without time.
                if length.is_zero() { Ok(Exact::zero()) } else { area.divided_by(&length) }
            }
        }
    }
}

fn increase(total: &mut Exact, by: Exact) {
    *total = mem::replace(total, Exact::zero()) + by;
}

/// None where time runs backwards.
fn milliseconds(from: Timestamp, to: Timestamp) -> Exact {
    Exact::from((to.as_millisecond() - from.as_millisecond()).max(0))
}
