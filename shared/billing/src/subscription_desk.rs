//! Bills one subscription outside of a run: what is due of it first, then for what is done with it now.
//!
//! **Invariant:** a boundary that is due is billed before anything else happens to the subscription, so that every invoice
//! finds the subscription as it was at its time. **Invariant:** all that comes of an action is one unit of work, in which the
//! subscription is compared on its revision: a run that bills it at the same moment comes before or after, never in between.

use domain::{Billable, Metered, Occasion};
use store::{Customer, PlanVersion, Store, SubscriptionRecord, UnitOfWork, WalletRecord};

use crate::{
    Actor, BillingError, Change, TenantTime,
    actor::Fact,
    issue_invoice::{self, Issue, Source},
    measure_usage::{Wanted, measure_usage},
    purse::load_wallets,
};
use queue::NewJob;
use serde_json::Value;

/// Boundaries that one action may have to bill first: more are left to the billing run.
const MAX_OVERDUE: usize = 24;

/// A subscription with all that it is billed from, and what has come of it so far.
pub(crate) struct SubscriptionDesk<'a> {
    store: &'a Store,
    actor: &'a Actor,
    time: &'a TenantTime,
    pub record: SubscriptionRecord,
    pub customer: Customer,
    wallets: Vec<WalletRecord>,
    pub plan: PlanVersion,
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
        let tenant = actor.tenant.as_str();
        let missing = || BillingError::not_found("subscription", id);
        let record: SubscriptionRecord = store.find(tenant, id).await?.ok_or_else(missing)?;
        let customer: Customer = store.find(tenant, &record.customer).await?.ok_or_else(missing)?;
        let plan: PlanVersion = store.find(tenant, record.subscription.plan()).await?.ok_or_else(missing)?;
        let wallets = load_wallets(store, &customer, time).await?;
        let (unit, follow_up) = (UnitOfWork::default(), Vec::new());
        let mut desk = Self { store, actor, time, record, customer, wallets, plan, unit, follow_up };
        desk.catch_up().await?;
        Ok(desk)
    }

    /// Bills the boundaries that are due, oldest first.
    async fn catch_up(&mut self) -> Result<(), BillingError> {
        for _ in 0..MAX_OVERDUE {
            if self.record.subscription.due_at(&self.customer.timezone).is_none_or(|due| due > self.time.now) {
                return Ok(());
            }
            let next_plan = match self.record.subscription.scheduled_plan() {
                Some(id) => self.store.find::<PlanVersion>(&self.actor.tenant, id).await?,
                None => None,
            };
            self.bill(&Occasion::Boundary { next_plan: next_plan.as_ref().map(|version| &version.plan) }).await?;
            if let Some(version) = next_plan.filter(|version| version.id == self.record.subscription.plan()) {
                self.record.meters = version.plan.meters().map(ToOwned::to_owned).collect();
                self.plan = version;
            }
        }
        let detail = "too many periods are not billed yet; let a billing run come first";
        Err(BillingError::State { code: "billing_overdue", detail: detail.to_owned() })
    }

    /// Bills an occasion: measures what it takes, issues the invoice if there is one, and moves the subscription on.
    ///
    /// # Errors
    /// `State` or `Rule` when the occasion does not fit the subscription; store errors.
    pub(crate) async fn bill(&mut self, occasion: &Occasion<'_>) -> Result<(), BillingError> {
        let taxes = self.customer.taxes();
        let billable = Billable {
            plan: &self.plan.plan,
            subscription: &self.record.subscription,
            zone: &self.customer.timezone,
            taxes: &taxes,
        };
        let metered = self.measure(&billable, occasion).await?;
        let boundary = self.record.subscription.next_boundary();
        let bill = domain::bill(&billable, occasion, &metered).map_err(refusal)?;
        self.record.subscription = bill.subscription;
        let Some(content) = bill.invoice else { return Ok(()) };
        // Only a boundary is billed once a day; whatever else happens is told apart by the revision.
        let at_boundary = matches!(occasion, Occasion::Boundary { .. });
        let day = self.customer.timezone.date_of(content.issued_at);
        let issue = Issue {
            customer: &mut self.customer,
            wallets: &mut self.wallets,
            source: Source::Subscription(&self.record.id),
            boundary: boundary.filter(|_| at_boundary).unwrap_or(day),
            revision: (!at_boundary).then_some(self.record.revision),
            content,
            chunk: None,
        };
        let invoice = issue_invoice::issue_invoice(&mut self.unit, self.actor, self.time, issue)?;
        self.follow_up.extend(issue_invoice::follow_up(&invoice)?);
        Ok(())
    }

    async fn measure(&self, billable: &Billable<'_>, occasion: &Occasion<'_>) -> Result<Metered, BillingError> {
        let windows = domain::usage_windows(billable, occasion).map_err(refusal)?;
        let wanted = Wanted { customer: &self.customer.id, plan: billable.plan, windows };
        let outcome = measure_usage(self.store, &self.actor.tenant, &[wanted]).await?.pop();
        let usage = outcome.transpose().map_err(|detail| BillingError::rule("usage_not_measured", "", detail))?;
        Ok(Metered { usage: usage.unwrap_or_default(), adjustments: Vec::new() })
    }

    /// Ends what was done: everything in one change, with its audit entry and event.
    ///
    /// # Errors
    /// Store errors when the documents cannot be encoded.
    pub(crate) fn close(mut self, name: &'static str, data: Value) -> Result<Change<SubscriptionRecord>, BillingError> {
        self.record.due = self.time.due(self.record.subscription.due_at(&self.customer.timezone));
        self.unit.replace(&mut self.record)?;
        let fact = Fact { name, subject: &self.record.id, revision: self.record.revision, data };
        self.actor.record(&mut self.unit, self.time.wall, fact)?;
        Ok(Change { result: self.record, unit: self.unit, follow_up: self.follow_up })
    }
}

/// A refusal of the billing core in this crate's words.
pub(crate) fn refusal(error: domain::BillingError) -> BillingError {
    let detail = error.to_string();
    match error {
        domain::BillingError::State(_) | domain::BillingError::Over => BillingError::State { code: "invalid_state", detail },
        _ => BillingError::rule("not_billable", "", detail),
    }
}
