//! The books: every payment intent ever created, in order, with the indexes the endpoints read by.
//! Memory only; what makes them durable is `journal`.
//!
//! **Invariant:** intents are only appended, in the order of `created`, and never changed: lists stop
//! looking at the first one that is too old.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

/// A charge, as Stripe shows it. Times are seconds since the epoch on the gateway's clock, amounts
/// are minor units of the lower-case currency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PaymentIntent {
    pub(crate) id: String,
    pub(crate) object: String,
    pub(crate) amount: i64,
    pub(crate) amount_received: i64,
    pub(crate) currency: String,
    pub(crate) customer: String,
    pub(crate) payment_method: Option<String>,
    pub(crate) status: IntentStatus,
    pub(crate) latest_charge: Option<String>,
    pub(crate) last_payment_error: Option<PaymentFailure>,
    pub(crate) description: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) created: i64,
    pub(crate) livemode: bool,
}

/// What became of it. A refused off-session charge waits for another payment method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IntentStatus {
    Succeeded,
    RequiresPaymentMethod,
}

/// Why the last try of an intent was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PaymentFailure {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) code: String,
    pub(crate) decline_code: String,
    pub(crate) message: String,
}

/// The sums a client's books are compared with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    /// Payment intents of any status.
    pub(crate) charges: u64,
    pub(crate) succeeded: u64,
    pub(crate) declined: u64,
    /// What succeeded, by currency, in minor units.
    pub(crate) amount_minor: BTreeMap<String, i64>,
    pub(crate) customers: u64,
}

/// All intents and the ways to find them.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    intents: Vec<PaymentIntent>,
    by_id: HashMap<String, usize>,
    by_customer: HashMap<String, Vec<usize>>,
    succeeded: Vec<usize>,
    totals: Totals,
}

/// One page of a list, and whether it goes on.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) data: Vec<PaymentIntent>,
    pub(crate) has_more: bool,
}

/// Which intents a list shows.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    pub(crate) customer: Option<String>,
    /// Earliest `created`, in seconds since the epoch.
    pub(crate) created_gte: Option<i64>,
    /// The id the page goes on after.
    pub(crate) starting_after: Option<String>,
    pub(crate) limit: usize,
}

impl Ledger {
    /// Enters a new intent.
    pub(crate) fn append(&mut self, intent: PaymentIntent) {
        let at = self.intents.len();
        self.totals.charges += 1;
        match intent.status {
            IntentStatus::Succeeded => {
                self.totals.succeeded += 1;
                // An amount has eight digits at most: this cannot overflow in 10^11 charges.
                let sum = self.totals.amount_minor.entry(intent.currency.clone());
                *sum.or_default() += intent.amount_received;
                self.succeeded.push(at);
            }
            IntentStatus::RequiresPaymentMethod => self.totals.declined += 1,
        }
        self.by_id.insert(intent.id.clone(), at);
        let of_customer = self.by_customer.entry(intent.customer.clone());
        of_customer.or_default().push(at);
        self.totals.customers = self.by_customer.len() as u64;
        self.intents.push(intent);
    }

    /// When the newest intent was created, in seconds since the epoch.
    pub(crate) fn latest(&self) -> Option<i64> {
        self.intents.last().map(|intent| intent.created)
    }

    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }

    pub(crate) fn get(&self, id: &str) -> Option<&PaymentIntent> {
        self.by_id.get(id).map(|&at| &self.intents[at])
    }

    /// Lists intents newest first. `Err` carries a `starting_after` that does not exist.
    pub(crate) fn newest_first(&self, selection: &Selection) -> Result<Page, String> {
        let end = match &selection.starting_after {
            None => self.intents.len(),
            Some(id) => *self.by_id.get(id).ok_or_else(|| id.clone())?,
        };
        let earliest = selection.created_gte.unwrap_or(i64::MIN);
        let recent = |at: &usize| self.intents[*at].created >= earliest;
        let found: Vec<usize> = match &selection.customer {
            None => (0..end).rev().take_while(recent).take(selection.limit + 1).collect(),
            Some(customer) => {
                let all = self.by_customer.get(customer).map_or(&[][..], Vec::as_slice);
                let before = &all[..all.partition_point(|&at| at < end)];
                let newest = before.iter().rev().copied();
                newest.take_while(recent).take(selection.limit + 1).collect()
            }
        };
        Ok(self.page(found, selection.limit))
    }

    /// Lists successful charges oldest first, so that a reader meets each exactly once while new
    /// ones are being made. `Err` carries a `starting_after` that does not exist.
    pub(crate) fn succeeded(&self, after: Option<&str>, limit: usize) -> Result<Page, String> {
        let from = match after {
            None => 0,
            Some(id) => {
                let after = *self.by_id.get(id).ok_or_else(|| id.to_owned())?;
                self.succeeded.partition_point(|&at| at <= after)
            }
        };
        let found = self.succeeded[from..].iter().copied().take(limit + 1).collect();
        Ok(self.page(found, limit))
    }

    fn page(&self, mut found: Vec<usize>, limit: usize) -> Page {
        let has_more = found.len() > limit;
        found.truncate(limit);
        let data = found.into_iter().map(|at| self.intents[at].clone()).collect();
        Page { data, has_more }
    }
}
