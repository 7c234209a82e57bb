//! Adjustments: what late or corrected usage changes in periods that were billed before.
//!
//! Each closed window is rated again as a whole, and a line says by how much that differs from all that was billed for it,
//! whatever the price's tiers, groups, minimum and maximum. What windows come to counts towards the minimum commitment of their
//! plan's period, so what was billed there as missing is given back as far as it is missing no more.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    Billable, BillingError, Used,
    closed::{BilledUsage, ClosedCommitment, ClosedWindow, PlanPeriod},
};
use crate::{AmountError, Currency, Exact, Limit, LineInputs, LineItem, LineKind, Plan, Price};

/// A window that was closed, and what its usage comes to now.
#[derive(Clone, Copy, Debug)]
pub struct Reopened<'a> {
    /// As it was closed.
    pub closed: &'a ClosedWindow,
    /// The plan version that it names.
    pub plan: &'a Plan,
    /// What was used in it, as it is known now.
    pub used: &'a [Used],
}

/// What late usage brings about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adjustments {
    /// For the next invoice.
    pub late: LateCharges,
    /// The windows as they are closed then, in their order.
    pub windows: Vec<ClosedWindow>,
    /// The commitments as they are closed then, in their order.
    pub commitments: Vec<ClosedCommitment>,
}

/// What late usage adds to an invoice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateCharges {
    /// None where nothing changes.
    pub lines: Vec<LineItem>,
    /// What of them counts towards the commitment of the plan's period under way, in minor units.
    pub counted_minor: i64,
}

/// Rates closed windows again, and bills what differs.
///
/// `commitments` are those of the windows' plan periods, as far as these have ended, and others that were counted anew.
///
/// # Errors
/// `Price` or `Totals` when an amount cannot be computed.
pub fn adjust(
    billable: &Billable<'_>,
    reopened: &[Reopened<'_>],
    commitments: Vec<ClosedCommitment>,
) -> Result<Adjustments, BillingError> {
    let mut adjustments = Adjustments::default();
    let mut counted: BTreeMap<PlanPeriod, i64> = BTreeMap::new();
    for one in reopened {
        let adjusted = one.adjusted(&mut adjustments.late.lines)?;
        let change = adjusted.billed_minor().checked_sub(one.closed.billed_minor()).ok_or(AmountError::Overflow)?;
        let sum = counted.entry(adjusted.within.clone()).or_default();
        *sum = sum.checked_add(change).ok_or(AmountError::Overflow)?;
        adjustments.windows.push(adjusted);
    }
    let under_way = PlanPeriod::under_way(billable.subscription);
    adjustments.late.counted_minor = counted.get(&under_way).copied().unwrap_or_default();
    for mut commitment in commitments {
        let change = counted.get(&commitment.within).copied().unwrap_or_default();
        commitment.count(change)?;
        adjustments.late.lines.extend(commitment.missing_line(billable.plan.currency())?);
        adjustments.commitments.push(commitment);
    }
    Ok(adjustments)
}

impl Reopened<'_> {
    /// The window with what is billed now; adds the lines for what differs.
    fn adjusted(&self, lines: &mut Vec<LineItem>) -> Result<ClosedWindow, BillingError> {
        let mut adjusted = self.closed.clone();
        let Some(price) = self.plan.price(&self.closed.window.price) else { return Ok(adjusted) };
        adjusted.billed.clear();
        let mut used_minor = 0_i64;
        for used in self.used.iter().cloned().chain(self.gone()) {
            let line = self.line(price, &used, used_minor)?;
            let total_minor = self.billed_minor(&used)?.saturating_add(line.amount_minor);
            used_minor = used_minor.saturating_add(total_minor);
            if used.group.is_none() {
                // A line that covers the minimum has taken up what the minimum had added.
                adjusted.minimum_minor = 0;
            }
            let billed = BilledUsage { group: used.group, quantity: used.quantity, amount_minor: total_minor };
            adjusted.billed.push(billed);
            lines.extend((line.amount_minor != 0).then_some(line));
        }
        if !price.group_by.is_empty() {
            let line = self.minimum_line(price, used_minor)?;
            adjusted.minimum_minor = adjusted.minimum_minor.saturating_add(line.amount_minor);
            lines.extend((line.amount_minor != 0).then_some(line));
        }
        Ok(adjusted)
    }

    /// The groups whose events have all been corrected away: they are measured no more.
    fn gone(&self) -> impl Iterator<Item = Used> {
        let known: BTreeSet<_> = self.used.iter().map(|used| &used.group).collect();
        let gone = self.closed.billed.iter().filter(move |billed| !known.contains(&billed.group));
        gone.map(|billed| Used { group: billed.group.clone(), ..Used::nothing() })
    }

    /// What has been billed of a group; the minimum included where there are no groups.
    fn billed_minor(&self, used: &Used) -> Result<i64, AmountError> {
        let billed = self.closed.billed.iter().find(|billed| billed.group == used.group);
        let billed_minor = billed.map_or(0, |billed| billed.amount_minor);
        if used.group.is_some() {
            return Ok(billed_minor);
        }
        billed_minor.checked_add(self.closed.minimum_minor).ok_or(AmountError::Overflow)
    }

    fn line(&self, price: &Price, used: &Used, used_minor: i64) -> Result<LineItem, BillingError> {
        let billed = self.closed.billed.iter().find(|billed| billed.group == used.group);
        let billed_quantity = billed.map_or_else(Exact::zero, |billed| billed.quantity.clone());
        let group = used.group.as_ref().map_or_else(String::new, |group| format!(" ({group})"));
        let line = LineItem {
            description: format!("{}{group}, adjustment", self.plan.describe(price)),
            quantity: used.quantity.clone() - billed_quantity,
            group: used.group.clone(),
            ..self.blank(price)
        };
        let inputs = LineInputs::Adjustment {
            model: price.model.clone(),
            quantity: used.quantity.clone(),
            charged_events: used.charged_events.clone(),
            max: price.max_amount_minor.map(|max_amount_minor| Limit { max_amount_minor, used_minor }),
            min_amount_minor: price.min_amount_minor.filter(|_| used.group.is_none()),
            billed_minor: self.billed_minor(used)?,
        };
        self.priced(price, LineItem { inputs, ..line })
    }

    /// What the groups lack together to the price's minimum now, less what was billed for it.
    fn minimum_line(&self, price: &Price, used_minor: i64) -> Result<LineItem, BillingError> {
        let inputs = LineInputs::Shortfall {
            minimum_minor: price.min_amount_minor.unwrap_or_default(),
            counted_minor: used_minor,
            billed_minor: self.closed.minimum_minor,
        };
        let description = format!("{}, minimum, adjustment", self.plan.describe(price));
        self.priced(price, LineItem { description, inputs, ..self.blank(price) })
    }

    fn blank(&self, price: &Price) -> LineItem {
        LineItem {
            price: Some(price.key.clone()),
            kind: LineKind::Adjustment,
            description: String::new(),
            period: self.closed.window.period,
            quantity: Exact::from(1),
            proration: self.closed.window.proration,
            group: None,
            amount_minor: 0,
            discount_minor: 0,
            tax_minor: 0,
            tax_rates: price.tax_rates.clone(),
            inputs: LineInputs::Shortfall { minimum_minor: 0, counted_minor: 0, billed_minor: 0 },
        }
    }

    fn priced(&self, price: &Price, line: LineItem) -> Result<LineItem, BillingError> {
        let failed = |source| BillingError::Price { price: price.key.clone(), source };
        line.priced(self.plan.currency()).map_err(failed)
    }
}

impl ClosedCommitment {
    /// A line if more, or less, is missing now than was billed, which then is billed.
    fn missing_line(&mut self, currency: Currency) -> Result<Option<LineItem>, BillingError> {
        let LineInputs::Commitment { minimum_commitment_minor: minimum_minor, .. } = self.line.inputs else {
            return Ok(None);
        };
        let (counted_minor, billed_minor) = (self.counted_minor, self.missing_minor);
        let line = LineItem {
            kind: LineKind::Adjustment,
            description: format!("{}, adjustment", self.line.description),
            inputs: LineInputs::Shortfall { minimum_minor, counted_minor, billed_minor },
            ..self.line.clone()
        };
        let line = line.priced(currency)?;
        self.missing_minor = self.missing_minor.checked_add(line.amount_minor).ok_or(AmountError::Overflow)?;
        Ok((line.amount_minor != 0).then_some(line))
    }
}
