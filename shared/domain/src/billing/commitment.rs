//! Minimum commitment: what the lines of a plan's period lack to it.

use jiff::civil::Date;

use super::{BillingError, ClosedCommitment, Draft, PlanPeriod};
use crate::{BillingPeriod, Exact, LineInputs, LineItem, LineKind, Proration};

impl Draft<'_> {
    /// Bills what is missing to the plan's minimum commitment for the days up to `until`, and begins to count anew.
    pub(super) fn bill_commitment(&mut self, until: Date) -> Result<(), BillingError> {
        let billed_minor = std::mem::take(&mut self.subscription.period_billed_minor);
        let minimum_commitment_minor = self.plan.minimum_commitment_minor();
        let window = self.subscription.window(self.plan.every(), self.subscription.last_day_before(until));
        let start = window.from.max(self.subscription.plan_since.date).max(self.subscription.fees_from());
        let part = BillingPeriod { start, end: until };
        let days = self.subscription.billed_days(part);
        if minimum_commitment_minor == 0 || days <= 0 {
            return Ok(());
        }
        let line = LineItem {
            price: None,
            kind: LineKind::Commitment,
            description: self.plan.describe_commitment(),
            period: part,
            quantity: Exact::from(1),
            proration: Proration::of_days(days, window.full),
            group: None,
            amount_minor: 0,
            discount_minor: 0,
            tax_minor: 0,
            tax_rates: None,
            inputs: LineInputs::Commitment { minimum_commitment_minor, billed_minor },
        };
        let line = line.priced(self.plan.currency()).map_err(BillingError::Totals)?;
        // A change of plan at this occasion comes after it.
        let within = PlanPeriod::under_way(&self.subscription);
        self.commitment = Some(ClosedCommitment::new(within, line.clone(), billed_minor));
        if line.amount_minor > 0 {
            self.lines.push(line);
        }
        Ok(())
    }
}
