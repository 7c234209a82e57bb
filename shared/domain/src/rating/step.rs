//! The terms of an amount.

use std::fmt;

use rust_decimal::Decimal;

use crate::Exact;

/// One term of an amount, in major units. Shown to people with prices as the plan writes them: "1000 x 0.01".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Units at a price each.
    Units {
        /// How many.
        quantity: Exact,
        /// Price of one.
        unit_amount: Decimal,
    },
    /// An amount that is charged once.
    Flat {
        /// The amount.
        amount: Decimal,
    },
    /// Whole packages.
    Packages {
        /// How many.
        count: Exact,
        /// Units in one.
        size: Decimal,
        /// Price of one.
        amount: Decimal,
    },
    /// A part of a value.
    Percent {
        /// The part.
        percent: Decimal,
        /// The value.
        value: Exact,
    },
    /// What costs nothing.
    Free {
        /// Value of events.
        value: Exact,
        /// Events that are free as a whole.
        count: u64,
    },
    /// A fee for each of some events.
    Events {
        /// How many.
        count: u64,
        /// The fee of one.
        amount: Decimal,
        /// What that fee is.
        fee: EventFee,
    },
    /// What the terms before it lack to zero.
    ToZero {
        /// The amount.
        amount: Exact,
    },
}

/// What an event pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFee {
    /// The fixed amount, besides the percentage.
    Fixed,
    /// The least that an event pays, in place of all else.
    Minimum,
    /// The most that an event pays, in place of all else.
    Maximum,
}

impl Step {
    /// Its value, in major units.
    #[must_use]
    pub fn amount(&self) -> Exact {
        let times = |count: &Exact, amount: Decimal| count.clone() * Exact::from(amount);
        match self {
            Self::Units { quantity, unit_amount } => times(quantity, *unit_amount),
            Self::Flat { amount } => (*amount).into(),
            Self::Packages { count, amount, .. } => times(count, *amount),
            Self::Percent { percent, value } => percent_of(*percent, value),
            Self::Free { .. } => Exact::zero(),
            Self::Events { count, amount, .. } => times(&Exact::from(Decimal::from(*count)), *amount),
            Self::ToZero { amount } => amount.clone(),
        }
    }
}

/// A percentage of a value.
pub(super) fn percent_of(percent: Decimal, value: &Exact) -> Exact {
    Exact::from(percent) * Exact::from(Decimal::new(1, 2)) * value.clone()
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |is_one: bool| if is_one { "" } else { "s" };
        match self {
            Self::Units { quantity, unit_amount } => write!(f, "{quantity} x {unit_amount}"),
            Self::Flat { amount } => write!(f, "{amount} flat"),
            Self::Packages { count, size, amount } => {
                write!(f, "{count} package{} of {size} x {amount}", plural(*count == Exact::from(1)))
            }
            Self::Percent { percent, value } => write!(f, "{percent}% of {value}"),
            Self::Free { value, count } => write!(f, "{value} free ({count} event{})", plural(*count == 1)),
            Self::Events { count, amount, fee } => {
                let which = match fee {
                    EventFee::Fixed => "",
                    EventFee::Minimum => " at the minimum",
                    EventFee::Maximum => " at the maximum",
                };
                write!(f, "{count} event{}{which} x {amount}", plural(*count == 1))
            }
            Self::ToZero { amount } => write!(f, "{amount} to zero"),
        }
    }
}
