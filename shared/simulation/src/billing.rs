//! The one place that asks the domain what a subscription owes.
//!
//! Turns a scenario's words into the domain's and its answers into the simulation's; decides nothing.

use std::collections::BTreeMap;

use domain::{
    Bill, Billable, BillingError, Closed, InvoiceContent, LateCharges, Metered, Occasion, Plan, Start, Subscription,
    Taxes, bill, is_upgrade, nothing, usage_windows,
};
use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::{
    Scenario, SimulationError,
    events::EventLog,
    late_usage::Books,
    timeline::{Cancel, Change, Entry, Quantity, Subscribe, When},
};

/// A subscription of the simulated customer.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    pub(crate) name: &'a str,
    /// The entry that it began with.
    pub(crate) entry: &'a Entry,
    plan: &'a Plan,
    state: Subscription,
    /// What has been billed of its usage.
    pub(crate) books: Books<'a>,
}

/// What it takes to bill a boundary again, while its invoice is a draft.
#[derive(Clone, Debug)]
pub(crate) struct Recipe<'a> {
    plan: &'a Plan,
    before: Subscription,
    next_plan: Option<&'a Plan>,
    late: LateCharges,
}

/// An invoice of a subscription, and how to make it again.
pub(crate) struct Billed<'a> {
    pub(crate) content: InvoiceContent,
    /// Only of a boundary's.
    pub(crate) recipe: Option<Recipe<'a>>,
}

/// The ground that billing stands on.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a, 'g> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) taxes: &'g Taxes,
    pub(crate) log: &'g EventLog<'a>,
}

impl<'a> Held<'a> {
    /// Begins a subscription.
    ///
    /// # Errors
    /// What the plan does not allow, at the entry's field.
    pub(crate) fn subscribe(
        scenario: &'a Scenario,
        entry: &'a Entry,
        subscribe: &'a Subscribe,
    ) -> Result<Self, SimulationError> {
        let plan = scenario.plans.get(&subscribe.plan);
        let plan = plan.ok_or_else(|| entry.error("plan", "is no plan of the scenario"))?;
        let start = Start {
            cycle: subscribe.billing_cycle,
            anchor_day: subscribe.anchor_day,
            trial_days: subscribe.trial_days,
            quantities: decimals(&subscribe.quantities),
            coupons: subscribe.coupons.iter().filter_map(|key| scenario.coupons.get(key)).cloned().collect(),
            end_at: subscribe.end_at,
            ..Start::at(entry.time, &scenario.customer.timezone)
        };
        let state = Subscription::start(plan.key(), plan, start).map_err(|error| {
            let field = if error.path == "start_at" { "at" } else { &error.path };
            entry.error(field, error.rule)
        })?;
        Ok(Self { name: &subscribe.subscription, entry, plan, state, books: Books::default() })
    }

    /// The instant of its next boundary.
    pub(crate) fn due_at(&self) -> Option<Timestamp> {
        self.state.due_at()
    }

    /// Bills its next boundary.
    ///
    /// # Errors
    /// When an amount cannot be computed, at the entry that it began with.
    pub(crate) fn bill_boundary(&mut self, ground: Ground<'a, '_>) -> Result<Option<Billed<'a>>, SimulationError> {
        let next_plan = self.state.scheduled_plan().and_then(|key| ground.scenario.plans.get(key));
        let (plan, before) = (self.plan, self.state.clone());
        let late = self.late_charges(ground).map_err(|error| self.unbillable(&error))?;
        let occasion = Occasion::Boundary { next_plan };
        let billed = self.bill(ground, &occasion, late.clone()).map_err(|error| self.unbillable(&error))?;
        if let Some(next) = next_plan.filter(|next| next.key() == self.state.plan()) {
            self.plan = next;
        }
        let recipe = Recipe { plan, before, next_plan, late };
        Ok(billed.map(|content| Billed { content, recipe: Some(recipe) }))
    }

    /// Bills a boundary again, with the usage that is known by now; without lines where it is all corrected away.
    ///
    /// # Errors
    /// As [`Self::bill_boundary`].
    pub(crate) fn bill_again(
        &mut self,
        ground: Ground<'a, '_>,
        recipe: &Recipe<'a>,
    ) -> Result<InvoiceContent, SimulationError> {
        let now = (self.plan, self.state.clone());
        (self.plan, self.state) = (recipe.plan, recipe.before.clone());
        let occasion = Occasion::Boundary { next_plan: recipe.next_plan };
        let decided = self.decide(ground, &occasion, recipe.late.clone());
        let empty = nothing(&self.billable(ground));
        (self.plan, self.state) = now;
        let content = decided.and_then(|Bill { invoice, closed, .. }| {
            self.recount(&closed)?;
            self.books.close(recipe.plan, closed, recipe.before.next_boundary());
            invoice.map_or(empty, Ok)
        });
        content.map_err(|error| self.unbillable(&error))
    }

    /// Counts what a draft's usage has changed by towards the commitment of its period, wherever that has got to.
    fn recount(&mut self, closed: &Closed) -> Result<(), BillingError> {
        // A commitment that ends with the draft is billed again with it.
        let Some(first) = closed.windows.first().filter(|_| closed.commitment.is_none()) else { return Ok(()) };
        let change = closed.billed_minor().saturating_sub(self.books.billed_minor(&closed.windows));
        if !self.state.count(&first.within, change)? {
            self.books.count(&first.within, change)?;
        }
        Ok(())
    }

    /// Notes that the draft of an invoice is final.
    pub(crate) fn finalize(&mut self, recipe: &Recipe<'a>) {
        self.books.finalize(recipe.before.next_boundary());
    }

    /// `change`.
    ///
    /// # Errors
    /// What the new terms or its state do not allow, at the entry's field.
    pub(crate) fn change(
        &mut self,
        ground: Ground<'a, '_>,
        (entry, change): (&Entry, &Change),
    ) -> Result<Option<Billed<'a>>, SimulationError> {
        let to = change.plan.as_ref().and_then(|key| ground.scenario.plans.get(key)).unwrap_or(self.plan);
        let quantities = change.quantities.as_ref().map(decimals).unwrap_or_default();
        let when = match change.when {
            Some(when) => when,
            None => self.default_when(ground, (entry, to), &quantities)?,
        };
        if when == When::PeriodEnd {
            let scheduled = self.state.change_at_period_end((to.key(), to), &quantities);
            scheduled.map_err(|error| refused(entry, &error))?;
            return Ok(None);
        }
        let occasion = Occasion::Change {
            at: entry.time,
            to: (to.key(), to),
            quantities: &quantities,
            proration: change.proration,
        };
        let content = self.act(ground, entry, &occasion)?;
        self.plan = to;
        Ok(content)
    }

    fn default_when(
        &self,
        ground: Ground<'a, '_>,
        (entry, to): (&Entry, &Plan),
        quantities: &BTreeMap<String, Decimal>,
    ) -> Result<When, SimulationError> {
        let upgrade = is_upgrade(&self.billable(ground), entry.time, (to, quantities));
        Ok(if upgrade.map_err(|error| refused(entry, &error))? { When::Now } else { When::PeriodEnd })
    }

    /// `cancel`.
    ///
    /// # Errors
    /// When it is over already.
    pub(crate) fn cancel(
        &mut self,
        ground: Ground<'a, '_>,
        (entry, cancel): (&Entry, &Cancel),
    ) -> Result<Option<Billed<'a>>, SimulationError> {
        if cancel.when == When::PeriodEnd {
            let cancelled = self.state.cancel_at_period_end();
            cancelled.map_err(|error| refused(entry, &error))?;
            return Ok(None);
        }
        self.act(ground, entry, &Occasion::Cancel { at: entry.time, proration: cancel.proration })
    }

    /// `pause`.
    ///
    /// # Errors
    /// When its state does not allow it.
    pub(crate) fn pause(&mut self, entry: &Entry) -> Result<(), SimulationError> {
        self.state.pause(entry.time).map_err(|error| refused(entry, &error))
    }

    /// `resume`.
    ///
    /// # Errors
    /// When it is not paused.
    pub(crate) fn resume(
        &mut self,
        ground: Ground<'a, '_>,
        entry: &Entry,
    ) -> Result<Option<Billed<'a>>, SimulationError> {
        self.act(ground, entry, &Occasion::Resume { at: entry.time })
    }

    /// `apply_coupon`.
    ///
    /// # Errors
    /// When it is over.
    pub(crate) fn apply_coupon(
        &mut self,
        scenario: &Scenario,
        (entry, key): (&Entry, &str),
    ) -> Result<(), SimulationError> {
        if self.state.status() == domain::SubscriptionStatus::Cancelled {
            return Err(entry.error("subscription", "is cancelled"));
        }
        let coupon = scenario.coupons.get(key).ok_or_else(|| entry.error("coupon", "is no coupon of the scenario"))?;
        self.state.apply_coupon(coupon.clone()).map_err(|error| entry.error(&error.path, error.rule))
    }

    /// Forgets that an invoice was billed, since it is void.
    pub(crate) fn forget_void(&mut self, content: &InvoiceContent) {
        self.state.forget_void(content);
    }

    /// Takes note of whether an invoice of it is owed whose payment has failed.
    ///
    /// # Errors
    /// None for a subscription as billing leaves it.
    pub(crate) fn note_payments(
        &mut self,
        scenario: &Scenario,
        entry: &Entry,
        has_failed: bool,
    ) -> Result<(), SimulationError> {
        let today = scenario.customer.timezone.date_of(entry.time);
        let noted = if has_failed { self.state.payment_failed(today) } else { self.state.payments_recovered(today) };
        noted.map_err(|error| refused(entry, &error))
    }

    /// Bills an occasion that an entry brings.
    fn act(
        &mut self,
        ground: Ground<'a, '_>,
        entry: &Entry,
        occasion: &Occasion<'_>,
    ) -> Result<Option<Billed<'a>>, SimulationError> {
        let adjusts = !matches!(occasion, Occasion::Resume { .. });
        let late = if adjusts { self.late_charges(ground) } else { Ok(LateCharges::default()) };
        let content = late.and_then(|late| self.bill(ground, occasion, late));
        let content = content.map_err(|error| refused(entry, &error))?;
        Ok(content.map(|content| Billed { content, recipe: None }))
    }

    fn bill(
        &mut self,
        ground: Ground<'a, '_>,
        occasion: &Occasion<'_>,
        late: LateCharges,
    ) -> Result<Option<InvoiceContent>, BillingError> {
        let Bill { invoice, subscription, closed } = self.decide(ground, occasion, late)?;
        let stays_draft = invoice.as_ref().is_some_and(|content| ground.scenario.customer.grace_end(content).is_some());
        let draft = self.state.next_boundary().filter(|_| stays_draft);
        self.books.close(self.plan, closed, draft);
        self.state = subscription;
        Ok(invoice)
    }

    fn decide(&self, ground: Ground<'a, '_>, occasion: &Occasion<'_>, late: LateCharges) -> Result<Bill, BillingError> {
        let billable = self.billable(ground);
        let windows = usage_windows(&billable, occasion)?;
        let usage = ground.log.measure(ground.scenario, self.name, (self.plan, &windows))?;
        bill(&billable, occasion, &Metered { usage, late })
    }

    fn billable<'g>(&'g self, ground: Ground<'a, 'g>) -> Billable<'g> {
        let zone = &ground.scenario.customer.timezone;
        Billable { plan: self.plan, subscription: &self.state, zone, taxes: ground.taxes }
    }

    /// What late events have changed in windows that were billed.
    fn late_charges(&mut self, ground: Ground<'a, '_>) -> Result<LateCharges, BillingError> {
        let (name, zone) = (self.name, &ground.scenario.customer.timezone);
        let billable = Billable { plan: self.plan, subscription: &self.state, zone, taxes: ground.taxes };
        self.books.adjust(&billable, |plan, window| {
            ground.log.measure(ground.scenario, name, (plan, std::slice::from_ref(window)))
        })
    }

    fn unbillable(&self, error: &BillingError) -> SimulationError {
        let when = self.state.next_boundary().map_or_else(|| "its end".to_owned(), |boundary| boundary.to_string());
        SimulationError::new(self.entry.path(), format!("cannot be billed at {when}: {error}"))
    }

    /// How it stands at the end.
    pub(crate) fn output(&self) -> crate::SubscriptionOutput {
        crate::SubscriptionOutput {
            subscription: self.name.to_owned(),
            plan: self.plan.key().to_owned(),
            status: self.state.status(),
            current_period: self.state.current_period(),
            trial_end: self.state.trial_end(),
        }
    }
}

fn decimals(quantities: &BTreeMap<String, Quantity>) -> BTreeMap<String, Decimal> {
    quantities.iter().map(|(key, quantity)| (key.clone(), quantity.0)).collect()
}

/// A refusal of the domain, at the field that it is about.
fn refused<E: Clone + Into<BillingError>>(entry: &Entry, error: &E) -> SimulationError {
    match error.clone().into() {
        BillingError::Terms(error) => entry.error(&error.path, error.rule),
        error => entry.error("subscription", format!("does not allow this: {error}")),
    }
}
