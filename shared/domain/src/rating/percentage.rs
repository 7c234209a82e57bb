//! Percentages: a fee for each event, by its value.
//!
//! Events are folded once, in the order of their time, into counts and values; the fees follow from these and the model. That
//! is what is frozen of them.
//!
//! Conventions: an event is free while all allowances that the model has hold, and without any none is. The first event that
//! breaks one ends them all; of that event what is left of `free_amount` is deducted if only the amount is exceeded. A refund
//! (an event of negative value) pays nothing: while the allowances hold it gives its value back to `free_amount`, afterwards
//! it reduces the value that the percentage is taken of. All fees together are never below zero.

use serde::{Deserialize, Serialize};

use super::{
    Rated, Step,
    step::{EventFee, percent_of},
};
use crate::{Exact, Percentage, PriceModel};

/// What the events of a window are charged for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChargedEvents {
    /// Events that cost nothing.
    pub free_events: u64,
    /// Value that costs nothing, less refunds of it.
    pub free_value: Exact,
    /// Events that pay the fixed amount and the percentage.
    pub charged_events: u64,
    /// What they pay the percentage of, less refunds.
    pub charged_value: Exact,
    /// Events that pay the least that an event pays.
    pub at_minimum: u64,
    /// Events that pay the most that an event pays.
    pub at_maximum: u64,
}

impl ChargedEvents {
    /// Folds the values of a window's events, in the order of their time; none unless the model is a percentage.
    #[must_use]
    pub fn of<'a>(model: &PriceModel, values: impl Iterator<Item = &'a Exact>) -> Option<Self> {
        match model {
            PriceModel::Percentage(percentage) => Some(Self::fold(percentage, values)),
            _ => None,
        }
    }

    fn fold<'a>(percentage: &Percentage, values: impl Iterator<Item = &'a Exact>) -> Self {
        let nothing = Self {
            free_events: 0,
            free_value: Exact::zero(),
            charged_events: 0,
            charged_value: Exact::zero(),
            at_minimum: 0,
            at_maximum: 0,
        };
        let is_allowed = percentage.free_events.is_some() || percentage.free_amount.is_some();
        let mut fold = Fold { percentage, is_allowed, charged: nothing };
        values.for_each(|value| fold.add(value));
        fold.charged
    }
}

/// The events so far.
struct Fold<'a> {
    percentage: &'a Percentage,
    /// Whether all allowances have held so far.
    is_allowed: bool,
    charged: ChargedEvents,
}

impl Fold<'_> {
    fn add(&mut self, value: &Exact) {
        if value.is_negative() {
            let reduced = if self.is_allowed { &mut self.charged.free_value } else { &mut self.charged.charged_value };
            *reduced = reduced.clone() + value.clone();
        } else if let Some(charged) = self.beyond_allowance(value) {
            self.charge(charged);
        }
    }

    /// What is charged of an event; none if it is free.
    fn beyond_allowance(&mut self, value: &Exact) -> Option<Exact> {
        let charged = &mut self.charged;
        let counts = self.percentage.free_events.is_none_or(|most| charged.free_events < most);
        if !self.is_allowed || !counts {
            self.is_allowed = false;
            return Some(value.clone());
        }
        let used = charged.free_value.clone() + value.clone();
        match self.percentage.free_amount.map(Exact::from).filter(|most| used > *most) {
            Some(most) => {
                self.is_allowed = false;
                charged.free_value = most.clone();
                Some(used - most)
            }
            None => {
                charged.free_events += 1;
                charged.free_value = used;
                None
            }
        }
    }

    fn charge(&mut self, value: Exact) {
        let Percentage { percent, fixed_amount, min_amount_per_event, max_amount_per_event, .. } = *self.percentage;
        let is_limited = min_amount_per_event.is_some() || max_amount_per_event.is_some();
        let fee = is_limited.then(|| percent_of(percent, &value) + fixed_amount.into());
        let charged = &mut self.charged;
        if fee.as_ref().zip(min_amount_per_event).is_some_and(|(fee, least)| *fee < least.into()) {
            charged.at_minimum += 1;
        } else if fee.zip(max_amount_per_event).is_some_and(|(fee, most)| fee > most.into()) {
            charged.at_maximum += 1;
        } else {
            charged.charged_events += 1;
            charged.charged_value = charged.charged_value.clone() + value;
        }
    }
}

/// The fees of all events together.
pub(super) fn fees(percentage: &Percentage, usage: &Rated) -> Vec<Step> {
    let one_event =
        || ChargedEvents::fold(percentage, Some(&usage.quantity).filter(|value| !value.is_zero()).into_iter());
    let charged = usage.charged_events.clone().unwrap_or_else(one_event);
    let Percentage { percent, fixed_amount, min_amount_per_event, max_amount_per_event, .. } = *percentage;
    let fees = [
        (charged.charged_events, Some(fixed_amount), EventFee::Fixed),
        (charged.at_minimum, min_amount_per_event, EventFee::Minimum),
        (charged.at_maximum, max_amount_per_event, EventFee::Maximum),
    ];
    let mut steps = Vec::new();
    if charged.free_events > 0 || !charged.free_value.is_zero() {
        steps.push(Step::Free { value: charged.free_value, count: charged.free_events });
    }
    let of_value = Step::Percent { percent, value: charged.charged_value.clone() };
    steps.extend((!charged.charged_value.is_zero()).then(|| of_value.clone()));
    for (count, amount, fee) in fees {
        let amount = amount.filter(|amount| count > 0 && !amount.is_zero());
        steps.extend(amount.map(|amount| Step::Events { count, amount, fee }));
    }
    if steps.is_empty() {
        steps.push(of_value);
    }
    let sum: Exact = steps.iter().map(Step::amount).sum();
    steps.extend(sum.is_negative().then(|| Step::ToZero { amount: -sum }));
    steps
}
