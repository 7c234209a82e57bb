//! Upgrades and downgrades.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;

use super::{Billable, BillingError};
use crate::{AmountError, Exact, Plan, Rated, Subscription, Timing, rating::rate};

/// Whether a change is an upgrade: the advance amount per day does not fall.
///
/// # Errors
/// `Terms` when the quantities do not fit the plan.
pub fn is_upgrade(
    billable: &Billable<'_>,
    at: Timestamp,
    (plan, quantities): (&Plan, &BTreeMap<String, Decimal>),
) -> Result<bool, BillingError> {
    let subscription = billable.subscription;
    let day = subscription.date_of(at);
    let quantities = subscription.merged_quantities(plan, quantities)?;
    let old = advance_per_day(subscription, day, (billable.plan, subscription.quantities()))?;
    Ok(advance_per_day(subscription, day, (plan, &quantities))? >= old)
}

/// What a day costs in advance, in minor units.
fn advance_per_day(
    subscription: &Subscription,
    day: Date,
    (plan, quantities): (&Plan, &BTreeMap<String, Decimal>),
) -> Result<Exact, AmountError> {
    let mut sum = Exact::zero();
    for price in plan.prices().iter().filter(|price| price.timing == Timing::Advance) {
        let quantity = quantities.get(&price.key).filter(|_| price.is_licensed()).copied().unwrap_or(Decimal::ONE);
        let mut amount =
            rate(&price.model, &Rated::quantity(quantity.into())).amount.in_minor(plan.currency().exponent());
        if let Some(most) = price.max_amount_minor {
            amount = amount.min(most.into());
        }
        if let Some(least) = price.min_amount_minor {
            amount = amount.max(least.into());
        }
        let days = subscription.window(price.every(plan), day).full.days();
        sum = sum + amount.divided_by(&Exact::from(days))?;
    }
    Ok(sum)
}
