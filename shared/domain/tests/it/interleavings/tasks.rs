//! The tasks: what workers and handlers do, step by step; between any two steps anything may happen.

use std::collections::BTreeMap;

use domain::{
    Bill, Billable, ClosedWindow, Decline, DunningOutcome, DunningStep, InvoiceStatus, Metered, Occasion,
    PaymentFailure, ProrationBehavior, Reopened, Subscription, Taxes, UsageWindow, Used, adjust, apply_credits, bill,
    usage_windows,
};
use jiff::Timestamp;

use super::{
    Flaw, World,
    books::{Attempt, Event, Invoice},
};

/// A hint at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Bill(usize),
    Collect(usize),
    Check(usize),
}

pub(super) enum Task {
    Billing(Billing),
    Ingestion(Ingestion),
    Payment(Payment),
}

impl Task {
    /// Goes one step on; whether there is another one.
    pub(super) fn step(&mut self, world: &mut World) -> bool {
        match self {
            Self::Billing(billing) => billing.step(world),
            Self::Ingestion(ingestion) => ingestion.step(world),
            Self::Payment(payment) => payment.step(world),
        }
    }
}

/// What a subscription is billed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Boundary,
    Change(&'static str),
    Cancel,
}

/// Billing: load, mark what closes, measure, decide and commit.
pub(super) struct Billing {
    subscription: usize,
    deed: Deed,
    loaded: Option<Box<Loaded>>,
    is_marked: bool,
    measured: Option<Measured>,
}

/// As it was when it was loaded.
struct Loaded {
    revision: u64,
    customer_revision: u64,
    balance_minor: i64,
    state: Subscription,
    closed: Vec<(ClosedWindow, String, u64)>,
    /// Boundaries come before anything else.
    deed: Deed,
    now: Timestamp,
}

/// Usage, with the counts of the marks from before it was measured.
struct Measured {
    windows: Vec<(UsageWindow, i64, u64)>,
    late: Vec<(usize, i64, u64)>,
}

impl Billing {
    pub(super) fn new(subscription: usize, deed: Deed) -> Self {
        Self { subscription, deed, loaded: None, is_marked: false, measured: None }
    }

    fn step(&mut self, world: &mut World) -> bool {
        let measures_first = world.flaw == Flaw::MeasuresFirst;
        match &self.loaded {
            None => self.load(world),
            Some(_) if !self.is_marked && (!measures_first || self.measured.is_some()) => self.mark(world),
            Some(_) if self.measured.is_none() => self.measure(world),
            Some(_) => self.commit(world),
        }
    }

    fn load(&mut self, world: &World) -> bool {
        let books = &world.books;
        let held = &books.subscriptions[self.subscription];
        let is_due = held.state.due_at().is_some_and(|due| due <= books.now);
        let is_over = held.state.next_boundary().is_none();
        if is_over || (self.deed == Deed::Boundary && !is_due) {
            return false;
        }
        self.loaded = Some(Box::new(Loaded {
            revision: held.revision,
            customer_revision: books.customer_revision,
            balance_minor: books.balance_minor,
            state: held.state.clone(),
            closed: held.closed.clone(),
            deed: if is_due { Deed::Boundary } else { self.deed },
            now: books.now,
        }));
        true
    }

    fn windows(&self, world: &World) -> Vec<UsageWindow> {
        let Some(loaded) = &self.loaded else { return Vec::new() };
        loaded.ask(world, |billable, occasion| usage_windows(billable, occasion).unwrap())
    }

    /// Marks the windows as closed, before their usage is measured.
    fn mark(&mut self, world: &mut World) -> bool {
        for window in self.windows(world) {
            world.books.marks.entry(self.key(&window)).or_default();
        }
        self.is_marked = true;
        true
    }

    fn key(&self, window: &UsageWindow) -> (usize, Timestamp, Timestamp) {
        (self.subscription, window.window.from, window.window.to)
    }

    fn measure(&mut self, world: &World) -> bool {
        let books = &world.books;
        let count = |window: &UsageWindow| books.marks.get(&self.key(window)).copied().unwrap_or_default();
        let units = |window: &UsageWindow| books.units(self.subscription, window);
        let windows = self.windows(world).into_iter().map(|window| {
            let (units, count) = (units(&window), count(&window));
            (window, units, count)
        });
        let closed = self.loaded.iter().flat_map(|loaded| &loaded.closed).enumerate();
        let late = closed.filter(|(_, (closed, _, billed_to))| count(&closed.window) > *billed_to);
        let late = late.map(|(place, (closed, _, _))| (place, units(&closed.window), count(&closed.window)));
        self.measured = Some(Measured { late: late.collect(), windows: windows.collect() });
        true
    }

    /// Decides, and commits unless somebody else has been there since; then it is all done again.
    fn commit(&mut self, world: &mut World) -> bool {
        let (Some(loaded), Some(measured)) = (self.loaded.take(), self.measured.take()) else { return false };
        self.is_marked = false;
        let books = &world.books;
        let is_same = books.subscriptions[self.subscription].revision == loaded.revision
            && books.customer_revision == loaded.customer_revision;
        if !is_same && world.flaw != Flaw::ComparesNoRevision {
            return true;
        }
        let (bill, closed) = loaded.decide(world, &measured);
        let deed = loaded.deed;
        self.write(world, &loaded, (bill, closed));
        deed != self.deed
    }

    fn write(&self, world: &mut World, loaded: &Loaded, (bill, closed): (Bill, Vec<(ClosedWindow, String, u64)>)) {
        let books = &mut world.books;
        let held = &mut books.subscriptions[self.subscription];
        let is_draft = held.state.is_billed_as_drafts();
        (held.revision, held.state, held.closed) = (loaded.revision + 1, bill.subscription, closed);
        let Some(content) = bill.invoice else { return };
        let mut balance_minor = loaded.balance_minor;
        let content =
            if is_draft { content } else { apply_credits(content, &mut [], &mut balance_minor, loaded.now).unwrap() };
        (books.customer_revision, books.balance_minor) = (loaded.customer_revision + 1, balance_minor);
        let what = loaded.state.next_boundary().filter(|_| loaded.deed == Deed::Boundary);
        let what = what.map_or_else(|| format!("r{}", loaded.revision), |boundary| boundary.to_string());
        let status = match content.amount_due_minor {
            _ if is_draft => InvoiceStatus::Draft,
            0 => InvoiceStatus::Paid,
            _ => InvoiceStatus::Open,
        };
        let issued = books.invoices.iter().filter(|one| one.status != InvoiceStatus::Draft).count() as u64;
        let invoice = Invoice {
            id: format!("{}-{what}", self.subscription),
            number: if is_draft { 0 } else { issued + 1 },
            subscription: self.subscription,
            due: (status == InvoiceStatus::Open).then_some(loaded.now),
            status,
            content,
            open_attempt: None,
            attempts: 0,
            first_failed_at: None,
        };
        books.invoices.push(invoice);
        let place = books.invoices.len() - 1;
        world.queue.extend([Job::Collect(place), Job::Bill(self.subscription)]);
    }
}

impl Loaded {
    fn ask<T>(&self, world: &World, asked: impl FnOnce(&Billable<'_>, &Occasion<'_>) -> T) -> T {
        let books = &world.books;
        let (quantities, taxes) = (BTreeMap::new(), Taxes::default());
        let plan = &books.plans[self.state.plan()];
        let billable = Billable { plan, subscription: &self.state, zone: &books.zone, taxes: &taxes };
        let (at, proration) = (self.now, ProrationBehavior::Day);
        let occasion = match self.deed {
            Deed::Boundary => Occasion::Boundary { next_plan: None },
            Deed::Change(to) => Occasion::Change { at, to: (to, &books.plans[to]), quantities: &quantities, proration },
            Deed::Cancel => Occasion::Cancel { at, proration },
        };
        asked(&billable, &occasion)
    }

    /// The bill, and the windows that have been billed with it.
    fn decide(&self, world: &World, measured: &Measured) -> (Bill, Vec<(ClosedWindow, String, u64)>) {
        let plans = &world.books.plans;
        let used = |units: i64| vec![Used::quantity(units.into())];
        let late: Vec<Vec<Used>> = measured.late.iter().map(|(_, units, _)| used(*units)).collect();
        let reopened = measured.late.iter().zip(&late).map(|((place, _, _), used)| {
            let (closed, plan, _) = &self.closed[*place];
            Reopened { closed, plan: &plans[plan.as_str()], used }
        });
        let reopened: Vec<Reopened<'_>> = reopened.collect();
        let usage = measured.windows.iter().map(|(window, units, _)| (window.price.clone(), used(*units)));
        let usage = usage.collect();
        self.ask(world, |billable, occasion| {
            let adjusted = adjust(billable, &reopened, Vec::new()).unwrap();
            let bill = bill(billable, occasion, &Metered { usage, late: adjusted.late }).unwrap();
            let mut closed = self.closed.clone();
            for ((place, _, count), window) in measured.late.iter().zip(adjusted.windows) {
                (closed[*place].0, closed[*place].2) = (window, *count);
            }
            for window in &bill.closed.windows {
                let count =
                    measured.windows.iter().find(|(one, _, _)| *one == window.window).map_or(0, |(_, _, count)| *count);
                closed.push((window.clone(), self.state.plan().to_owned(), count));
            }
            (bill, closed)
        })
    }
}

/// Ingestion: insert, then look at the marks.
pub(super) struct Ingestion {
    event: Event,
    place: Option<usize>,
}

impl Ingestion {
    pub(super) fn new(subscription: usize, at: Timestamp, units: i64) -> Self {
        Self { event: Event { subscription, at, units, is_checked: false }, place: None }
    }

    /// Goes on with one that was inserted by somebody who was killed.
    pub(super) fn checking(place: usize) -> Self {
        Self { place: Some(place), ..Self::new(0, Timestamp::MIN, 0) }
    }

    fn step(&mut self, world: &mut World) -> bool {
        let books = &mut world.books;
        let Some(place) = self.place else {
            let held = &books.subscriptions[self.event.subscription];
            if held.state.next_boundary().is_none() || self.event.at < held.state.start_at() {
                return false;
            }
            books.events.push(self.event.clone());
            self.place = Some(books.events.len() - 1);
            return true;
        };
        let Event { subscription, at, .. } = books.events[place];
        let is_in = |(of, from, to): &(usize, Timestamp, Timestamp)| *of == subscription && (*from..*to).contains(&at);
        for (_, count) in books.marks.iter_mut().filter(|(key, _)| is_in(key)) {
            *count += 1;
        }
        books.events[place].is_checked = true;
        false
    }
}

/// A payment: the attempt is stored, the gateway called, the outcome settled.
pub(super) struct Payment {
    invoice: usize,
    attempt: Option<usize>,
    is_paid: Option<bool>,
}

impl Payment {
    pub(super) fn new(invoice: usize) -> Self {
        Self { invoice, attempt: None, is_paid: None }
    }

    /// What a webhook has to say.
    pub(super) fn settling(attempt: usize, is_paid: bool) -> Self {
        Self { attempt: Some(attempt), is_paid: Some(is_paid), ..Self::new(0) }
    }

    fn step(&mut self, world: &mut World) -> bool {
        match (self.attempt, self.is_paid) {
            (None, _) => self.open(world),
            (Some(attempt), None) => self.call(world, attempt),
            (Some(attempt), Some(is_paid)) => settle(world, attempt, is_paid),
        }
    }

    /// Stores an attempt, or goes on with the one whose outcome is not known.
    fn open(&mut self, world: &mut World) -> bool {
        let books = &mut world.books;
        let place = books.attempts.len();
        let invoice = &mut books.invoices[self.invoice];
        if invoice.status != InvoiceStatus::Open || invoice.due.is_none_or(|due| due > books.now) {
            return false;
        }
        self.attempt = invoice.open_attempt;
        if self.attempt.is_none() {
            (invoice.open_attempt, invoice.attempts) = (Some(place), invoice.attempts + 1);
            let amount_minor = invoice.content.amount_due_minor;
            books.attempts.push(Attempt { invoice: self.invoice, amount_minor, is_paid: None });
            self.attempt = Some(place);
        }
        true
    }

    fn call(&mut self, world: &mut World, attempt: usize) -> bool {
        let Attempt { invoice, amount_minor, .. } = world.books.attempts[attempt];
        let requests = world.gateway.ledger.len();
        let key = if world.flaw == Flaw::NewKeys { format!("{attempt}-{}", requests) } else { attempt.to_string() };
        self.is_paid = world.gateway.charge(key, (attempt, invoice), amount_minor, &mut world.dice);
        // Without an answer the attempt stays open, and is asked for again.
        self.is_paid.is_some()
    }
}

/// The one road of every outcome, which leads forward only.
fn settle(world: &mut World, attempt: usize, is_paid: bool) -> bool {
    let books = &mut world.books;
    let now = books.now;
    if books.attempts[attempt].is_paid.is_some() && world.flaw != Flaw::SettlesTwice {
        return false;
    }
    books.attempts[attempt].is_paid = Some(is_paid);
    let invoice = &mut books.invoices[books.attempts[attempt].invoice];
    let subscription = invoice.subscription;
    invoice.open_attempt = None;
    let mut outcome = None;
    if is_paid {
        (invoice.status, invoice.due) = (invoice.status.transition_to(InvoiceStatus::Paid).unwrap(), None);
    } else {
        let first_failed_at = *invoice.first_failed_at.get_or_insert(now);
        let decline = Decline { code: "card_declined".to_owned(), ..Decline::default() };
        match books.policy.after(&PaymentFailure { first_failed_at, at: now, decline }) {
            DunningStep::RetryAt(at) => invoice.due = Some(at),
            DunningStep::AwaitPaymentMethod { until } => invoice.due = Some(until),
            DunningStep::End(end) => (invoice.due, outcome) = (None, Some(end)),
        }
    }
    let has_failed = books.has_failed(subscription);
    let held = &mut books.subscriptions[subscription];
    held.revision += 1;
    let today = held.state.date_of(now);
    match outcome {
        Some(DunningOutcome::Unpaid) => held.state.left_unpaid(today).unwrap(),
        _ if has_failed => held.state.payment_failed(today).unwrap(),
        _ => held.state.payments_recovered(today).unwrap(),
    }
    false
}
