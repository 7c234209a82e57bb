//! What mails are made from, loaded in bulk.

use std::collections::BTreeMap;

use gateways::mail::MailError;
use store::{
    Customer, Invoice, Message, Notification, PaymentAttempt, Recipient, Record, Store, SubscriptionRecord, Tenant,
    User,
};

use super::writer::Reader;
use crate::BillingError;

/// The documents behind some notifications of one tenant.
pub(crate) struct Sources {
    pub(super) tenant: Tenant,
    pub(super) customers: BTreeMap<String, Customer>,
    pub(super) users: BTreeMap<String, User>,
    pub(super) invoices: BTreeMap<String, Invoice>,
    pub(super) attempts: BTreeMap<String, PaymentAttempt>,
    pub(super) subscriptions: BTreeMap<String, SubscriptionRecord>,
}

impl Sources {
    /// Loads what the notifications speak of. What does not exist is missed only by the mail that needs it.
    ///
    /// # Errors
    /// `NotFound` for an unknown tenant; store errors.
    pub(crate) async fn load(
        store: &Store,
        tenant: &str,
        notifications: &[Notification],
    ) -> Result<Self, BillingError> {
        let ids = |id: fn(&Notification) -> Option<&str>| -> Vec<String> {
            notifications.iter().filter_map(id).map(ToOwned::to_owned).collect()
        };
        Ok(Self {
            tenant: store.find(tenant, tenant).await?.ok_or_else(|| BillingError::not_found("tenant", tenant))?,
            customers: load_all(store, tenant, ids(|one| one.recipient.customer())).await?,
            users: load_all(store, tenant, ids(|one| one.recipient.user())).await?,
            invoices: load_all(store, tenant, ids(|one| one.message.invoice())).await?,
            attempts: load_all(store, tenant, ids(|one| one.message.attempt())).await?,
            subscriptions: load_all(store, tenant, ids(|one| one.message.trial())).await?,
        })
    }

    /// Whether what a message says is no longer so: a trial that ends has ended otherwise, or is followed by nothing.
    pub(crate) fn is_moot(&self, notification: &Notification) -> bool {
        let Message::TrialEnding { subscription, ends_on, .. } = &notification.message else { return false };
        self.subscriptions.get(subscription).is_none_or(|record| {
            record.subscription.trial_end() != Some(*ends_on) || record.subscription.end_at().is_some()
        })
    }

    pub(super) fn reader(&self, recipient: &Recipient) -> Result<Reader, MailError> {
        Ok(match recipient {
            Recipient::Customer(id) => Reader::customer(self.customers.get(id).ok_or_else(|| missing("customer", id))?),
            Recipient::User(id) => Reader::user(self.users.get(id).ok_or_else(|| missing("user", id))?),
        })
    }

    pub(super) fn invoice(&self, id: &str) -> Result<&Invoice, MailError> {
        self.invoices.get(id).ok_or_else(|| missing("invoice", id))
    }

    pub(super) fn attempt(&self, id: &str) -> Result<&PaymentAttempt, MailError> {
        self.attempts.get(id).ok_or_else(|| missing("payment attempt", id))
    }
}

async fn load_all<R: Record>(
    store: &Store,
    tenant: &str,
    ids: Vec<String>,
) -> Result<BTreeMap<String, R>, BillingError> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found: Vec<R> = store.find_all(tenant, &ids).await?;
    Ok(found.into_iter().map(|record| (record.id().to_owned(), record)).collect())
}

fn missing(object: &str, id: &str) -> MailError {
    MailError::Permanent { detail: format!("there is no {object} {id}") }
}
