//! What an occasion closes: windows whose usage is billed, and the commitment of a plan's period.
//!
//! It is all that is remembered of them, so that usage which comes late can be rated again and compared with what was billed
//! ([`crate::adjust`]).

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use super::{Bill, Billable, Metered, UsageWindow};
use crate::{AmountError, Exact, Group, LineItem, LineKind, Meter, Plan, Subscription};

/// What an occasion has closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// A window for each price of usage that was billed, also where that came to nothing.
    pub windows: Vec<ClosedWindow>,
    /// The minimum commitment of the plan's period that has ended.
    pub commitment: Option<ClosedCommitment>,
}

impl Closed {
    /// What has been billed for the windows, in minor units.
    #[must_use]
    pub fn billed_minor(&self) -> i64 {
        self.windows.iter().fold(0, |sum, window| sum.saturating_add(window.billed_minor()))
    }
}

/// A plan's period, in which lines count towards its minimum commitment: the plan version's id and its first day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlanPeriod {
    /// Id of the plan version.
    pub plan: String,
    /// First day.
    pub start: Date,
}

/// A window of a price whose usage was billed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedWindow {
    /// The period of the plan version by which it was billed.
    pub within: PlanPeriod,
    /// Which events count in it.
    pub window: UsageWindow,
    /// What has been billed, adjustments included.
    pub(super) billed: Vec<BilledUsage>,
    /// What a minimum has added, in minor units, as far as no adjustment has used it up.
    pub(super) minimum_minor: i64,
}

/// What has been billed of a window's usage, of one group if it has groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BilledUsage {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// In the meter's units.
    pub quantity: Exact,
    pub amount_minor: i64,
}

/// The minimum commitment of a plan's period that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedCommitment {
    /// Whose it is.
    pub within: PlanPeriod,
    /// Its line as it was computed at the end, which was billed only if something was missing.
    pub(super) line: LineItem,
    /// What the period's lines come to, adjustments included, in minor units.
    pub(super) counted_minor: i64,
    /// What was billed since it was missing, in minor units.
    pub(super) missing_minor: i64,
}

impl PlanPeriod {
    /// The one that is under way.
    pub(super) fn under_way(subscription: &Subscription) -> Self {
        Self { plan: subscription.plan.clone(), start: subscription.period.start }
    }
}

impl ClosedCommitment {
    pub(super) fn new(within: PlanPeriod, line: LineItem, counted_minor: i64) -> Self {
        let missing_minor = line.amount_minor.max(0);
        Self { within, line, counted_minor, missing_minor }
    }

    /// Counts what the lines of its period have changed by.
    ///
    /// # Errors
    /// `Overflow` beyond 64 bits.
    pub fn count(&mut self, change_minor: i64) -> Result<(), AmountError> {
        self.counted_minor = self.counted_minor.checked_add(change_minor).ok_or(AmountError::Overflow)?;
        Ok(())
    }
}

impl ClosedWindow {
    /// The window as an invoice with these lines bills it.
    fn new(within: PlanPeriod, window: UsageWindow, metered: &Metered, lines: &[LineItem]) -> Self {
        let own = |kind: LineKind| {
            let (price, end) = (window.price.as_str(), window.period.end);
            let is_own = move |line: &&LineItem| line.price.as_deref() == Some(price) && line.period.end == end;
            lines.iter().filter(move |line| line.kind == kind).filter(is_own)
        };
        let used = metered.usage.get(&window.price).into_iter().flatten();
        let billed = used.map(|used| {
            let line = own(LineKind::Usage).find(|line| line.group == used.group);
            let amount_minor = line.map_or(0, |line| line.amount_minor);
            BilledUsage { group: used.group.clone(), quantity: used.quantity.clone(), amount_minor }
        });
        let billed = billed.collect();
        let minimum_minor = own(LineKind::Minimum).map(|line| line.amount_minor).sum();
        Self { within, window, billed, minimum_minor }
    }

    /// Whether an event of a meter at an instant counts in it, if only since its value is carried into it.
    #[must_use]
    pub fn counts(&self, meter: &Meter, at: Timestamp) -> bool {
        let UsageWindow { meter: key, window, .. } = &self.window;
        key == meter.key() && window.reaches_back_to(meter) <= at && at < window.to && !self.window.is_paused(at)
    }

    /// What has been billed for it, in minor units.
    #[must_use]
    pub fn billed_minor(&self) -> i64 {
        self.billed.iter().fold(self.minimum_minor, |sum, billed| sum.saturating_add(billed.amount_minor))
    }
}

impl Subscription {
    /// Counts what lines have changed by, if the plan's period in which they count is under way; whether it is.
    ///
    /// # Errors
    /// `Overflow` beyond 64 bits.
    pub fn count(&mut self, within: &PlanPeriod, change_minor: i64) -> Result<bool, AmountError> {
        if *within != PlanPeriod::under_way(self) {
            return Ok(false);
        }
        let sum = self.period_billed_minor.checked_add(change_minor);
        self.period_billed_minor = sum.ok_or(AmountError::Overflow)?;
        Ok(true)
    }
}

/// The windows of an occasion, closed by what it has billed.
pub(super) fn close(
    billable: &Billable<'_>,
    windows: Vec<UsageWindow>,
    (metered, bill): (&Metered, &Bill),
) -> Vec<ClosedWindow> {
    let within = PlanPeriod::under_way(billable.subscription);
    let lines = bill.invoice.as_ref().map(|content| content.lines.as_slice()).unwrap_or_default();
    windows.into_iter().map(|window| ClosedWindow::new(within.clone(), window, metered, lines)).collect()
}

/// Whether a plan has anything that could close.
pub(super) fn measures(plan: &Plan) -> bool {
    plan.meters().next().is_some()
}
