//! Usage so far: what the windows under way would bill if nothing more were used.
//!
//! The same windows and lines as at their ends, cut at an instant: limits are those of the whole window.

use jiff::Timestamp;

use super::{Billable, BillingError, Draft, Metered, Occasion, ProrationBehavior, Usage, UsageWindow};
use crate::{BillingPeriod, LineItem, Price, PriceKind, Proration, SubscriptionStatus};

/// The windows under way of all prices of usage, in the plan's order, up to `at`; none before the start, in a free trial or
/// once it is over.
///
/// # Errors
/// None for a subscription as billing leaves it.
pub fn windows_under_way(billable: &Billable<'_>, at: Timestamp) -> Result<Vec<UsageWindow>, BillingError> {
    let nothing = Metered::default();
    let mut windows = Vec::new();
    for price in prices_of_usage(billable) {
        let mut draft = draft(billable, at, &nothing)?;
        if draft.look_ahead(price).is_some() {
            windows.extend(draft.usage_window(price));
        }
    }
    Ok(windows)
}

/// The lines for what was used in [`windows_under_way`], as they would be billed at the windows' ends; none for a price that
/// comes to nothing.
///
/// # Errors
/// [`BillingError::Price`] when an amount cannot be computed.
pub fn usage_so_far(billable: &Billable<'_>, at: Timestamp, usage: Usage) -> Result<Vec<LineItem>, BillingError> {
    let metered = Metered { usage, ..Metered::default() };
    let mut lines = Vec::new();
    for price in prices_of_usage(billable) {
        let mut draft = draft(billable, at, &metered)?;
        if let Some((part, full)) = draft.look_ahead(price) {
            let days = draft.subscription.billed_days(part);
            draft.bill_usage(price, part, Proration::of_days(days, full))?;
            lines.append(&mut draft.lines);
        }
    }
    Ok(lines)
}

/// None once the subscription is over.
fn prices_of_usage<'a>(billable: &Billable<'a>) -> impl Iterator<Item = &'a Price> + use<'a> {
    let over = billable.subscription.status() == SubscriptionStatus::Cancelled;
    let prices = if over { &[] } else { billable.plan.prices() };
    prices.iter().filter(|price| price.kind == PriceKind::Usage)
}

fn draft<'a>(billable: &Billable<'a>, at: Timestamp, metered: &'a Metered) -> Result<Draft<'a>, BillingError> {
    Draft::new(billable, &Occasion::Cancel { at, proration: ProrationBehavior::None }, metered)
}

impl Draft<'_> {
    /// Goes on to the day on which the price's window under way ends, the instant staying what it is; gives the part of the
    /// window that is billed then, if it has any day.
    fn look_ahead(&mut self, price: &Price) -> Option<(BillingPeriod, BillingPeriod)> {
        let today = self.now.date;
        let end = self.subscription.window(price.every(self.plan), today).full.end;
        self.now.date = self.subscription.end.map_or(end, |over| end.min(over.date));
        let under_way = self.subscription.start.date <= today && today < self.now.date;
        self.ended_part(price).filter(|(part, _)| under_way && part.days() > 0)
    }
}
