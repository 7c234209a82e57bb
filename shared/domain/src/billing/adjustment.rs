//! Adjustments: what late or corrected usage changes in a window that was billed before.
//!
//! The window is rated again as a whole; a line says by how much that differs from what was billed. With groups each has its
//! own line, and a minimum that was billed stays as it is.

use std::collections::{BTreeMap, BTreeSet};

use super::{BillingError, UsageWindow, Used};
use crate::{AmountError, Exact, Group, Limit, LineInputs, LineItem, LineKind, Plan, Price};

/// By group: what has been billed, in the meter's units and in minor units.
pub type BilledUsage = BTreeMap<Option<Group>, (Exact, i64)>;

/// A window that was billed, and what its usage comes to now.
#[derive(Clone, Copy, Debug)]
pub struct LateUsage<'a> {
    /// The plan version by which it was billed.
    pub plan: &'a Plan,
    /// As it was billed.
    pub window: &'a UsageWindow,
    /// What was used in it, as it is known now.
    pub used: &'a [Used],
    /// What has been billed for its usage, adjustments included.
    pub billed: &'a BilledUsage,
    /// What a minimum has added, in minor units, as far as no adjustment has used it up.
    pub minimum_minor: i64,
}

/// What an adjustment brings about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adjusted {
    /// None where nothing changes.
    pub lines: Vec<LineItem>,
    /// What has been billed with them.
    pub billed: BilledUsage,
    /// What is left of what a minimum has added.
    pub minimum_minor: i64,
}

/// The adjustment: the window rated again, less what was billed.
///
/// # Errors
/// `Price` when an amount cannot be computed.
pub fn adjustment(late: &LateUsage<'_>) -> Result<Adjusted, BillingError> {
    let mut adjusted = Adjusted { lines: Vec::new(), billed: late.billed.clone(), minimum_minor: late.minimum_minor };
    let Some(price) = late.plan.price(&late.window.price) else { return Ok(adjusted) };
    let nothing = Used::nothing();
    let known: BTreeSet<_> = late.used.iter().map(|used| &used.group).collect();
    // A group whose events have all been corrected away is measured no more.
    let gone = late.billed.keys().filter(|group| !known.contains(group));
    let gone: Vec<Used> = gone.map(|group| Used { group: group.clone(), ..nothing.clone() }).collect();
    let mut used_minor = 0_i64;
    for used in late.used.iter().chain(&gone) {
        let line = late.line(price, used, used_minor)?;
        let LineInputs::Adjustment { billed_minor, .. } = &line.inputs else { continue };
        let total_minor = billed_minor.saturating_add(line.amount_minor);
        used_minor = used_minor.saturating_add(total_minor);
        adjusted.billed.insert(used.group.clone(), (used.quantity.clone(), total_minor));
        if used.group.is_none() {
            // A line that covers the minimum has taken up what the minimum had added.
            adjusted.minimum_minor = 0;
        }
        if line.amount_minor != 0 {
            adjusted.lines.push(line);
        }
    }
    Ok(adjusted)
}

impl LateUsage<'_> {
    fn line(&self, price: &Price, used: &Used, used_minor: i64) -> Result<LineItem, BillingError> {
        let (billed_quantity, mut billed_minor) =
            self.billed.get(&used.group).cloned().unwrap_or_else(|| (Exact::zero(), 0));
        let ungrouped = used.group.is_none();
        if ungrouped {
            billed_minor = billed_minor.checked_add(self.minimum_minor).ok_or(AmountError::Overflow)?;
        }
        let group = used.group.as_ref().map_or_else(String::new, |group| format!(" ({group})"));
        let line = LineItem {
            price: Some(price.key.clone()),
            kind: LineKind::Adjustment,
            description: format!("{}{group}, adjustment", self.plan.describe(price)),
            period: self.window.period,
            quantity: used.quantity.clone() - billed_quantity,
            proration: self.window.proration,
            group: used.group.clone(),
            amount_minor: 0,
            discount_minor: 0,
            tax_minor: 0,
            tax_rates: price.tax_rates.clone(),
            inputs: LineInputs::Adjustment {
                model: price.model.clone(),
                quantity: used.quantity.clone(),
                charged_events: used.charged_events.clone(),
                max: price.max_amount_minor.map(|max_amount_minor| Limit { max_amount_minor, used_minor }),
                min_amount_minor: price.min_amount_minor.filter(|_| ungrouped),
                billed_minor,
            },
        };
        let failed = |source| BillingError::Price { price: price.key.clone(), source };
        line.priced(self.plan.currency()).map_err(failed)
    }
}
