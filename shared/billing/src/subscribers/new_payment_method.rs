//! Collects at once what a customer owes, when it has a new payment method.

use queue::NewJob;
use store::{AttemptState, Customer, Due, DunningWait, Event, Invoice, PaymentAttempt, Store, StoreError, UnitOfWork};

use crate::{BillingError, Change, TenantTime, jobs::CollectPayment};

/// Invoices collected at once: who owes more pays the rest with its next change.
const MAX_INVOICES: i64 = 100;

/// Whether an event says that a customer pays with something else.
pub(super) fn concerns(event: &Event) -> bool {
    let changed = event.data.get("changed").and_then(|fields| fields.as_array());
    changed.is_some_and(|fields| fields.iter().any(|field| field == "payment_method"))
}

pub(super) async fn decide(
    store: &Store,
    event: &Event,
    time: &TenantTime,
) -> Result<Option<Change<()>>, BillingError> {
    if !concerns(event) {
        return Ok(None);
    }
    let (tenant, customer) = (event.tenant.as_str(), event.subject.as_str());
    let found: Option<Customer> = store.find(tenant, customer).await?;
    let Some(token) = found.and_then(|customer| customer.payment_method) else { return Ok(None) };
    let mut change = Change { result: (), unit: UnitOfWork::default(), follow_up: Vec::new() };
    for mut invoice in store.awaiting_payment_method((tenant, customer), MAX_INVOICES).await? {
        if invoice.open_attempt.is_some() {
            // What becomes of it decides whether there is anything left to collect: come back.
            let detail = format!("a payment of {} is under way", invoice.id);
            return Err(StoreError::Conflict(detail).into());
        }
        if was_tried_with(store, &invoice, &token).await? {
            continue;
        }
        invoice.collectible = true;
        invoice.due = Due::at(time.wall);
        if let Some(dunning) = &mut invoice.dunning {
            dunning.waits_for = DunningWait::Retry;
        }
        change.unit.replace(&mut invoice)?;
        let job = CollectPayment::Invoice { tenant: tenant.to_owned(), invoice: invoice.id };
        change.follow_up.push(NewJob::of(&job)?);
    }
    Ok(Some(change))
}

async fn was_tried_with(store: &Store, invoice: &Invoice, token: &str) -> Result<bool, BillingError> {
    if invoice.attempts == 0 {
        return Ok(false);
    }
    let last = store::payment_attempt_id(&invoice.id, invoice.attempts);
    let last: Option<PaymentAttempt> = store.find(&invoice.tenant, &last).await?;
    Ok(last.is_some_and(|last| last.state == AttemptState::Failed && last.payment_method == token))
}
