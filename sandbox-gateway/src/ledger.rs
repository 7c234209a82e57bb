//! The books: everything the gateway keeps, and the sums that a client's books are compared with. Memory only; what makes
//! them durable is `journal`.
//!
//! **Invariant:** the totals are what the rows say: replacing an intent or a refund takes its old part out first.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::objects::{
    Customer, Dispute, Event, IntentStatus, Object, PaymentIntent, PaymentMethod, Refund, RefundStatus,
};
use crate::table::{Page, Table};

/// The sums of the books.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    /// Payment intents of any status.
    pub(crate) charges: u64,
    pub(crate) succeeded: u64,
    pub(crate) declined: u64,
    /// What succeeded, by currency, in minor units.
    pub(crate) amount_minor: BTreeMap<String, i64>,
    /// What went back of it.
    pub(crate) refunded_minor: BTreeMap<String, i64>,
    pub(crate) customers: u64,
}

/// All rows, the ways to find them, and how tokens behave that were told to behave otherwise.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) intents: Table<PaymentIntent>,
    pub(crate) customers: Table<Customer>,
    pub(crate) methods: Table<PaymentMethod>,
    pub(crate) refunds: Table<Refund>,
    pub(crate) disputes: Table<Dispute>,
    pub(crate) events: Table<Event>,
    /// Tokens and methods that behave as another token for now.
    pub(crate) disguises: HashMap<String, String>,
    /// Places of the successful intents, in the order of their success.
    succeeded: Vec<usize>,
    totals: Totals,
}

impl Ledger {
    /// Enters what was made or changed.
    pub(crate) fn put(&mut self, object: Object) {
        match object {
            Object::Customer(customer) => {
                self.customers.put(customer);
                self.totals.customers = self.customers.len() as u64;
            }
            Object::PaymentMethod(method) => drop(self.methods.put(method)),
            Object::PaymentIntent(intent) => self.put_intent(*intent),
            Object::Refund(refund) => self.put_refund(refund),
            Object::Dispute(dispute) => drop(self.disputes.put(dispute)),
        }
    }

    fn put_intent(&mut self, intent: PaymentIntent) {
        let (status, currency, received) = (intent.status, intent.currency.clone(), intent.amount_received);
        let (place, before) = self.intents.put(intent);
        let was = before.map(|intent| intent.status);
        match was {
            None => self.totals.charges += 1,
            Some(IntentStatus::RequiresPaymentMethod) => self.totals.declined -= 1,
            Some(_) => {}
        }
        if status == IntentStatus::RequiresPaymentMethod {
            self.totals.declined += 1;
        }
        // Success is final.
        if status == IntentStatus::Succeeded && was != Some(IntentStatus::Succeeded) {
            self.totals.succeeded += 1;
            // An amount has eight digits at most: this cannot overflow in 10^11 charges.
            *self.totals.amount_minor.entry(currency).or_default() += received;
            self.succeeded.push(place);
        }
    }

    fn put_refund(&mut self, refund: Refund) {
        let counted = |refund: &Refund| if refund.status == RefundStatus::Failed { 0 } else { refund.amount };
        let (currency, now) = (refund.currency.clone(), counted(&refund));
        let (_, before) = self.refunds.put(refund);
        let sum = self.totals.refunded_minor.entry(currency).or_default();
        *sum += now - before.as_ref().map_or(0, counted);
    }

    /// When the newest row was made, in seconds since the epoch.
    pub(crate) fn latest(&self) -> Option<i64> {
        self.intents.latest().max(self.customers.latest()).max(self.refunds.latest()).max(self.events.latest())
    }

    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// What went back of an intent, or is about to.
    pub(crate) fn refunded(&self, intent: &str) -> i64 {
        let counted = self.refunds.of(intent).filter(|refund| refund.status != RefundStatus::Failed);
        counted.map(|refund| refund.amount).sum()
    }

    /// The token by which a payment method, or a token itself, behaves.
    pub(crate) fn token_of<'a>(&'a self, method: &'a str) -> &'a str {
        let token = self.methods.get(method).map_or(method, |method| &method.sandbox_token);
        let disguise = self.disguises.get(method).or_else(|| self.disguises.get(token));
        disguise.map_or(token, String::as_str)
    }

    /// Lists successful charges oldest first, so that a reader meets each exactly once while new
    /// ones are being made. `Err` carries a `starting_after` that does not exist.
    pub(crate) fn succeeded(&self, after: Option<&str>, limit: usize) -> Result<Page<PaymentIntent>, String> {
        let from = match after {
            None => 0,
            Some(id) => {
                let place = self.intents.place(id).ok_or_else(|| id.to_owned())?;
                self.succeeded.iter().position(|&at| at == place).map_or(self.succeeded.len(), |at| at + 1)
            }
        };
        let found = self.succeeded[from..].iter().copied().take(limit + 1).collect();
        Ok(self.intents.page(found, limit))
    }
}
