//! How subscriptions stand by their payments: they fall into arrears with the first payment that fails, recover with the
//! last one that is owed, and forget what was billed by an invoice that is void.
//!
//! **Invariant:** whoever finds a subscription in arrears and changes what is owed writes it, also if it stays in arrears: of
//! two payments at once one sees the other, so that the last one recovers it.

use std::collections::BTreeMap;

use domain::ForbiddenTransition;
use queue::NewJob;
use serde_json::json;
use store::{Due, Invoice, Store, StoreError, SubscriptionRecord, UnitOfWork};

use crate::{Actor, BillingError, EventType, TenantTime, actor::Fact, jobs::CollectPayment};

/// Drafts that are released at once when a subscription recovers: years of them.
const MAX_HELD_DRAFTS: i64 = 100;

/// Subscriptions whose standing changes in one unit.
pub(crate) struct Standings<'a> {
    store: &'a Store,
    time: &'a TenantTime,
    touched: BTreeMap<String, Touched>,
    /// Drafts that somebody may finalise now.
    released: Vec<Invoice>,
}

struct Touched {
    record: SubscriptionRecord,
    happened: Option<EventType>,
}

impl<'a> Standings<'a> {
    pub(crate) fn new(store: &'a Store, time: &'a TenantTime) -> Self {
        Self { store, time, touched: BTreeMap::new(), released: Vec::new() }
    }

    /// A payment of the invoice has failed.
    ///
    /// # Errors
    /// Store errors.
    pub(crate) async fn failed(&mut self, invoice: &Invoice) -> Result<(), BillingError> {
        let time = self.time;
        let Some(touched) = self.touch(invoice).await? else { return Ok(()) };
        let was_in_arrears = touched.record.subscription.is_in_arrears();
        let today = touched.record.subscription.date_of(time.now);
        touched.record.subscription.payment_failed(today).map_err(|error| damaged(&error))?;
        if !was_in_arrears {
            touched.happened = Some(EventType::SubscriptionPastDue);
        }
        Ok(())
    }

    /// The invoice was tried for the last time, and its subscription is to be unpaid.
    ///
    /// # Errors
    /// Store errors.
    pub(crate) async fn left_unpaid(&mut self, invoice: &Invoice) -> Result<(), BillingError> {
        let time = self.time;
        let Some(touched) = self.touch(invoice).await? else { return Ok(()) };
        let today = touched.record.subscription.date_of(time.now);
        touched.record.subscription.left_unpaid(today).map_err(|error| damaged(&error))?;
        touched.happened = Some(EventType::SubscriptionUnpaid);
        Ok(())
    }

    /// The invoice is owed no more; `had_failed` says whether a payment of it had failed.
    ///
    /// # Errors
    /// Store errors.
    pub(crate) async fn recovered(&mut self, invoice: &Invoice, had_failed: bool) -> Result<(), BillingError> {
        if !had_failed {
            return Ok(());
        }
        let (store, time) = (self.store, self.time);
        let Some(touched) = self.touch(invoice).await? else { return Ok(()) };
        let key = (invoice.tenant.as_str(), touched.record.id.as_str());
        if !touched.record.subscription.is_in_arrears() || store.has_failed_invoices(key, &invoice.id).await? {
            return Ok(());
        }
        let drafts = store.held_drafts(key, MAX_HELD_DRAFTS).await?;
        let today = touched.record.subscription.date_of(time.now);
        touched.record.subscription.payments_recovered(today).map_err(|error| damaged(&error))?;
        touched.happened = Some(EventType::SubscriptionRecovered);
        self.released.extend(drafts);
        Ok(())
    }

    /// The invoice is void: what it billed in advance cannot be credited when it is not used.
    ///
    /// # Errors
    /// Store errors.
    pub(crate) async fn voided(&mut self, invoice: &Invoice) -> Result<(), BillingError> {
        if let Some(touched) = self.touch(invoice).await? {
            touched.record.subscription.forget_void(&invoice.content);
        }
        Ok(())
    }

    async fn touch(&mut self, invoice: &Invoice) -> Result<Option<&mut Touched>, BillingError> {
        let Some(id) = &invoice.subscription else { return Ok(None) };
        if !self.touched.contains_key(id) {
            let Some(record) = self.store.find::<SubscriptionRecord>(&invoice.tenant, id).await? else {
                return Ok(None);
            };
            self.touched.insert(id.clone(), Touched { record, happened: None });
        }
        Ok(self.touched.get_mut(id))
    }

    /// Writes what was touched, with its events; returns the work that follows.
    ///
    /// # Errors
    /// Store errors when the documents cannot be encoded.
    pub(crate) fn close(&mut self, unit: &mut UnitOfWork, actor: &Actor) -> Result<Vec<NewJob>, BillingError> {
        for Touched { mut record, happened } in std::mem::take(&mut self.touched).into_values() {
            unit.replace(&mut record)?;
            let Some(name) = happened else { continue };
            let data = json!({ "customer": record.customer, "status": record.subscription.status() });
            let fact = Fact { name, subject: &record.id, revision: record.revision, data };
            actor.announce(unit, self.time.wall, fact)?;
        }
        let mut follow_up = Vec::new();
        for mut draft in std::mem::take(&mut self.released) {
            draft.due = Due::at(self.time.wall);
            unit.replace(&mut draft)?;
            follow_up.push(NewJob::of(&CollectPayment::Invoice { tenant: draft.tenant, invoice: draft.id })?);
        }
        Ok(follow_up)
    }
}

fn damaged(error: &ForbiddenTransition) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
