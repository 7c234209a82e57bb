//! Windows whose usage has been billed, and what late events change in them.

use domain::{
    Billable, BillingError, ClosedCommitment, ClosedWindow, LateCharges, Meter, Plan, PlanPeriod, Reopened, Usage,
    UsageWindow, adjust,
};
use jiff::{Timestamp, civil::Date};

/// A window of a price, as it was billed.
#[derive(Debug)]
pub(crate) struct BilledWindow<'a> {
    plan: &'a Plan,
    closed: ClosedWindow,
    /// The boundary of the draft in which its usage still counts.
    draft: Option<Date>,
    /// Whether events have come late since.
    is_late: bool,
}

/// All that was billed of a subscription.
#[derive(Debug, Default)]
pub(crate) struct Books<'a> {
    windows: Vec<BilledWindow<'a>>,
    commitments: Vec<ClosedCommitment>,
}

impl<'a> Books<'a> {
    /// Notes what an occasion has closed, in a draft of a boundary or for good. Billed again, a window replaces what it was.
    pub(crate) fn close(&mut self, plan: &'a Plan, closed: domain::Closed, draft: Option<Date>) {
        for closed in closed.windows {
            self.windows.retain(|one| !one.is_same(&closed.window));
            self.windows.push(BilledWindow { plan, closed, draft, is_late: false });
        }
        if let Some(commitment) = closed.commitment {
            self.commitments.retain(|one| one.within != commitment.within);
            self.commitments.push(commitment);
        }
    }

    /// Notes that the draft of a boundary is final.
    pub(crate) fn finalize(&mut self, boundary: Option<Date>) {
        for window in self.windows.iter_mut().filter(|window| window.draft == boundary) {
            window.draft = None;
        }
    }

    /// What was billed of these windows, in minor units.
    pub(crate) fn billed_minor(&self, closed: &[ClosedWindow]) -> i64 {
        let billed = |one: &&BilledWindow<'a>| closed.iter().any(|other| one.is_same(&other.window));
        self.windows.iter().filter(billed).fold(0, |sum, one| sum.saturating_add(one.closed.billed_minor()))
    }

    /// Counts what a draft's windows have changed by, for a commitment that has ended since.
    ///
    /// # Errors
    /// `Totals` beyond 64 bits.
    pub(crate) fn count(&mut self, within: &PlanPeriod, change_minor: i64) -> Result<(), BillingError> {
        let commitment = self.commitments.iter_mut().find(|one| one.within == *within);
        Ok(commitment.map_or(Ok(()), |commitment| commitment.count(change_minor))?)
    }

    /// Notes that an event counts differently in windows that were billed, if only since its value is carried into them.
    pub(crate) fn note_late(&mut self, meter: &Meter, at: Timestamp) {
        for window in self.windows.iter_mut().filter(|window| window.closed.counts(meter, at)) {
            window.is_late = true;
        }
    }

    /// What has changed in windows that events came late for; from here on that is billed, too. In a draft they just count.
    pub(crate) fn adjust(
        &mut self,
        billable: &Billable<'_>,
        measure: impl Fn(&'a Plan, &UsageWindow) -> Result<Usage, BillingError>,
    ) -> Result<LateCharges, BillingError> {
        let late: Vec<&mut BilledWindow<'a>> =
            self.windows.iter_mut().filter(|window| window.is_late && window.draft.is_none()).collect();
        let mut measured = Vec::with_capacity(late.len());
        for one in &late {
            measured.push(measure(one.plan, &one.closed.window)?.remove(&one.closed.window.price).unwrap_or_default());
        }
        let reopened = late.iter().zip(&measured);
        let reopened = reopened.map(|(one, used)| Reopened { closed: &one.closed, plan: one.plan, used });
        let reopened: Vec<Reopened<'_>> = reopened.collect();
        let adjusted = adjust(billable, &reopened, std::mem::take(&mut self.commitments))?;
        self.commitments = adjusted.commitments;
        for (one, closed) in late.into_iter().zip(adjusted.windows) {
            one.closed = closed;
            one.is_late = false;
        }
        Ok(adjusted.late)
    }
}

impl BilledWindow<'_> {
    fn is_same(&self, window: &UsageWindow) -> bool {
        self.closed.window.price == window.price && self.closed.window.window == window.window
    }
}
