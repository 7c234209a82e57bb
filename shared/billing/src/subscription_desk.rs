//! Bills one subscription outside of a run: what is due of it first, then for what is done with it now.
//!
//! **Invariant:** a boundary that is due is billed before anything else happens to the subscription, so that every invoice
//! finds the subscription as it was at its time. **Invariant:** all that comes of an action is one unit of work, in which the
//! subscription is compared on its revision: a run that bills it at the same moment comes before or after, never in between.

use domain::{Occasion, SubscriptionStatus};
use queue::NewJob;
use serde_json::{Value, json};
use store::{LateUsage, Message, Notification, Recipient, Store, SubscriptionRecord, UnitOfWork, WalletRecord};

use crate::{
    Actor, BillingError, Change, EventType, TenantTime,
    actor::Fact,
    adjust_usage::Books,
    bill_occasion::{Matter, Party, bill_occasion},
    close_usage::Mode,
    issue_invoice,
    jobs::SendNotification,
    loaded_subscription::LoadedSubscription,
    purse::load_wallets,
};

/// Boundaries that one action may have to bill first: more are left to the billing run.
const MAX_OVERDUE: usize = 24;

/// A subscription at hand, and what has come of it so far.
pub(crate) struct SubscriptionDesk<'a> {
    store: &'a Store,
    actor: &'a Actor,
    time: &'a TenantTime,
    pub loaded: LoadedSubscription,
    /// What the auditors are told of how it was.
    before: Value,
    wallets: Vec<WalletRecord>,
    unit: UnitOfWork,
    follow_up: Vec<NewJob>,
    /// Whether what came late is in the unit.
    adjusted: bool,
}

impl<'a> SubscriptionDesk<'a> {
    /// Loads a subscription and bills what is due of it.
    ///
    /// # Errors
    /// `NotFound` for an unknown subscription; `State` when more is overdue than an action bills; store errors.
    pub(crate) async fn open(
        store: &'a Store,
        actor: &'a Actor,
        time: &'a TenantTime,
        id: &str,
    ) -> Result<Self, BillingError> {
        let loaded = LoadedSubscription::load(store, &actor.tenant, id).await?;
        let wallets = load_wallets(store, &loaded.customer, time).await?;
        let (unit, follow_up) = (UnitOfWork::default(), Vec::new());
        let before = particulars(&loaded.record);
        let mut desk = Self { store, actor, time, loaded, before, wallets, unit, follow_up, adjusted: false };
        desk.catch_up().await?;
        Ok(desk)
    }

    /// Bills the boundaries that are due, oldest first.
    async fn catch_up(&mut self) -> Result<(), BillingError> {
        let mut billed = 0;
        while self.is_overdue() {
            if billed == MAX_OVERDUE {
                let detail = "too many periods are not billed yet; let a billing run come first";
                return Err(BillingError::state("billing_overdue", detail));
            }
            let next_plan = self.loaded.next_plan.clone();
            self.bill(&Occasion::Boundary { next_plan: next_plan.as_ref().map(|version| &version.plan) }).await?;
            self.loaded.follow(next_plan);
            billed += 1;
        }
        Ok(())
    }

    fn is_overdue(&self) -> bool {
        let due = self.loaded.record.subscription.due_at();
        due.is_some_and(|due| due <= self.time.now)
    }

    /// Passes unless the subscription is over.
    ///
    /// # Errors
    /// `State`.
    pub(crate) fn must_live(&self) -> Result<(), BillingError> {
        if self.loaded.record.subscription.status() == SubscriptionStatus::Cancelled {
            return Err(BillingError::state("invalid_state", "the subscription is over"));
        }
        Ok(())
    }

    /// Passes if the subscription has started, and its first boundary been billed.
    ///
    /// # Errors
    /// `State`.
    pub(crate) fn must_have_started(&self) -> Result<(), BillingError> {
        if self.loaded.record.subscription.start_at() > self.time.now {
            return Err(BillingError::state("not_started", "the subscription has not started yet"));
        }
        Ok(())
    }

    /// Bills an occasion: measures what it takes, issues the invoice if there is one, and moves the subscription on.
    ///
    /// # Errors
    /// `State`, `Rule` or `Spec` when the occasion does not fit the subscription; store errors.
    pub(crate) async fn bill(&mut self, occasion: &Occasion<'_>) -> Result<(), BillingError> {
        let mut counted = self.loaded.count(self.store, occasion, Mode::Close).await?;
        // What came late is billed by the first invoice of a unit: it is not written yet that it was. A resumption bills no
        // usage.
        if self.adjusted || matches!(occasion, Occasion::Resume { .. }) {
            counted.late = LateUsage::default();
        } else {
            self.adjusted = true;
        }
        let books = Books::load(self.store, &self.actor.tenant, [&counted.late].into_iter()).await?;
        let LoadedSubscription { record, plan, customer, .. } = &mut self.loaded;
        let party = Party { record, plan, customer, wallets: &mut self.wallets };
        let matter = Matter { occasion, counted: &counted, books: &books, chunk: None };
        let invoice = bill_occasion(&mut self.unit, (self.actor, self.time), party, &matter)?;
        if let Some(invoice) = &invoice {
            self.follow_up.extend(issue_invoice::follow_up(invoice)?);
        }
        Ok(())
    }

    /// Has the customer told of it.
    ///
    /// # Errors
    /// Store errors when it cannot be encoded.
    pub(crate) fn tell(&mut self, message: Message) -> Result<(), BillingError> {
        let record = &self.loaded.record;
        let cause = format!("{}_{}", record.id, record.revision);
        let to = Recipient::Customer(record.customer.clone());
        let mail = Notification::new((&record.tenant, &cause), to, message, self.time.wall);
        self.unit.insert(&mail)?;
        let job = SendNotification::Notification { tenant: mail.tenant, notification: mail.id };
        self.follow_up.push(NewJob::of(&job)?);
        Ok(())
    }

    /// Ends what was done: everything in one change, with its audit entry and event.
    ///
    /// # Errors
    /// Store errors when the documents cannot be encoded.
    pub(crate) fn close(mut self, name: EventType, data: Value) -> Result<Change<SubscriptionRecord>, BillingError> {
        let mut record = self.loaded.record;
        record.note_meters(&self.loaded.plan.plan);
        record.due = self.time.due(record.subscription.due_at());
        self.unit.replace(&mut record)?;
        let fact = Fact { name, subject: &record.id, revision: record.revision, data };
        self.actor.record_change(&mut self.unit, self.time.wall, (self.before, fact))?;
        Ok(Change { result: record, unit: self.unit, follow_up: self.follow_up })
    }
}

fn particulars(record: &SubscriptionRecord) -> Value {
    let subscription = &record.subscription;
    json!({
        "status": subscription.status(), "plan": subscription.plan(), "quantities": subscription.quantities(),
        "end_at": subscription.end_at(),
    })
}
