//! Subscriptions: which plan, how much of it, since when, and how far it has been billed.
//!
//! Owns what is remembered between two invoices; what an invoice says is [`crate::bill`]'s. **Invariant:** `next_boundary` is
//! the oldest boundary not billed yet; only billing moves it, one boundary at a time. **Invariant:** what has been billed in
//! advance for a window, and credited of it, is known until the window has ended.

mod abandon;
mod account;
mod days;
mod pause;
mod standing;
mod start;
mod status;

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub(crate) use account::{Account, Paid};
pub(crate) use days::FormerZone;
pub(crate) use pause::Pause;
pub(crate) use standing::Standing;
pub use start::Start;
pub(crate) use start::check_quantities;
pub use status::SubscriptionStatus;

use crate::{
    Anchor, AnchorDay, AppliedCoupon, BillingCycle, BillingError, BillingPeriod, Coupon, ForbiddenTransition,
    InvoiceContent, InvoiceReason, LineItem, Plan, Price, SpecError, Zone,
};

/// An instant with its local day, at which something begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moment {
    pub date: Date,
    pub at: Timestamp,
}

/// The plan and quantities that apply from the next period on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terms {
    pub plan: String,
    pub quantities: BTreeMap<String, Decimal>,
}

/// A customer's use of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub(crate) plan: String,
    pub(crate) quantities: BTreeMap<String, Decimal>,
    pub(crate) cycle: BillingCycle,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) anchor_day: Option<AnchorDay>,
    /// What all its periods step from.
    pub(crate) anchor: Anchor,
    /// In which its days begin.
    pub(crate) zone: Zone,
    /// Those in which days of the windows under way began, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) former_zones: Vec<FormerZone>,
    pub(crate) start: Moment,
    /// Days of trial of its own, over the plan's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) own_trial_days: Option<u16>,
    /// The first day for which fees are due, if there is or was a trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trial_end: Option<Date>,
    /// Since when it has its plan.
    pub(crate) plan_since: Moment,
    /// First day, and instant, on which it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<Moment>,
    /// What changes at the end of the period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scheduled: Option<Terms>,
    /// Pauses that a later invoice may still depend on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) pauses: Vec<Pause>,
    /// In the order they were applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) coupons: Vec<AppliedCoupon>,
    /// By price key: what has been billed of the windows under way.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) accounts: BTreeMap<String, Account>,
    /// What the lines of the plan's period under way come to, in minor units.
    pub(crate) period_billed_minor: i64,
    /// Credits that wait for the next invoice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) credits: Vec<LineItem>,
    /// The plan's period under way.
    pub(crate) period: BillingPeriod,
    /// The day up to which it has been billed: the last boundary or change.
    pub(crate) billed_to: Date,
    /// None once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next_boundary: Option<Date>,
    pub(crate) status: SubscriptionStatus,
    /// How it stands by its payments; what its state says of it, unless it is paused or over.
    #[serde(default, skip_serializing_if = "Standing::is_good")]
    pub(crate) standing: Standing,
}

impl Subscription {
    /// Id of the plan version.
    #[must_use]
    pub fn plan(&self) -> &str {
        &self.plan
    }

    /// Id of the plan version that follows at the end of the period, if another one does.
    #[must_use]
    pub fn scheduled_plan(&self) -> Option<&str> {
        self.scheduled.as_ref().map(|terms| terms.plan.as_str()).filter(|plan| *plan != self.plan)
    }

    /// Price key -> quantity, of the licensed prices.
    #[must_use]
    pub fn quantities(&self) -> &BTreeMap<String, Decimal> {
        &self.quantities
    }

    /// Where its boundaries lie.
    #[must_use]
    pub fn billing_cycle(&self) -> BillingCycle {
        self.cycle
    }

    /// The day of the month that it is billed on, if it was named.
    #[must_use]
    pub fn anchor_day(&self) -> Option<AnchorDay> {
        self.anchor_day
    }

    /// When it started; usage counts from here on.
    #[must_use]
    pub fn start_at(&self) -> Timestamp {
        self.start.at
    }

    /// Since when it has its plan.
    #[must_use]
    pub fn plan_since(&self) -> Timestamp {
        self.plan_since.at
    }

    /// The local day of the start.
    #[must_use]
    pub fn start_date(&self) -> Date {
        self.start.date
    }

    /// The first day after its trial, if it has or had one.
    #[must_use]
    pub fn trial_end(&self) -> Option<Date> {
        self.trial_end
    }

    /// The first instant at which it is over, if that is known.
    #[must_use]
    pub fn end_at(&self) -> Option<Timestamp> {
        self.end.map(|end| end.at)
    }

    /// The oldest boundary not billed yet; none once it is over.
    #[must_use]
    pub fn next_boundary(&self) -> Option<Date> {
        self.next_boundary
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> SubscriptionStatus {
        self.status
    }

    /// Its coupons, in the order they were applied.
    #[must_use]
    pub fn coupons(&self) -> &[AppliedCoupon] {
        &self.coupons
    }

    /// Adds a coupon, from the next invoice on.
    ///
    /// # Errors
    /// A [`SpecError`] at `coupon` beyond the limit of coupons in force.
    pub fn apply_coupon(&mut self, coupon: Coupon) -> Result<(), SpecError> {
        self.coupons.retain(AppliedCoupon::is_in_force);
        if self.coupons.len() >= start::MAX_COUPONS {
            return Err(SpecError::new("coupon", format!("would be more than {} in force", start::MAX_COUPONS)));
        }
        self.coupons.push(AppliedCoupon::unused(coupon));
        Ok(())
    }

    /// Forgets what a void invoice has billed in advance: it cannot be credited.
    pub fn forget_void(&mut self, content: &InvoiceContent) {
        for line in &content.lines {
            let account = line.price.as_ref().and_then(|key| self.accounts.get_mut(key));
            let paid = account.and_then(|account| account.paid.as_mut());
            if let Some(paid) = paid.filter(|paid| line.amount_minor > 0 && line.period.end == paid.until) {
                paid.net_minor = paid.net_minor.saturating_sub(line.amount_minor.saturating_sub(line.discount_minor));
            }
        }
    }

    /// The instant of the next boundary: the start, the end, or the local midnight at which a period turns.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        self.next_boundary.map(|boundary| self.turns_at(boundary))
    }

    /// The instant at which a boundary's day begins for this subscription, which is never before its start or after its end.
    pub(crate) fn turns_at(&self, boundary: Date) -> Timestamp {
        match self.end {
            Some(end) if boundary >= end.date => end.at,
            end => {
                let turns = self.start_of_day(boundary).max(self.start.at);
                end.map_or(turns, |end| turns.min(end.at))
            }
        }
    }

    /// The plan's period under way, as far as this subscription has part in it; the last one once it is over.
    #[must_use]
    pub fn current_period(&self) -> BillingPeriod {
        self.period
    }

    pub(crate) fn period_under_way(&self, plan: &Plan) -> BillingPeriod {
        let window = self.window(plan.every(), self.billed_to);
        let mut period = BillingPeriod { start: window.from.max(self.plan_since.date), end: window.full.end };
        match self.trial_end {
            // A trial is a period of its own.
            Some(end) if self.billed_to < end => period = BillingPeriod { start: self.plan_since.date, end },
            Some(end) => period.start = period.start.max(end),
            None => {}
        }
        period.end = self.end.map_or(period.end, |end| period.end.min(end.date));
        period
    }

    /// Moves it to another state.
    ///
    /// # Errors
    /// [`ForbiddenTransition`] for a change that does not exist; it then stays as it is.
    pub fn transition_to(&mut self, status: SubscriptionStatus) -> Result<(), ForbiddenTransition> {
        if !self.status.successors().contains(&status) {
            let (from, to) = (self.status.as_str(), status.as_str());
            return Err(ForbiddenTransition { subject: "a subscription", from, to });
        }
        self.status = status;
        Ok(())
    }

    /// Has it end with the period under way; what has been billed stays.
    ///
    /// # Errors
    /// [`ForbiddenTransition`] when it is over already.
    pub fn cancel_at_period_end(&mut self) -> Result<(), ForbiddenTransition> {
        self.must_live(SubscriptionStatus::Cancelled)?;
        let date = self.period.end;
        self.end = Some(Moment { date, at: self.start_of_day(date).max(self.start.at) });
        self.scheduled = None;
        self.next_boundary = self.next_boundary.map(|boundary| boundary.min(date));
        Ok(())
    }

    /// Has it go on with another plan, or other quantities, from the next period on. `quantities` are merged into those it has.
    ///
    /// # Errors
    /// [`BillingError::Terms`] as at the start, `State` when it is over.
    pub fn change_at_period_end(
        &mut self,
        (plan_id, plan): (&str, &Plan),
        quantities: &BTreeMap<String, Decimal>,
    ) -> Result<(), BillingError> {
        self.must_live(SubscriptionStatus::Active)?;
        let quantities = self.merged_quantities(plan, quantities)?;
        self.scheduled = Some(Terms { plan: plan_id.to_owned(), quantities });
        Ok(())
    }

    /// Whether it is over.
    pub(crate) fn must_live(&self, to: SubscriptionStatus) -> Result<(), ForbiddenTransition> {
        if self.status == SubscriptionStatus::Cancelled {
            let (from, to) = (self.status.as_str(), to.as_str());
            return Err(ForbiddenTransition { subject: "a subscription", from, to });
        }
        Ok(())
    }

    /// The quantities it would have on a plan: those it has, as far as the plan knows them, overlaid by the given ones.
    ///
    /// # Errors
    /// As at the start where the plan has no such cycle, or the quantities do not fit it.
    pub(crate) fn merged_quantities(
        &self,
        plan: &Plan,
        given: &BTreeMap<String, Decimal>,
    ) -> Result<BTreeMap<String, Decimal>, SpecError> {
        let known = |key: &&String| plan.price(key).is_some_and(Price::is_licensed);
        let kept = self.quantities.keys().filter(known).map(|key| (key.clone(), self.quantities[key]));
        let mut merged: BTreeMap<String, Decimal> = kept.collect();
        merged.extend(given.clone());
        Anchor::check(self.cycle, None, plan.every())?;
        check_quantities(plan, &merged)?;
        Ok(merged)
    }

    /// The next boundary, and why an invoice is issued there.
    pub(crate) fn boundary(&self) -> Result<(Moment, InvoiceReason), BillingError> {
        let date = self.next_boundary.ok_or(BillingError::Over)?;
        let reason = if date == self.start.date { InvoiceReason::SubscriptionCreate } else { InvoiceReason::Period };
        Ok((Moment { date, at: self.turns_at(date) }, reason))
    }

    /// Follows another plan's trial, from the original start: the trial may end now, or later than it would have. One that
    /// begins now does not move the anchor, from which periods have stepped already.
    pub(crate) fn retry_trial(&mut self, plan: &Plan, day: Date) -> Result<(), BillingError> {
        let trial_end = start::trial_end(self.start.date, self.own_trial_days.unwrap_or(plan.trial_days()))?;
        let [was_trial, is_trial] = [self.trial_end, trial_end].map(|end| end.is_some_and(|end| day < end));
        if was_trial {
            self.anchor = Anchor::new(trial_end.unwrap_or(self.start.date), self.cycle, self.anchor_day);
        }
        if was_trial || is_trial {
            self.trial_end = trial_end;
        }
        Ok(self.show_standing(day)?)
    }

    /// The day before another one, but not before the last boundary or change: the windows that ended there have been billed.
    pub(crate) fn last_day_before(&self, day: Date) -> Date {
        day.yesterday().unwrap_or(Date::MIN).max(self.billed_to)
    }

    /// The first day for which fees are due.
    pub(crate) fn fees_from(&self) -> Date {
        self.trial_end.map_or(self.start.date, |end| end.max(self.start.date))
    }
}

/// A full window of a cadence, and where this subscription's part of it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub full: BillingPeriod,
    pub from: Date,
}

impl Subscription {
    /// The window of a cadence that contains a day. The first one is a stub unless it begins with the start.
    pub(crate) fn window(&self, every: crate::Every, day: Date) -> Window {
        let full = self.anchor.cadence(every).window_containing(day);
        Window { full, from: full.start.max(self.start.date) }
    }

    /// The next day after `day` on which something of the plan turns, the trial ends or the subscription does.
    pub(crate) fn boundary_after(&self, day: Date, plan: &Plan) -> Date {
        let price_ends = plan.prices().iter().map(|price| self.window(price.every(plan), day).full.end);
        let ends = price_ends.chain([self.window(plan.every(), day).full.end]);
        let trial_end = self.trial_end.filter(|end| *end > day);
        let end = self.end.map(|end| end.date);
        // A window ends after every day in it, so there is a next boundary.
        ends.chain(trial_end).chain(end).min().unwrap_or(Date::MAX)
    }
}
