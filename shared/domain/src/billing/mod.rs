//! Billing: the one function that bills, whatever the occasion.
//!
//! A boundary, a change of plan or quantity, a cancellation and a resumption all go the same way: what has ended is billed in
//! arrears, what was paid for and is not used is credited, what begins is billed in advance; then lines become an invoice.
//!
//! **Invariant:** whoever bills, and whenever, gets the same invoice: nothing but the arguments counts. **Invariant:** billing
//! never looks further than the windows under way, so it costs the same after ten years.

mod adjustment;
mod advance;
mod arrears;
mod closed;
mod commitment;
mod credit;
mod error;
mod so_far;
mod upgrade;
mod usage;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use adjustment::{Adjustments, LateCharges, Reopened, adjust};
pub use closed::{Closed, ClosedCommitment, ClosedWindow, PlanPeriod};
pub use error::BillingError;
pub use so_far::{usage_so_far, windows_under_way};
pub use upgrade::is_upgrade;
pub use usage::{UsageWindow, Used, usage_windows};

use crate::{
    AmountError, AppliedCoupon, InvoiceContent, InvoiceHead, InvoiceReason, LineItem, Plan, SpecError, Subscription,
    SubscriptionStatus, TaxRate, TaxRounding, Zone,
    subscription::{Moment, Terms},
};

/// Price key -> what was used in the price's [`UsageWindow`], one for each group. A price that is not there has used nothing.
pub type Usage = BTreeMap<String, Vec<Used>>;

/// The customer's taxes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taxes {
    /// Of all lines without rates of their own.
    pub rates: Vec<TaxRate>,
    /// Where tax is rounded.
    pub rounding: TaxRounding,
}

/// What a subscription is billed from.
#[derive(Clone, Copy, Debug)]
pub struct Billable<'a> {
    /// The plan version that the subscription names.
    pub plan: &'a Plan,
    /// The subscription as it stands before.
    pub subscription: &'a Subscription,
    /// The customer's zone; the subscription's from the boundary on that is billed.
    pub zone: &'a Zone,
    /// The customer's taxes.
    pub taxes: &'a Taxes,
}

/// What was used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metered {
    /// In the [`usage_windows`] of the occasion.
    pub usage: Usage,
    /// What late or corrected usage changes in periods billed before, by [`adjust`].
    pub late: LateCharges,
}

/// What a subscription is billed for.
#[derive(Clone, Copy, Debug)]
pub enum Occasion<'a> {
    /// Its next boundary has come.
    Boundary {
        /// The plan version that was scheduled to follow, if one was.
        next_plan: Option<&'a Plan>,
    },
    /// Its plan or quantities change now.
    Change {
        /// The instant.
        at: Timestamp,
        /// Id and content of the new plan version; the old one if only quantities change.
        to: (&'a str, &'a Plan),
        /// Price key -> new quantity; merged into those it has.
        quantities: &'a BTreeMap<String, Decimal>,
        /// Whether days are credited and charged.
        proration: ProrationBehavior,
    },
    /// It ends now; the local day is a used one.
    Cancel {
        /// The instant.
        at: Timestamp,
        /// Whether days are credited.
        proration: ProrationBehavior,
    },
    /// It resumes after a pause; the local day is billed.
    Resume {
        /// The instant.
        at: Timestamp,
    },
}

/// What a change within a period does to what was billed in advance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProrationBehavior {
    /// Unused days are credited, new ones charged.
    #[default]
    Day,
    /// Neither credit nor charge until the next period.
    None,
}

/// What billing brings about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// None when there is nothing to show.
    pub invoice: Option<InvoiceContent>,
    /// The subscription afterwards.
    pub subscription: Subscription,
    /// What is not to be billed again, but adjusted.
    pub closed: Closed,
}

/// Bills a subscription for an occasion.
///
/// # Errors
/// [`BillingError`] when an amount cannot be computed, the occasion does not fit the subscription's state, or the
/// subscription does not fit the plan.
pub fn bill(billable: &Billable<'_>, occasion: &Occasion<'_>, metered: &Metered) -> Result<Bill, BillingError> {
    let draft = Draft::new(billable, occasion, metered)?;
    let windows = if closed::measures(billable.plan) { usage_windows(billable, occasion)? } else { Vec::new() };
    let mut bill = match *occasion {
        Occasion::Boundary { next_plan } => draft.boundary(next_plan),
        Occasion::Change { to, quantities, proration, .. } => draft.change(to, quantities, proration),
        Occasion::Cancel { proration, .. } => draft.cancel(proration),
        Occasion::Resume { .. } => draft.resume(),
    }?;
    bill.closed.windows = closed::close(billable, windows, (metered, &bill));
    Ok(bill)
}

/// An invoice of the next boundary without lines, which would not be issued.
///
/// # Errors
/// [`BillingError::Over`] when there is no boundary; `State` when the subscription is over.
pub fn nothing(billable: &Billable<'_>) -> Result<InvoiceContent, BillingError> {
    let metered = Metered::default();
    let draft = Draft::new(billable, &Occasion::Boundary { next_plan: None }, &metered)?;
    Ok(InvoiceContent::of_lines(draft.head(), Vec::new())?)
}

/// Whether a price's days in arrears end with what is billed, or are cut and go on in the same window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stint {
    Ends,
    GoesOn,
}

/// An invoice on its way: the subscription as it changes, and the lines so far.
struct Draft<'a> {
    billable: Billable<'a>,
    metered: &'a Metered,
    /// The plan whose prices are billed.
    plan: &'a Plan,
    subscription: Subscription,
    now: Moment,
    reason: InvoiceReason,
    lines: Vec<LineItem>,
    /// Where in `lines` what was billed in advance stands.
    in_advance: Vec<usize>,
    /// The commitment that has ended.
    commitment: Option<ClosedCommitment>,
}

impl<'a> Draft<'a> {
    fn new(billable: &Billable<'a>, occasion: &Occasion<'_>, metered: &'a Metered) -> Result<Self, BillingError> {
        let (plan, subscription) = (billable.plan, billable.subscription.clone());
        // Where midnight happens twice, the clock shows a day again that has been billed.
        let today = |at| {
            let date = subscription.date_of(at).max(subscription.billed_to);
            Moment { date, at }
        };
        let (now, reason) = match *occasion {
            Occasion::Boundary { .. } => subscription.boundary()?,
            Occasion::Change { at, .. } | Occasion::Resume { at } => (today(at), InvoiceReason::Change),
            Occasion::Cancel { at, .. } => (today(at), InvoiceReason::Cancel),
        };
        subscription.must_live(SubscriptionStatus::Active)?;
        let (lines, in_advance, commitment) = (Vec::new(), Vec::new(), None);
        Ok(Self { billable: *billable, metered, plan, subscription, now, reason, lines, in_advance, commitment })
    }

    /// A boundary: arrears of the windows that end, advance of those that begin, in the plan's price order.
    fn boundary(mut self, next_plan: Option<&'a Plan>) -> Result<Bill, BillingError> {
        let day = self.now.date;
        self.settle_pauses(day)?;
        self.take_credits()?;
        self.bill_arrears(Stint::Ends, |draft, price| draft.window_ends(price, day))?;
        let (turns, ends) = (self.plan_turns(day), self.plan_ends(day));
        if ends {
            self.credit_unused(day, |_| true)?;
        }
        if turns {
            self.bill_commitment(day)?;
        }
        if self.is_over(day) {
            self.over();
            return self.issue();
        }
        // A trial may have ended.
        self.subscription.show_standing(day)?;
        self.subscription.billed_to = day;
        self.subscription.move_to_zone(day, self.billable.zone);
        if turns && let Some(terms) = self.subscription.scheduled.take() {
            if ends {
                let unknown = || SpecError::new("plan", "must be known where it follows");
                self.take_plan(next_plan.ok_or_else(unknown)?, terms)?;
            } else {
                self.take_quantities(terms.quantities, ProrationBehavior::Day)?;
            }
        }
        self.bill_advance()?;
        if !ends {
            self.sort_lines();
        }
        self.move_on();
        self.issue()
    }

    /// A change now: the old plan's arrears so far, credits for unused days, the rest of the period at the new price.
    fn change(
        mut self,
        (plan_id, plan): (&str, &'a Plan),
        quantities: &BTreeMap<String, Decimal>,
        proration: ProrationBehavior,
    ) -> Result<Bill, BillingError> {
        let quantities = self.subscription.merged_quantities(plan, quantities)?;
        let terms = Terms { plan: plan_id.to_owned(), quantities };
        self.subscription.scheduled = None;
        if plan_id == self.subscription.plan {
            self.change_quantities(terms, proration)?;
        } else {
            self.change_plan(plan, terms, proration)?;
        }
        self.move_on();
        self.issue()
    }

    fn change_plan(&mut self, plan: &'a Plan, terms: Terms, proration: ProrationBehavior) -> Result<(), BillingError> {
        let day = self.now.date;
        self.settle_pauses(day)?;
        self.take_credits()?;
        self.bill_arrears(Stint::Ends, |_, _| true)?;
        if proration == ProrationBehavior::Day {
            self.credit_unused(day, |_| true)?;
        }
        self.bill_commitment(day)?;
        self.subscription.billed_to = day;
        self.take_plan(plan, terms)?;
        match proration {
            ProrationBehavior::Day => self.bill_advance(),
            ProrationBehavior::None => self.waive_advance(),
        }
    }

    fn change_quantities(&mut self, terms: Terms, proration: ProrationBehavior) -> Result<(), BillingError> {
        self.settle_pauses(self.now.date)?;
        self.take_credits()?;
        self.take_quantities(terms.quantities, proration)?;
        // What was credited, and nothing else, is not billed ahead any more.
        self.bill_advance()
    }

    /// A cancellation now: arrears, and credits for the days after this one.
    fn cancel(mut self, proration: ProrationBehavior) -> Result<Bill, BillingError> {
        // A pause that lasts makes even this day an unused one.
        let paused = self.subscription.is_paused();
        let today = self.now.date;
        let unused_from = if paused { today } else { today.tomorrow().unwrap_or(Date::MAX) };
        self.settle_pauses(unused_from)?;
        self.take_credits()?;
        self.end_tomorrow();
        self.bill_arrears(Stint::Ends, |_, _| true)?;
        if proration == ProrationBehavior::Day {
            self.credit_unused(unused_from, |_| true)?;
        }
        self.bill_commitment(self.now.date)?;
        self.over();
        self.issue()
    }

    /// A resumption: the pause is credited on the next invoice; what was not billed while it lasted is billed now.
    fn resume(mut self) -> Result<Bill, BillingError> {
        let day = self.now.date;
        self.subscription.transition_to(self.subscription.living_status(day))?;
        self.settle_pauses(day)?;
        if let Some(pause) = self.subscription.pauses.last_mut() {
            pause.until = Some(day.max(pause.from));
        }
        self.subscription.pauses.retain(|pause| pause.until != Some(pause.from));
        self.bill_advance()?;
        if !self.lines.is_empty() {
            self.take_credits()?;
        }
        self.issue()
    }

    /// Takes on another plan: windows begin anew.
    fn take_plan(&mut self, plan: &'a Plan, terms: Terms) -> Result<(), BillingError> {
        self.plan = plan;
        self.subscription.plan = terms.plan;
        self.subscription.quantities = terms.quantities;
        self.subscription.plan_since = self.now;
        self.subscription.accounts.clear();
        self.subscription.period_billed_minor = 0;
        self.subscription.retry_trial(plan, self.now.date)
    }

    /// Takes on other quantities. Only prices whose quantity changes are touched: their days so far are billed, and those to
    /// come credited, by the old one.
    fn take_quantities(
        &mut self,
        quantities: BTreeMap<String, Decimal>,
        proration: ProrationBehavior,
    ) -> Result<(), BillingError> {
        let old = &self.subscription.quantities;
        let changed = |key: &&String| old.get(*key) != quantities.get(*key);
        let changed: BTreeSet<String> = quantities.keys().filter(changed).cloned().collect();
        self.bill_arrears(Stint::GoesOn, |_, price| changed.contains(&price.key))?;
        if proration == ProrationBehavior::Day {
            self.credit_unused(self.now.date, |key| changed.contains(key))?;
        }
        self.subscription.quantities = quantities;
        Ok(())
    }

    /// Whether the plan's own period ends on a day: a trial, a stub or a full one.
    fn plan_turns(&self, day: Date) -> bool {
        self.subscription.period.end <= day
    }

    fn is_over(&self, day: Date) -> bool {
        self.subscription.end.is_some_and(|end| end.date <= day)
    }

    /// Whether the plan itself ends on a day, with the subscription or since another one follows.
    fn plan_ends(&self, day: Date) -> bool {
        self.is_over(day) || (self.subscription.scheduled_plan().is_some() && self.plan_turns(day))
    }

    fn move_on(&mut self) {
        let from = self.subscription.billed_to.max(self.now.date);
        self.subscription.next_boundary = Some(self.subscription.boundary_after(from, self.plan));
        self.subscription.forget_pauses(from, self.plan);
        self.subscription.forget_zones(from, self.plan);
        self.subscription.period = self.subscription.period_under_way(self.plan);
    }

    /// Has today be the last day, unless it was not to be billed: what ends tomorrow is billed now.
    fn end_tomorrow(&mut self) {
        let tomorrow = self.now.date.tomorrow().unwrap_or(Date::MAX);
        // What has not started has no day.
        let after = if self.now.at < self.subscription.start.at { self.subscription.start.date } else { tomorrow };
        self.now.date = self.subscription.end.map_or(after, |end| end.date.min(after));
        self.subscription.end = Some(self.now);
    }

    fn over(&mut self) {
        self.subscription.status = SubscriptionStatus::Cancelled;
        if let Some(end) = self.subscription.end {
            // It may be over before it has begun.
            let period = &mut self.subscription.period;
            period.end = period.end.min(end.date).max(period.start);
        }
        self.subscription.next_boundary = None;
        self.subscription.scheduled = None;
        self.subscription.accounts.clear();
        self.subscription.pauses.clear();
    }

    /// Puts the credits that waited for an invoice, and adjustments of earlier periods, on this one.
    fn take_credits(&mut self) -> Result<(), AmountError> {
        self.lines.append(&mut self.subscription.credits);
        let LateCharges { lines, counted_minor } = &self.metered.late;
        self.lines.extend(lines.iter().cloned());
        let sum = self.subscription.period_billed_minor.checked_add(*counted_minor);
        self.subscription.period_billed_minor = sum.ok_or(AmountError::Overflow)?;
        Ok(())
    }

    fn push(&mut self, line: LineItem) -> Result<(), BillingError> {
        let sum = self.subscription.period_billed_minor.checked_add(line.amount_minor);
        self.subscription.period_billed_minor = sum.ok_or(AmountError::Overflow)?;
        self.lines.push(line);
        Ok(())
    }

    fn head(&self) -> InvoiceHead {
        InvoiceHead {
            reason: self.reason,
            issued_at: self.now.at,
            currency: self.plan.currency(),
            plan: Some(self.plan.key().to_owned()),
            tax_rates: self.billable.taxes.rates.clone(),
            tax_rounding: self.billable.taxes.rounding,
            coupons: AppliedCoupon::in_force(&self.subscription.coupons),
        }
    }

    fn issue(mut self) -> Result<Bill, BillingError> {
        let closed = Closed { windows: Vec::new(), commitment: self.commitment.take() };
        if self.lines.is_empty() {
            return Ok(Bill { invoice: None, subscription: self.subscription, closed });
        }
        let head = self.head();
        let content = InvoiceContent::of_lines(head, self.lines)?;
        self.subscription.coupons = AppliedCoupon::after(&self.subscription.coupons, &content)?;
        for index in self.in_advance {
            self.subscription.note_paid(&content.lines[index]);
        }
        Ok(Bill { invoice: Some(content), subscription: self.subscription, closed })
    }

    /// Puts the lines into the plan's price order; what has no price comes last.
    fn sort_lines(&mut self) {
        let prices = self.plan.prices();
        let place = |index: &usize| {
            let key = self.lines[*index].price.as_ref();
            key.and_then(|key| prices.iter().position(|price| price.key == *key)).unwrap_or(prices.len())
        };
        let mut order: Vec<usize> = (0..self.lines.len()).collect();
        order.sort_by_key(place);
        self.in_advance = self.in_advance.iter().filter_map(|at| order.iter().position(|index| index == at)).collect();
        self.lines = order.iter().map(|&index| self.lines[index].clone()).collect();
    }
}
