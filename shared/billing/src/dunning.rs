//! Dunning: what a failed payment makes of an invoice, and how dunning ends.
//!
//! When an invoice is tried again is `domain`'s to say; here its `due_at` is set so that somebody comes back. The policy's
//! outcome is applied by a job of the invoice's own, since it may cancel a subscription.
//!
//! **Invariant:** an invoice in dunning has a `due_at` until dunning is over.

use domain::{
    Decline, DunningOutcome, DunningPolicy, DunningStep, PaymentFailure, ProrationBehavior, SubscriptionStatus,
};
use jiff::Timestamp;
use queue::NewJob;
use serde_json::json;
use store::{
    Due, DunningWait, Invoice, InvoiceDunning, Message, Notification, Recipient, SubscriptionRecord, Tenant, UnitOfWork,
};

use crate::{
    Actor, Billing, BillingError, Change, EventType, TenantTime, When,
    actor::Fact,
    cancel_subscription,
    jobs::{CollectPayment, SendNotification},
    standing::Standings,
};

/// A payment that was declined.
pub(crate) struct Failed {
    /// On the tenant's clock.
    pub at: Timestamp,
    pub decline: Decline,
}

impl Failed {
    /// Sets what the invoice waits for now; returns when it is tried again by itself.
    pub(crate) fn plan(self, invoice: &mut Invoice, policy: &DunningPolicy, time: &TenantTime) -> Option<Timestamp> {
        let first_failed_at = invoice.dunning.map_or(self.at, |dunning| dunning.first_failed_at);
        let failure = PaymentFailure { first_failed_at, at: self.at, decline: self.decline };
        let (waits_for, due, retry_at) = match policy.after(&failure) {
            DunningStep::RetryAt(at) => (DunningWait::Retry, time.due(Some(at)), Some(at)),
            DunningStep::AwaitPaymentMethod { until } => (DunningWait::PaymentMethod, time.due(Some(until)), None),
            DunningStep::End(_) => (DunningWait::End, Due::at(time.wall), None),
        };
        invoice.dunning = Some(InvoiceDunning { first_failed_at, waits_for });
        invoice.due = due;
        retry_at
    }
}

/// The job that goes on with an invoice, if something is to be done about it now.
pub(crate) fn next_job(invoice: &Invoice, time: &TenantTime) -> Result<Option<NewJob>, BillingError> {
    if !time.has_come(&invoice.due) {
        return Ok(None);
    }
    let job = CollectPayment::Invoice { tenant: invoice.tenant.clone(), invoice: invoice.id.clone() };
    Ok(Some(NewJob::of(&job)?))
}

/// Applies the policy's outcome to an invoice that was tried in vain for the last time. Repeating it finds it done.
///
/// # Errors
/// `NotFound` for an unknown tenant; store errors.
pub(crate) async fn end_dunning(billing: &Billing, invoice: &Invoice, time: &TenantTime) -> Result<(), BillingError> {
    let tenant = invoice.tenant.as_str();
    let missing = || BillingError::not_found("tenant", tenant);
    let settings: Tenant = billing.store.find(tenant, tenant).await?.ok_or_else(missing)?;
    let outcome = settings.dunning.outcome();
    let actor = Actor::system(tenant);
    if outcome == DunningOutcome::Cancel {
        cancel(billing, &actor, (invoice, time)).await?;
    }
    let mut standings = Standings::new(&billing.store, time);
    if outcome == DunningOutcome::Unpaid {
        standings.left_unpaid(invoice).await?;
    }
    let mut invoice = invoice.clone();
    if let Some(dunning) = &mut invoice.dunning {
        dunning.waits_for = DunningWait::Nothing;
    }
    invoice.due = Due::never();
    let mut unit = UnitOfWork::default();
    unit.replace(&mut invoice)?;
    let mut follow_up = standings.close(&mut unit, &actor)?;
    let data = json!({ "customer": invoice.customer, "subscription": invoice.subscription, "outcome": outcome });
    let name = EventType::InvoiceDunningEnded;
    actor.announce(&mut unit, time.wall, Fact { name, subject: &invoice.id, revision: invoice.revision, data })?;
    let to = Recipient::Customer(invoice.customer.clone());
    let message = Message::FinalNotice { invoice: invoice.id.clone(), outcome };
    // Dunning may end again, of another first failure: the revision tells the two apart.
    let cause = format!("{}_{}", invoice.id, invoice.revision);
    let mail = Notification::new((tenant, &cause), to, message, time.wall);
    let job = SendNotification::Notification { tenant: mail.tenant.clone(), notification: mail.id.clone() };
    follow_up.push(NewJob::of(&job)?);
    unit.insert(&mail)?;
    billing.commit(Change { result: (), unit, follow_up }).await
}

/// Cancels the invoice's subscription now, without crediting what nobody has paid; one that is over stays as it is.
async fn cancel(
    billing: &Billing,
    actor: &Actor,
    (invoice, time): (&Invoice, &TenantTime),
) -> Result<(), BillingError> {
    let Some(id) = &invoice.subscription else { return Ok(()) };
    let found: Option<SubscriptionRecord> = billing.store.find(&invoice.tenant, id).await?;
    if found.is_none_or(|record| record.subscription.status() == SubscriptionStatus::Cancelled) {
        return Ok(());
    }
    let how = (id.as_str(), When::Now, Some(ProrationBehavior::None));
    let change = cancel_subscription(&billing.store, actor, time, how).await?;
    billing.commit(change).await.map(drop)
}
