//! Billing: the one function that bills, and the window whose usage it needs.
//!
//! **Invariant:** whoever bills a boundary, and whenever, gets the same invoice: nothing but the arguments counts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::{
    AmountError, InvoiceContent, InvoiceReason, LineInputs, LineItem, LineKind, Plan, Price, PriceKind, Subscription,
    TaxRate, Timing, Zone, invoice::InvoiceHead, subscription::Portion,
};

/// What the next boundary of a subscription is billed from.
#[derive(Clone, Copy, Debug)]
pub struct Billable<'a> {
    /// The plan version that the subscription names.
    pub plan: &'a Plan,
    /// The subscription, not yet billed for its next boundary.
    pub subscription: &'a Subscription,
    /// The customer's zone.
    pub zone: &'a Zone,
    /// The customer's tax.
    pub tax_rate: Option<&'a TaxRate>,
    /// Meter key -> quantity in the [`usage_window`]; a meter that is not there has counted nothing.
    pub usage: &'a BTreeMap<String, Decimal>,
}

/// What billing a boundary brings about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// None when there is nothing to show.
    pub invoice: Option<InvoiceContent>,
    /// The subscription, moved on to its next boundary.
    pub subscription: Subscription,
}

/// Why a boundary cannot be billed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BillingError {
    /// A line's amount cannot be computed.
    #[error("price `{price}` cannot be billed: {source}")]
    Price {
        /// Key of the price.
        price: String,
        /// Why.
        source: AmountError,
    },
    /// The lines cannot be added up.
    #[error("the invoice cannot be added up: {0}")]
    Totals(#[source] AmountError),
    /// The subscription does not fit the plan.
    #[error("the subscription has no quantity for the licensed price `{0}`")]
    MissingQuantity(String),
}

/// Bills the subscription's next boundary: the arrears of the period that ends there and the advance of the one that begins,
/// in the plan's price order. At the start nothing has ended.
///
/// # Errors
/// [`BillingError`] when an amount cannot be computed exactly, or the subscription does not fit the plan.
pub fn bill(billable: &Billable<'_>) -> Result<Bill, BillingError> {
    let subscription = billable.subscription;
    let ended = subscription.ended_portion();
    let next = subscription.next_portion();
    let mut lines = Vec::new();
    for price in billable.plan.prices() {
        let portion = match price.timing {
            Timing::Arrears => ended,
            Timing::Advance => Some(next),
        };
        if let Some(portion) = portion {
            lines.extend(price_lines(billable, price, portion)?);
        }
    }
    let head = InvoiceHead {
        reason: if ended.is_none() { InvoiceReason::SubscriptionCreate } else { InvoiceReason::Period },
        issued_at: subscription.due_at(billable.zone),
        currency: billable.plan.currency(),
        tax_rate: billable.tax_rate.cloned(),
    };
    let issued = (!lines.is_empty()).then(|| InvoiceContent::of_lines(head, lines));
    let invoice = issued.transpose().map_err(BillingError::Totals)?;
    Ok(Bill { invoice, subscription: subscription.billed() })
}

/// The line of a price for a period, and one for what it lacks to its minimum.
fn price_lines(billable: &Billable<'_>, price: &Price, portion: Portion) -> Result<Vec<LineItem>, BillingError> {
    let currency = billable.plan.currency();
    let line = LineItem {
        price: price.key.clone(),
        kind: price.kind.into(),
        description: billable.plan.describe(price),
        period: portion.period,
        quantity: quantity(billable, price)?.normalize(),
        proration: portion.proration,
        amount_minor: 0,
        discount_minor: 0,
        tax_minor: 0,
        tax_rates: None,
        inputs: LineInputs::Price { model: price.model.clone(), max_amount_minor: price.max_amount_minor },
    };
    let priced = |line: LineItem| {
        line.priced(currency).map_err(|source| BillingError::Price { price: price.key.clone(), source })
    };
    let line = priced(line)?;
    let missing = match price.min_amount_minor {
        Some(min_amount_minor) => Some(priced(missing_to_minimum(&line, min_amount_minor))?),
        None => None,
    };
    let unused = line.kind == LineKind::Usage && line.amount_minor == 0 && line.quantity.is_zero();
    let shown = (!unused).then_some(line);
    Ok(shown.into_iter().chain(missing.filter(|missing| missing.amount_minor > 0)).collect())
}

fn missing_to_minimum(line: &LineItem, min_amount_minor: i64) -> LineItem {
    LineItem {
        kind: LineKind::Minimum,
        description: format!("{}, minimum", line.description),
        quantity: Decimal::ONE,
        inputs: LineInputs::Minimum { min_amount_minor, billed_minor: line.amount_minor },
        ..line.clone()
    }
}

fn quantity(billable: &Billable<'_>, price: &Price) -> Result<Decimal, BillingError> {
    match price.kind {
        PriceKind::Fixed => Ok(Decimal::ONE),
        PriceKind::Licensed => {
            let quantity = billable.subscription.quantities().get(&price.key).copied();
            quantity.ok_or_else(|| BillingError::MissingQuantity(price.key.clone()))
        }
        PriceKind::Usage => {
            let used = price.meter.as_ref().and_then(|meter| billable.usage.get(meter));
            Ok(used.copied().unwrap_or(Decimal::ZERO))
        }
    }
}

/// The instants whose usage a boundary bills: half-open, like every period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageWindow {
    /// First instant in it.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
}

/// The window that ends at the subscription's next boundary; none at its start. The first one begins at the instant of the
/// start, although the fee counts from that day's midnight.
#[must_use]
pub fn usage_window(subscription: &Subscription, zone: &Zone) -> Option<UsageWindow> {
    let ended = subscription.ended_portion()?.period;
    Some(UsageWindow { from: subscription.turns_at(ended.start, zone), to: subscription.turns_at(ended.end, zone) })
}
