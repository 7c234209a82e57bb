//! Windows whose usage has been billed, and what late events change in them.

use std::collections::BTreeMap;

use domain::{BillingError, Exact, Group, LateUsage, LineItem, LineKind, Meter, Plan, Usage, UsageWindow, adjustment};
use jiff::Timestamp;

/// A window of a price, as it was billed.
#[derive(Debug)]
pub(crate) struct BilledWindow<'a> {
    plan: &'a Plan,
    window: UsageWindow,
    /// Whether events have come late since.
    pub(crate) is_late: bool,
    /// By group: what has been billed, in the meter's units and in minor units.
    billed: BTreeMap<Option<Group>, (Exact, i64)>,
    /// What a minimum has added.
    minimum_minor: i64,
}

impl<'a> BilledWindow<'a> {
    /// The window as an invoice has just billed it.
    pub(crate) fn new(plan: &'a Plan, window: UsageWindow, usage: &Usage, lines: &[LineItem]) -> Self {
        let own = |kind: LineKind| {
            let price = window.price.as_str();
            lines.iter().filter(move |line| line.kind == kind && line.price.as_deref() == Some(price))
        };
        let mut billed: BTreeMap<Option<Group>, (Exact, i64)> = BTreeMap::new();
        for used in usage.get(&window.price).into_iter().flatten() {
            billed.insert(used.group.clone(), (used.quantity.clone(), 0));
        }
        for line in own(LineKind::Usage) {
            billed.entry(line.group.clone()).or_insert_with(|| (Exact::zero(), 0)).1 = line.amount_minor;
        }
        let minimum_minor = own(LineKind::Minimum).map(|line| line.amount_minor).sum();
        Self { plan, window, is_late: false, billed, minimum_minor }
    }

    /// Whether it is the same price's window.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.window.price == other.window.price && self.window.window == other.window.window
    }

    /// Whether an event of a meter counts in it, if only because its value is carried into it.
    pub(crate) fn covers(&self, meter: &Meter, at: Timestamp) -> bool {
        let window = &self.window.window;
        let from = if meter.is_recurring() { window.carried_from.min(window.from) } else { window.from };
        self.window.meter == meter.key() && from <= at && at < window.to && !self.window.is_paused(at)
    }

    /// The lines for what has changed in it; from here on that is billed, too.
    pub(crate) fn adjust(
        &mut self,
        measure: impl FnOnce(&'a Plan, &UsageWindow) -> Result<Usage, BillingError>,
    ) -> Result<Vec<LineItem>, BillingError> {
        self.is_late = false;
        let usage = measure(self.plan, &self.window)?;
        let late = LateUsage {
            plan: self.plan,
            window: &self.window,
            used: usage.get(&self.window.price).map_or(&[][..], Vec::as_slice),
            billed: &self.billed,
            minimum_minor: self.minimum_minor,
        };
        let adjusted = adjustment(&late)?;
        self.billed = adjusted.billed;
        self.minimum_minor = adjusted.minimum_minor;
        Ok(adjusted.lines)
    }
}
