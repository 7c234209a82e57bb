//! Settles payment attempts: the one road for every outcome, whoever reports it, and it only leads forward.
//!
//! Forward is: pending, waiting for the customer, failed, succeeded. Money that was taken counts, also when it is heard of
//! late: what the invoice does not need of it goes to the customer's balance. What follows a failure is `dunning`'s.
//!
//! **Invariant:** an attempt that is settled is never unsettled, and each outcome moves money once: attempt, invoice,
//! balance, ledger and subscription are written in one unit, compared on their revisions.

use std::collections::BTreeMap;

use domain::{
    InvoiceStatus,
    ledger::{Account, Receipt, payment_received},
};
use gateways::payment::ChargeOutcome;
use jiff::SignedDuration;
use queue::NewJob;
use serde_json::{Value, json};
use store::{
    AttemptFailure, AttemptGateway, AttemptState, BalanceEntryKind, Customer, Due, Invoice, Message, Notification,
    PaymentAttempt, Recipient, Store, StoreError, Tenant, UnitOfWork,
};

use crate::{
    Actor, BillingError, Change, EventType, TenantTime,
    actor::Fact,
    dunning::Failed,
    jobs::SendNotification,
    ledger,
    purse::{Cause, balance_overflow, set_balance},
    standing::Standings,
};

/// How long a customer may take to confirm a payment, on the tenant's clock; then it counts as declined.
const CONFIRMED_WITHIN: SignedDuration = SignedDuration::from_hours(3 * 24);

/// Who looks after what a settlement brings about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// The invoice's chunk, which has its mails still before it.
    Chunk,
    /// Nobody: it is due by itself.
    Alone,
}

/// An attempt's outcome.
pub(crate) struct Settlement {
    pub invoice: Invoice,
    pub attempt: PaymentAttempt,
    pub outcome: ChargeOutcome,
}

/// Settles attempts of one tenant into one unit.
pub(crate) struct Settler<'a> {
    store: &'a Store,
    pub time: &'a TenantTime,
    pub actor: Actor,
    pub tenant: Tenant,
    carrier: Carrier,
    pub unit: UnitOfWork,
    pub follow_up: Vec<NewJob>,
    pub standings: Standings<'a>,
    /// Customers whose balance has changed, as they are by now.
    customers: BTreeMap<String, Customer>,
}

impl<'a> Settler<'a> {
    /// A settler for attempts of the actor's tenant.
    ///
    /// # Errors
    /// `NotFound` for an unknown tenant; store errors.
    pub(crate) async fn open(
        store: &'a Store,
        actor: Actor,
        time: &'a TenantTime,
        carrier: Carrier,
    ) -> Result<Self, BillingError> {
        let missing = || BillingError::not_found("tenant", &actor.tenant);
        let tenant: Tenant = store.find(&actor.tenant, &actor.tenant).await?.ok_or_else(missing)?;
        let standings = Standings::new(store, time);
        let (unit, follow_up, customers) = (UnitOfWork::default(), Vec::new(), BTreeMap::new());
        Ok(Self { store, time, actor, tenant, carrier, unit, follow_up, standings, customers })
    }

    /// Settles one attempt, and gives invoice and attempt as they are then. One that is further already stays as it is.
    ///
    /// # Errors
    /// `Rule` when a balance leaves 64 bits; store errors.
    pub(crate) async fn settle(&mut self, settlement: Settlement) -> Result<(Invoice, PaymentAttempt), BillingError> {
        let Settlement { mut invoice, mut attempt, outcome } = settlement;
        match (attempt.state, outcome) {
            (
                AttemptState::Pending | AttemptState::RequiresAction | AttemptState::Failed,
                ChargeOutcome::Succeeded { payment_id },
            ) => {
                attempt.gateway_payment = Some(payment_id);
                self.succeeded(&mut invoice, &mut attempt).await?;
            }
            (
                AttemptState::Pending | AttemptState::RequiresAction,
                ChargeOutcome::Declined { payment_id, decline, message },
            ) => {
                attempt.gateway_payment = payment_id.or(attempt.gateway_payment);
                attempt.failure = Some(AttemptFailure { decline, message });
                self.failed(&mut invoice, &mut attempt).await?;
            }
            (AttemptState::Pending, ChargeOutcome::RequiresAction { payment_id, action_url, .. }) => {
                attempt.gateway_payment = payment_id;
                attempt.action_url = action_url;
                self.waits_for_customer(&mut invoice, &mut attempt)?;
            }
            // Heard of without its page before.
            (
                AttemptState::RequiresAction,
                ChargeOutcome::RequiresAction { payment_id, action_url: Some(action_url), .. },
            ) if attempt.action_url.is_none() => {
                attempt.gateway_payment = payment_id;
                attempt.action_url = Some(action_url);
                self.waits_for_customer(&mut invoice, &mut attempt)?;
            }
            _ => {}
        }
        Ok((invoice, attempt))
    }

    /// Ends settling: everything in one change.
    ///
    /// # Errors
    /// Store errors when the documents cannot be encoded.
    pub(crate) fn close<T>(mut self, result: T) -> Result<Change<T>, BillingError> {
        self.follow_up.extend(self.standings.close(&mut self.unit, &self.actor)?);
        Ok(Change { result, unit: self.unit, follow_up: self.follow_up })
    }

    async fn succeeded(&mut self, invoice: &mut Invoice, attempt: &mut PaymentAttempt) -> Result<(), BillingError> {
        let applied_minor = attempt.amount.minor().min(invoice.amount_open().minor());
        let overpaid_minor = attempt.amount.minor() - applied_minor;
        attempt.state = AttemptState::Succeeded;
        attempt.failure = None;
        attempt.settled_at = Some(self.time.now);
        attempt.overpaid_minor = overpaid_minor;
        // Both are at most what the invoice asks for.
        invoice.paid_minor += applied_minor;
        leave(invoice, attempt);
        self.book(invoice, attempt, applied_minor).await?;
        let is_paid = invoice.status == InvoiceStatus::Open && invoice.amount_open().minor() == 0;
        let had_failed = invoice.dunning.is_some();
        if is_paid {
            invoice.status = invoice.status.transition_to(InvoiceStatus::Paid).map_err(|error| damaged(&error))?;
            invoice.paid_at = Some(self.time.now);
            invoice.dunning = None;
            // Another attempt may be open, when this one was heard of late: somebody has to ask what becomes of it.
            invoice.due = if invoice.open_attempt.is_some() { Due::at(self.time.wall) } else { Due::never() };
        } else if invoice.open_attempt.is_none() {
            self.resume_dunning(invoice);
        }
        self.keep(invoice, attempt)?;
        if is_paid {
            self.standings.recovered(invoice, had_failed).await?;
            self.announce(EventType::InvoicePaid, (&invoice.id, invoice.revision), attempt)?;
        }
        if !is_paid || overpaid_minor > 0 {
            self.announce(EventType::PaymentReceived, (&attempt.id, attempt.revision), attempt)?;
        }
        // A customer who has only let us charge is told by the invoice's own mail.
        if had_failed || attempt.gateway == AttemptGateway::Manual || attempt.action_url.is_some() {
            self.mail(invoice, &attempt.id, |invoice, attempt| Message::PaymentReceived { invoice, attempt })?;
        }
        Ok(())
    }

    /// Books money that has arrived, and gives the balance what the invoice does not need.
    async fn book(
        &mut self,
        invoice: &Invoice,
        attempt: &PaymentAttempt,
        applied_minor: i64,
    ) -> Result<(), BillingError> {
        let into = match attempt.gateway {
            AttemptGateway::Online => Account::Cash,
            AttemptGateway::Manual => Account::Bank,
        };
        let receipt = Receipt { into, applied_minor, overpaid_minor: attempt.overpaid_minor };
        let received = payment_received(ledger::parties(invoice), receipt);
        ledger::book(&mut self.unit, self.time, ledger::Source::about(invoice, &attempt.id), received)?;
        if attempt.overpaid_minor == 0 {
            return Ok(());
        }
        let mut customer = match self.customers.remove(&invoice.customer) {
            Some(customer) => customer,
            None => {
                let missing = || BillingError::not_found("customer", &invoice.customer);
                self.store.find(&invoice.tenant, &invoice.customer).await?.ok_or_else(missing)?
            }
        };
        let after = customer.balance_minor.checked_add(attempt.overpaid_minor).ok_or_else(balance_overflow)?;
        let cause = Cause { kind: BalanceEntryKind::Overpayment, source: Some(&attempt.id), reason: None };
        set_balance(&mut self.unit, (&self.actor, self.time), (&mut customer, after), &cause)?;
        self.customers.insert(customer.id.clone(), customer);
        Ok(())
    }

    /// A part was paid: what is left is collected when it would have been.
    fn resume_dunning(&mut self, invoice: &mut Invoice) {
        let failed = Failed { at: self.time.now, decline: domain::Decline::default() };
        if invoice.dunning.is_some() && invoice.status == InvoiceStatus::Open {
            failed.plan(invoice, &self.tenant.dunning, self.time);
        } else {
            invoice.due = Due::never();
        }
    }

    async fn failed(&mut self, invoice: &mut Invoice, attempt: &mut PaymentAttempt) -> Result<(), BillingError> {
        attempt.state = AttemptState::Failed;
        attempt.settled_at = Some(self.time.now);
        leave(invoice, attempt);
        if invoice.status != InvoiceStatus::Open {
            // It was paid meanwhile by an attempt that was heard of late: nothing follows from this one.
            invoice.due = Due::never();
            return Ok(self.keep(invoice, attempt)?);
        }
        let decline = attempt.failure.as_ref().map(|failure| failure.decline.clone()).unwrap_or_default();
        let retry_at = Failed { at: self.time.now, decline }.plan(invoice, &self.tenant.dunning, self.time);
        self.keep(invoice, attempt)?;
        self.standings.failed(invoice).await?;
        self.announce(EventType::InvoiceFailed, (&invoice.id, invoice.revision), attempt)?;
        self.follow_up.extend(crate::dunning::next_job(invoice, self.time)?);
        self.mail(invoice, &attempt.id, |invoice, attempt| Message::PaymentFailed { invoice, attempt, retry_at })
    }

    fn waits_for_customer(&mut self, invoice: &mut Invoice, attempt: &mut PaymentAttempt) -> Result<(), BillingError> {
        attempt.state = AttemptState::RequiresAction;
        invoice.due = self.time.due(self.time.now.checked_add(CONFIRMED_WITHIN).ok());
        self.keep(invoice, attempt)?;
        self.announce(EventType::PaymentActionRequired, (&attempt.id, attempt.revision), attempt)?;
        let Some(link) = attempt.action_url.clone() else { return Ok(()) };
        self.mail(invoice, &attempt.id, |invoice, attempt| Message::PaymentActionRequired { invoice, attempt, link })
    }

    /// Writes both; an attempt of revision 0 was not stored before.
    fn keep(&mut self, invoice: &mut Invoice, attempt: &mut PaymentAttempt) -> Result<(), StoreError> {
        if attempt.revision == 0 {
            attempt.revision = 1;
            self.unit.insert(attempt)?;
        } else {
            self.unit.replace(attempt)?;
        }
        self.unit.replace(invoice)
    }

    fn announce(
        &mut self,
        name: EventType,
        (subject, revision): (&str, i64),
        attempt: &PaymentAttempt,
    ) -> Result<(), StoreError> {
        let data: Value = json!({
            "payment": attempt.id, "invoice": attempt.invoice, "customer": attempt.customer,
            "amount_minor": attempt.amount.minor(), "currency": attempt.amount.currency(),
            "failure_code": attempt.failure_code(),
        });
        let fact = Fact { name, subject, revision, data };
        self.actor.announce(&mut self.unit, self.time.wall, fact)
    }

    /// Has a mail about an attempt sent: by the chunk that looks after the invoice, or by itself.
    fn mail(
        &mut self,
        invoice: &Invoice,
        attempt: &str,
        message: impl FnOnce(String, String) -> Message,
    ) -> Result<(), BillingError> {
        let to = Recipient::Customer(invoice.customer.clone());
        let message = message(invoice.id.clone(), attempt.to_owned());
        let mut mail = Notification::new((&invoice.tenant, attempt), to, message, self.time.wall);
        mail.chunk = invoice.chunk.clone();
        if self.carrier == Carrier::Chunk {
            mail.due = Due::never();
        } else {
            let job = SendNotification::Notification { tenant: mail.tenant.clone(), notification: mail.id.clone() };
            self.follow_up.push(NewJob::of(&job)?);
        }
        Ok(self.unit.insert(&mail)?)
    }
}

/// The invoice does not wait for this attempt any more.
fn leave(invoice: &mut Invoice, attempt: &PaymentAttempt) {
    if invoice.open_attempt.as_ref() == Some(&attempt.id) {
        invoice.open_attempt = None;
    }
}

fn damaged(error: &domain::ForbiddenTransition) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
