//! Credits: what was billed in advance for days that are not used.
//!
//! **Invariant:** a credit is the least of the list price of the unused days and what was billed net of discount, less the
//! credits given before: nobody gets back more than was billed.

use jiff::civil::Date;

use super::{BillingError, Draft};
use crate::{BillingPeriod, LineInputs, LineItem, LineKind, Price, Proration, Timing, subscription::Paid};

impl Draft<'_> {
    /// Credits the days from `from` on of what the meant prices were billed in advance, which are then not billed any more.
    pub(super) fn credit_unused(&mut self, from: Date, meant: impl Fn(&str) -> bool) -> Result<(), BillingError> {
        let plan = self.plan;
        for price in plan.prices().iter().filter(|price| price.timing == Timing::Advance && meant(&price.key)) {
            if let Some(line) = self.credit(price, BillingPeriod { start: from, end: Date::MAX })? {
                self.push(line)?;
            }
            if let Some(paid) = self.paid(price) {
                paid.until = paid.until.min(from);
            }
        }
        Ok(())
    }

    /// Credits the days of a pause, up to a day, on the next invoice.
    pub(super) fn settle_pauses(&mut self, until: Date) -> Result<(), BillingError> {
        let plan = self.plan;
        let Some(pause) = self.subscription.pauses.last_mut().filter(|pause| pause.until.is_none()) else {
            return Ok(());
        };
        let days = BillingPeriod { start: pause.settled_to, end: until };
        pause.settled_to = pause.settled_to.max(until);
        for price in plan.prices().iter().filter(|price| price.timing == Timing::Advance) {
            if let Some(line) = self.credit(price, days)? {
                let sum = self.subscription.period_billed_minor.checked_add(line.amount_minor);
                self.subscription.period_billed_minor = sum.ok_or(crate::AmountError::Overflow)?;
                self.subscription.credits.push(line);
            }
        }
        Ok(())
    }

    /// The credit for those of these days that a price was billed for in advance; none if it comes to nothing.
    fn credit(&mut self, price: &Price, days: BillingPeriod) -> Result<Option<LineItem>, BillingError> {
        let Some(paid) = self.paid(price).cloned() else { return Ok(None) };
        let unused = BillingPeriod { start: days.start.max(paid.full.start), end: days.end.min(paid.until) };
        if unused.days() <= 0 {
            return Ok(None);
        }
        let proration = Proration::of_days(unused.days(), paid.full);
        let line = self.line(price, LineKind::Proration, paid.quantity.clone(), (unused, proration));
        let line = LineItem {
            description: format!("Unused time: {}", line.description),
            inputs: LineInputs::Credit {
                model: price.model.clone(),
                min_amount_minor: price.min_amount_minor,
                max_amount_minor: price.max_amount_minor,
                creditable_minor: paid.creditable_minor(),
            },
            ..line
        };
        let line = self.priced(price, line)?;
        if line.amount_minor == 0 {
            return Ok(None);
        }
        if let Some(paid) = self.paid(price) {
            paid.credited_minor = paid.credited_minor.saturating_sub(line.amount_minor);
        }
        Ok(Some(line))
    }

    fn paid(&mut self, price: &Price) -> Option<&mut Paid> {
        self.subscription.accounts.get_mut(&price.key)?.paid.as_mut()
    }
}
