//! Adjustments: what late or corrected usage changes in a period that was billed before.

use super::{BillingError, Used};
use crate::{AmountError, Currency, Exact, LineInputs, LineItem, LineKind};

/// A usage line that was billed, and what its period comes to now.
#[derive(Clone, Copy, Debug)]
pub struct LateUsage<'a> {
    /// The line as it was issued.
    pub line: &'a LineItem,
    /// What was used in its period, as it is known now.
    pub used: &'a Used,
    /// What has been billed for it: the line, its minimum and earlier adjustments, in minor units.
    pub billed_minor: i64,
    /// What has been billed for, in units of the meter.
    pub billed_quantity: &'a Exact,
    /// The price's minimum for a full period.
    pub min_amount_minor: Option<i64>,
}

/// The adjustment: the re-rated period less what was billed; none if that is nothing.
///
/// # Errors
/// `Price` when the amount cannot be computed, or the line is not of usage.
pub fn adjustment(late: &LateUsage<'_>, currency: Currency) -> Result<Option<LineItem>, BillingError> {
    let failed = |source| BillingError::Price { price: late.line.price.clone().unwrap_or_default(), source };
    let LineInputs::Price { model, max, .. } = &late.line.inputs else { return Err(failed(AmountError::Overflow)) };
    let line = LineItem {
        kind: LineKind::Adjustment,
        description: format!("{}, adjustment", late.line.description),
        quantity: late.used.quantity.clone() - late.billed_quantity.clone(),
        inputs: LineInputs::Adjustment {
            model: model.clone(),
            quantity: late.used.quantity.clone(),
            charged_events: late.used.charged_events.clone(),
            max: *max,
            min_amount_minor: late.min_amount_minor,
            billed_minor: late.billed_minor,
        },
        discount_minor: 0,
        tax_minor: 0,
        ..late.line.clone()
    };
    let line = line.priced(currency).map_err(failed)?;
    Ok((line.amount_minor != 0).then_some(line))
}
