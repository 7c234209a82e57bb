//! Bills one subscription outside of a run: what is due of it first, then for what is done with it now.
//!
//! **Invariant:** a boundary that is due is billed before anything else happens to the subscription, so that every invoice
//! finds the subscription as it was at its time. **Invariant:** all that comes of an action is one unit of work, in which the
//! subscription is compared on its revision: a run that bills it at the same moment comes before or after, never in between.

use domain::{Occasion, SubscriptionStatus};
use queue::NewJob;
use serde_json::{Value, json};
use store::{Message, Notification, Recipient, Store, SubscriptionRecord, UnitOfWork, WalletRecord};

use crate::{
    Actor, BillingError, Change, EventType, TenantTime,
    actor::Fact,
    issue_invoice::{self, Issue, Source},
    jobs::SendNotification,
    loaded_subscription::{LoadedSubscription, refusal},
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
        let mut desk = Self { store, actor, time, loaded, before, wallets, unit, follow_up };
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

    /// Writes the customer as well, so that of two actions at once that look at the customer's subscriptions one sees the
    /// other.
    ///
    /// # Errors
    /// Store errors when it cannot be encoded.
    pub(crate) fn hold_customer(&mut self) -> Result<(), BillingError> {
        Ok(self.unit.replace(&mut self.loaded.customer)?)
    }

    /// Bills an occasion: measures what it takes, issues the invoice if there is one, and moves the subscription on.
    ///
    /// # Errors
    /// `State`, `Rule` or `Spec` when the occasion does not fit the subscription; store errors.
    pub(crate) async fn bill(&mut self, occasion: &Occasion<'_>) -> Result<(), BillingError> {
        let metered = self.loaded.measure(self.store, occasion).await?;
        let boundary = self.loaded.record.subscription.next_boundary();
        let bill = domain::bill(&self.loaded.billable(), occasion, &metered).map_err(refusal)?;
        self.loaded.record.subscription = bill.subscription;
        let Some(content) = bill.invoice else { return Ok(()) };
        // Only a boundary is billed once a day; whatever else happens is told apart by the revision.
        let at_boundary = matches!(occasion, Occasion::Boundary { .. });
        let day = self.loaded.record.subscription.date_of(content.issued_at);
        let issue = Issue {
            customer: &mut self.loaded.customer,
            wallets: &mut self.wallets,
            source: Source::Subscription(&self.loaded.record.id),
            boundary: boundary.filter(|_| at_boundary).unwrap_or(day),
            revision: (!at_boundary).then_some(self.loaded.record.revision),
            content,
            chunk: None,
            is_held: self.loaded.record.subscription.is_billed_as_drafts(),
        };
        let invoice = issue_invoice::issue_invoice(&mut self.unit, self.actor, self.time, issue)?;
        self.follow_up.extend(issue_invoice::follow_up(&invoice)?);
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
        self.loaded.note_meters();
        let mut record = self.loaded.record;
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
