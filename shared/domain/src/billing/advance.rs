//! Advance: what is billed at the start of its window, or of the part of it that is provided.

use super::{BillingError, Draft};
use crate::{BillingPeriod, LineItem, Price, Proration, Subscription, Timing, subscription::Paid};

impl Draft<'_> {
    /// Bills every price in advance whose window under way has not been billed: from today to the window's end.
    pub(super) fn bill_advance(&mut self) -> Result<(), BillingError> {
        let plan = self.plan;
        for price in plan.prices().iter().filter(|price| price.timing == Timing::Advance) {
            let paid = self.subscription.accounts.get(&price.key).and_then(|account| account.paid.as_ref());
            if paid.is_none_or(|paid| paid.until <= self.now.date) {
                self.bill_ahead(price)?;
            }
        }
        Ok(())
    }

    /// Counts the windows under way as billed, for nothing.
    pub(super) fn waive_advance(&mut self) -> Result<(), BillingError> {
        for price in self.plan.prices().iter().filter(|price| price.timing == Timing::Advance) {
            if let Some((part, full)) = self.part_ahead(price) {
                let paid = Paid::nothing(full, part.end, self.quantity(price));
                self.subscription.accounts.entry(price.key.clone()).or_default().paid = Some(paid);
            }
        }
        Ok(())
    }

    /// The part of the window under way that begins today; none in a trial, in a pause or after the end.
    fn part_ahead(&self, price: &Price) -> Option<(BillingPeriod, BillingPeriod)> {
        let (subscription, day) = (&self.subscription, self.now.date);
        if day < subscription.fees_from() || subscription.is_paused() {
            return None;
        }
        let window = subscription.window(price.every(self.plan), day);
        let end = subscription.end.map_or(window.full.end, |end| end.date.min(window.full.end));
        (day < end).then_some((BillingPeriod { start: day, end }, window.full))
    }

    fn bill_ahead(&mut self, price: &Price) -> Result<(), BillingError> {
        let Some((part, full)) = self.part_ahead(price) else { return Ok(()) };
        let proration = Proration::of(part, full);
        let line = self.priced(price, self.subscription_line(price, part, proration))?;
        let billed_minor = line.amount_minor;
        let quantity = line.quantity.clone();
        let account = self.subscription.accounts.entry(price.key.clone()).or_default();
        let paid = Paid::nothing(full, part.end, quantity);
        account.paid = Some(match account.paid.take().filter(|before| before.full == full) {
            Some(Paid { net_minor, credited_minor, .. }) => Paid { net_minor, credited_minor, ..paid },
            None => paid,
        });
        let before = self.lines.len();
        self.push(line)?;
        if let Some(min_amount_minor) = price.min_amount_minor {
            self.push_minimum(price, (part, proration), (min_amount_minor, billed_minor))?;
        }
        self.in_advance.extend(before..self.lines.len());
        Ok(())
    }
}

impl Subscription {
    /// Remembers what an advance line came to, net of its discount.
    pub(super) fn note_paid(&mut self, line: &LineItem) {
        let account = line.price.as_ref().and_then(|key| self.accounts.get_mut(key));
        if let Some(paid) = account.and_then(|account| account.paid.as_mut()) {
            paid.net_minor = paid.net_minor.saturating_add(line.amount_minor.saturating_sub(line.discount_minor));
        }
    }
}
