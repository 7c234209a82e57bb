//! Tells a story: what happens in which order, and what it results in.
//!
//! Owns the order of things. **Invariant:** at one instant, drafts whose grace is over are finalised first, then boundaries are
//! billed, subscriptions in the order they were subscribed, then entries are processed as written. **Invariant:** a story ends:
//! what it may bill is limited.

use std::collections::BTreeSet;

use domain::{AmountError, InvoiceContent, InvoiceHead, InvoiceReason, LatePolicy, OneOffLine, Taxes};
use jiff::Timestamp;

use crate::{
    Output, Scenario, SimulationError,
    billing::{Billed, Ground, Held},
    customer::Purse,
    error::element,
    events::EventLog,
    invoices::{Invoices, Issue},
    timeline::{Action, Entry, OneOff, Subscribe, Usage},
};

/// Most boundaries of a story: five daily subscriptions for a hundred years.
const MAX_BOUNDARIES: usize = 200_000;

/// Most lines of a story's invoices: the result is held and printed at once.
const MAX_LINES: usize = 100_000;

/// Tells a story to its end.
///
/// # Errors
/// The first thing that cannot happen, and where it is written.
pub fn simulate(scenario: &Scenario) -> Result<Output, SimulationError> {
    let customer = &scenario.customer;
    let taxes = Taxes { rates: customer.tax_rates.clone(), rounding: customer.tax_rounding };
    let mut world = World::new(scenario, &taxes);
    for entry in scenario.timeline.iter().take_while(|entry| entry.time <= scenario.until) {
        world.advance_to(entry.time)?;
        world.apply(entry)?;
    }
    world.advance_to(scenario.until)?;
    world.refresh_drafts()?;
    Ok(world.output())
}

/// Something that happens by itself; of one instant, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// The grace of the invoice with this number is over.
    Finalisation(u32),
    /// The subscription at this place has a boundary.
    Boundary(usize),
}

/// One customer, up to a moment.
struct World<'a, 'g> {
    scenario: &'a Scenario,
    taxes: &'g Taxes,
    subscriptions: Vec<Held<'a>>,
    log: EventLog<'a>,
    invoices: Invoices<'a>,
    purse: Purse,
    /// What is to happen by itself, soonest first.
    due: BTreeSet<(Timestamp, Due)>,
    boundaries: usize,
}

impl<'a, 'g> World<'a, 'g> {
    fn new(scenario: &'a Scenario, taxes: &'g Taxes) -> Self {
        Self {
            scenario,
            taxes,
            subscriptions: Vec::new(),
            log: EventLog::default(),
            invoices: Invoices::default(),
            purse: Purse::default(),
            due: BTreeSet::new(),
            boundaries: 0,
        }
    }

    /// Does everything that is due by a moment, the moment included.
    fn advance_to(&mut self, moment: Timestamp) -> Result<(), SimulationError> {
        while let Some(&(at, due)) = self.due.first() {
            if at > moment {
                break;
            }
            self.due.pop_first();
            match due {
                Due::Finalisation(number) => self.finalize(number, at)?,
                Due::Boundary(place) => self.bill_boundary(place)?,
            }
        }
        Ok(())
    }

    fn apply(&mut self, entry: &'a Entry) -> Result<(), SimulationError> {
        match &entry.action {
            Action::Subscribe(subscribe) => self.subscribe(entry, subscribe),
            Action::Change(change) => {
                self.act(entry, &change.subscription, |held, ground| held.change(ground, (entry, change)))
            }
            Action::Pause(of) => self.act(entry, &of.subscription, |held, _| held.pause(entry).map(|()| None)),
            Action::Resume(of) => self.act(entry, &of.subscription, |held, ground| held.resume(ground, entry)),
            Action::Cancel(cancel) => {
                self.act(entry, &cancel.subscription, |held, ground| held.cancel(ground, (entry, cancel)))
            }
            Action::ApplyCoupon(apply) => self.act(entry, &apply.subscription, |held, ground| {
                held.apply_coupon(ground.scenario, (entry, &apply.coupon)).map(|()| None)
            }),
            Action::Usage(usage) => self.receive(entry, usage),
            Action::Pay(pay) => {
                self.invoices.pay(entry, pay)?;
                self.note_payments(entry, pay.invoice.get())
            }
            Action::Void(of) => self.void(entry, of.invoice.get()),
            Action::Finalize(of) => {
                self.invoices.must_be_draft(entry, of.invoice.get())?;
                self.finalize(of.invoice.get(), entry.time)
            }
            Action::CreditBalance(credit) => self.purse.credit(entry, credit.amount_minor),
            Action::TopUpWallet(top_up) => {
                self.purse.top_up(top_up);
                Ok(())
            }
            Action::OneOff(one_off) => self.one_off(entry, one_off),
            Action::CreditNote(credit) => {
                let settlement = self.invoices.credit(entry, credit)?;
                self.purse.credit(entry, settlement.balance_minor)?;
                self.note_payments(entry, credit.invoice.get())
            }
        }
    }

    fn subscribe(&mut self, entry: &'a Entry, subscribe: &'a Subscribe) -> Result<(), SimulationError> {
        let held = Held::subscribe(self.scenario, entry, subscribe)?;
        self.subscriptions.push(held);
        self.schedule(self.subscriptions.len() - 1);
        // What it owes from the start is billed at once.
        self.advance_to(entry.time)
    }

    /// Does something to a subscription, and issues what comes of it.
    fn act(
        &mut self,
        entry: &Entry,
        name: &str,
        action: impl FnOnce(&mut Held<'a>, Ground<'a, '_>) -> Result<Option<Billed<'a>>, SimulationError>,
    ) -> Result<(), SimulationError> {
        let place = self.subscriptions.iter().position(|held| held.name == name);
        let place = place.ok_or_else(|| entry.error("subscription", "has not been subscribed by then"))?;
        let ground = Ground { scenario: self.scenario, taxes: self.taxes, log: &self.log };
        let billed = action(&mut self.subscriptions[place], ground)?;
        if let Some(billed) = billed {
            self.issue(place, billed)?;
        }
        self.schedule(place);
        Ok(())
    }

    fn receive(&mut self, entry: &'a Entry, usage: &'a Usage) -> Result<(), SimulationError> {
        let Some(meter) = self.scenario.meters.get(&usage.meter) else { return Ok(()) };
        meter.quantity(&usage.properties).map_err(|error| entry.error("properties", error.to_string()))?;
        for changed in self.log.receive(entry, usage)?.changed {
            // What a correction withdraws may be of another meter.
            let meter =
                self.scenario.meters.get(changed.meter).filter(|meter| meter.late_policy() == LatePolicy::Adjust);
            let held = self.subscriptions.iter_mut().find(|held| held.name == changed.subscription);
            if let Some((meter, held)) = meter.zip(held) {
                held.books.note_late(meter, changed.at);
            }
        }
        Ok(())
    }

    fn bill_boundary(&mut self, place: usize) -> Result<(), SimulationError> {
        self.boundaries += 1;
        if self.boundaries > MAX_BOUNDARIES {
            return Err(SimulationError::new("until", format!("lets more than {MAX_BOUNDARIES} periods go by")));
        }
        let ground = Ground { scenario: self.scenario, taxes: self.taxes, log: &self.log };
        if let Some(billed) = self.subscriptions[place].bill_boundary(ground)? {
            self.issue(place, billed)?;
        }
        self.schedule(place);
        Ok(())
    }

    fn issue(&mut self, place: usize, billed: Billed<'a>) -> Result<(), SimulationError> {
        let Billed { content, recipe } = billed;
        let grace_ends = self.scenario.customer.grace_end(&content);
        let subscription = Some(self.subscriptions[place].name);
        let issued_at = content.issued_at;
        let draft = recipe.filter(|_| grace_ends.is_some());
        let number = self.invoices.issue(Issue { place: Some(place), subscription, content, draft })?;
        self.check_lines()?;
        match grace_ends {
            Some(at) => drop(self.due.insert((at, Due::Finalisation(number)))),
            None => self.finalize(number, issued_at)?,
        }
        Ok(())
    }

    fn check_lines(&self) -> Result<(), SimulationError> {
        if self.invoices.lines() > MAX_LINES {
            return Err(SimulationError::new("until", format!("lets more than {MAX_LINES} lines be billed")));
        }
        Ok(())
    }

    /// Ends a draft: with the usage that is known by now, paid as far as the customer's credit goes.
    fn finalize(&mut self, number: u32, now: Timestamp) -> Result<(), SimulationError> {
        self.refresh(number)?;
        let Some(draft) = self.invoices.draft(number) else { return Ok(()) };
        if let Some((place, recipe)) = draft.place.zip(draft.draft.as_ref()) {
            self.subscriptions[place].finalize(recipe);
        }
        let content = self.purse.pay(draft.content.clone(), now).map_err(|error| too_large(number, &error))?;
        self.invoices.finalize(number, content);
        Ok(())
    }

    /// Bills a draft again, with the usage that is known by now.
    fn refresh(&mut self, number: u32) -> Result<(), SimulationError> {
        let Some(draft) = self.invoices.draft(number) else { return Ok(()) };
        let Some((place, recipe)) = draft.place.zip(draft.draft.clone()) else { return Ok(()) };
        let ground = Ground { scenario: self.scenario, taxes: self.taxes, log: &self.log };
        let content = self.subscriptions[place].bill_again(ground, &recipe)?;
        self.invoices.refresh(number, content);
        Ok(())
    }

    fn refresh_drafts(&mut self) -> Result<(), SimulationError> {
        self.invoices.drafts().into_iter().try_for_each(|number| self.refresh(number))
    }

    fn void(&mut self, entry: &Entry, number: u32) -> Result<(), SimulationError> {
        let void = self.invoices.void(entry, number)?;
        self.purse.restore(entry, &void.content)?;
        if let Some(place) = void.place {
            self.subscriptions[place].forget_void(&void.content);
        }
        self.note_payments(entry, number)
    }

    /// Has an invoice's subscription say whether anything of it is owed whose payment has failed.
    fn note_payments(&mut self, entry: &Entry, number: u32) -> Result<(), SimulationError> {
        let Some((place, has_failed)) = self.invoices.standing(number) else { return Ok(()) };
        self.subscriptions[place].note_payments(self.scenario, entry, has_failed)
    }

    fn one_off(&mut self, entry: &Entry, one_off: &OneOff) -> Result<(), SimulationError> {
        let customer = &self.scenario.customer;
        let day = customer.timezone.date_of(entry.time);
        let period = domain::BillingPeriod { start: day, end: day.tomorrow().unwrap_or(day) };
        let mut lines = Vec::with_capacity(one_off.lines.len());
        for (index, spec) in one_off.lines.iter().enumerate() {
            let place = element("lines", index);
            let line = OneOffLine::try_from(spec.clone());
            let line = line.map_err(|error| entry.error(&format!("{place}.{}", error.path), error.rule))?;
            let line = line.line(period, customer.currency);
            lines.push(line.map_err(|error| entry.error(&place, format!("cannot be billed: {error}")))?);
        }
        let head = InvoiceHead {
            reason: InvoiceReason::OneOff,
            issued_at: entry.time,
            currency: customer.currency,
            plan: None,
            tax_rates: self.taxes.rates.clone(),
            tax_rounding: self.taxes.rounding,
            coupons: Vec::new(),
        };
        let content = InvoiceContent::of_lines(head, lines);
        let content = content.map_err(|error| entry.error("lines", format!("cannot be added up: {error}")))?;
        let issue = Issue { place: None, subscription: None, content, draft: None };
        let number = self.invoices.issue(issue)?;
        self.check_lines()?;
        self.finalize(number, entry.time)
    }

    /// Sees to a subscription's next boundary, and to no other.
    fn schedule(&mut self, place: usize) {
        self.due.retain(|(_, due)| *due != Due::Boundary(place));
        if let Some(at) = self.subscriptions[place].due_at() {
            self.due.insert((at, Due::Boundary(place)));
        }
    }

    fn output(self) -> Output {
        Output {
            invoices: self.invoices.output(),
            credit_notes: self.invoices.credit_notes(),
            subscriptions: self.subscriptions.iter().map(Held::output).collect(),
            customer: self.purse.output(self.scenario),
        }
    }
}

fn too_large(number: u32, error: &AmountError) -> SimulationError {
    SimulationError::new("until", format!("leaves a balance that cannot be kept after invoice {number}: {error}"))
}
