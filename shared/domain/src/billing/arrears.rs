//! Arrears: what has been used or provided up to a day.

use jiff::civil::Date;

use super::{BillingError, Draft, Stint};
use crate::{
    BillingPeriod, Exact, Limit, LineInputs, LineItem, LineKind, Price, PriceKind, Proration, Timing, TrialUsage,
    billing::Used,
};

impl Draft<'_> {
    /// Whether a window of a price ends on a day: by its cadence, or with the plan.
    pub(super) fn window_ends(&self, price: &Price, day: Date) -> bool {
        let last = day.yesterday().unwrap_or(Date::MIN);
        let turns = || self.subscription.window(price.every(self.plan), last).full.end == day;
        self.plan_ends(day) || (day > self.subscription.start.date && turns())
    }

    /// Bills the prices in arrears that are meant, up to today.
    pub(super) fn bill_arrears(
        &mut self,
        stint: Stint,
        meant: impl Fn(&Self, &Price) -> bool,
    ) -> Result<(), BillingError> {
        let plan = self.plan;
        for price in plan.prices().iter().filter(|price| price.timing == Timing::Arrears) {
            if meant(self, price) {
                self.bill_price(price, stint)?;
            }
        }
        Ok(())
    }

    /// The part of a price's window that has not been billed yet and ends today; none if it has no day.
    pub(super) fn ended_part(&self, price: &Price) -> Option<(BillingPeriod, BillingPeriod)> {
        let (subscription, until) = (&self.subscription, self.now.date);
        let window = subscription.window(price.every(self.plan), subscription.last_day_before(until));
        let cut = subscription.accounts.get(&price.key).and_then(|account| account.cut);
        let mut from = window.from.max(subscription.plan_since.date);
        if price.kind != PriceKind::Usage || self.plan.trial_usage() == TrialUsage::Free {
            from = from.max(subscription.fees_from());
        }
        let from = cut.map_or(from, |cut| from.max(cut));
        (from <= until).then_some((BillingPeriod { start: from, end: until }, window.full))
    }

    fn bill_price(&mut self, price: &Price, stint: Stint) -> Result<(), BillingError> {
        let Some((part, full)) = self.ended_part(price) else { return Ok(()) };
        let days = self.subscription.billed_days(part);
        let before = self.lines.len();
        if price.kind == PriceKind::Usage {
            self.bill_usage(price, part, Proration::of_days(days, full))?;
        } else if days > 0 {
            let proration = Proration::of_days(days, full);
            let line = self.subscription_line(price, part, proration);
            self.push(self.priced(price, line)?)?;
        }
        let billed_minor = self.lines[before..].iter().map(|line| line.amount_minor).sum::<i64>();
        let account = self.subscription.accounts.entry(price.key.clone()).or_default();
        account.arrears_minor = account.arrears_minor.saturating_add(billed_minor);
        if stint == Stint::GoesOn {
            account.cut = Some(part.end);
            return Ok(());
        }
        let billed_minor = account.arrears_minor;
        self.subscription.accounts.remove(&price.key);
        self.bill_minimum(price, (part, full), billed_minor)
    }

    /// A line for each group of what was used; the price's maximum is used up by them in order.
    pub(super) fn bill_usage(
        &mut self,
        price: &Price,
        part: BillingPeriod,
        proration: Option<Proration>,
    ) -> Result<(), BillingError> {
        let metered = self.metered;
        let nothing = [Used::nothing()];
        let used = metered.usage.get(&price.key).map_or(&nothing[..], Vec::as_slice);
        let mut used_minor = 0_i64;
        let no_day = proration.is_some_and(|part| part.days().0 == 0);
        for one in used {
            if no_day && one.quantity.is_zero() {
                continue;
            }
            let line = self.usage_line(price, one, (part, proration), used_minor);
            let line = self.priced(price, line)?;
            used_minor = used_minor.saturating_add(line.amount_minor);
            if line.amount_minor != 0 || !line.quantity.is_zero() {
                self.push(line)?;
            }
        }
        Ok(())
    }

    fn usage_line(
        &self,
        price: &Price,
        used: &Used,
        (period, proration): (BillingPeriod, Option<Proration>),
        used_minor: i64,
    ) -> LineItem {
        let description = match &used.group {
            Some(group) => format!("{} ({group})", self.plan.describe(price)),
            None => self.plan.describe(price),
        };
        LineItem {
            description,
            group: used.group.clone(),
            inputs: LineInputs::Price {
                model: price.model.clone(),
                charged_events: used.charged_events.clone(),
                max: price.max_amount_minor.map(|max_amount_minor| Limit { max_amount_minor, used_minor }),
            },
            ..self.line(price, LineKind::Usage, used.quantity.clone(), (period, proration))
        }
    }

    /// A line for a price that is charged by days: fixed or by quantity.
    pub(super) fn subscription_line(
        &self,
        price: &Price,
        period: BillingPeriod,
        proration: Option<Proration>,
    ) -> LineItem {
        self.line(price, price.kind.into(), self.quantity(price), (period, proration))
    }

    pub(super) fn line(
        &self,
        price: &Price,
        kind: LineKind,
        quantity: Exact,
        (period, proration): (BillingPeriod, Option<Proration>),
    ) -> LineItem {
        LineItem {
            price: Some(price.key.clone()),
            kind,
            description: self.plan.describe(price),
            period,
            quantity,
            proration,
            group: None,
            amount_minor: 0,
            discount_minor: 0,
            tax_minor: 0,
            tax_rates: price.tax_rates.clone(),
            inputs: LineInputs::Price {
                model: price.model.clone(),
                charged_events: None,
                max: price.max_amount_minor.map(|max_amount_minor| Limit { max_amount_minor, used_minor: 0 }),
            },
        }
    }

    /// The subscription's quantity of a price; 1 for a fixed one.
    pub(super) fn quantity(&self, price: &Price) -> Exact {
        let quantity = self.subscription.quantities.get(&price.key).filter(|_| price.is_licensed());
        quantity.map_or_else(|| Exact::from(1), |quantity| Exact::from(*quantity))
    }

    /// What a price lacks to its minimum for the days since its window, or its plan, began.
    fn bill_minimum(
        &mut self,
        price: &Price,
        (part, full): (BillingPeriod, BillingPeriod),
        billed_minor: i64,
    ) -> Result<(), BillingError> {
        let Some(min_amount_minor) = price.min_amount_minor else { return Ok(()) };
        let window = self.subscription.window(price.every(self.plan), part.start);
        let mut start = window.from.max(self.subscription.plan_since.date);
        if price.kind != PriceKind::Usage || self.plan.trial_usage() == TrialUsage::Free {
            start = start.max(self.subscription.fees_from());
        }
        let stint = BillingPeriod { start, end: part.end };
        let days = self.subscription.billed_days(stint);
        self.push_minimum(price, (stint, Proration::of_days(days, full)), (min_amount_minor, billed_minor))
    }

    /// Adds what is missing to a minimum, if anything is.
    pub(super) fn push_minimum(
        &mut self,
        price: &Price,
        place: (BillingPeriod, Option<Proration>),
        (min_amount_minor, billed_minor): (i64, i64),
    ) -> Result<(), BillingError> {
        let line = self.line(price, LineKind::Minimum, Exact::from(1), place);
        let line = LineItem {
            description: format!("{}, minimum", line.description),
            inputs: LineInputs::Minimum { min_amount_minor, billed_minor },
            ..line
        };
        let line = self.priced(price, line)?;
        if line.amount_minor > 0 { self.push(line) } else { Ok(()) }
    }

    /// The line with its amount.
    pub(super) fn priced(&self, price: &Price, line: LineItem) -> Result<LineItem, BillingError> {
        let failed = |source| BillingError::Price { price: price.key.clone(), source };
        line.priced(self.plan.currency()).map_err(failed)
    }
}
