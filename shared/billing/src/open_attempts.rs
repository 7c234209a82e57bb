//! Opens payment attempts: stored, with all that the gateway will be sent, before it hears of them.
//!
//! **Invariant:** attempt n+1 exists only through a compare-and-set on an invoice of n attempts of which none is open; its id
//! is the gateway's idempotency key for ever.

use std::collections::BTreeMap;

use domain::Money;
use store::{
    AttemptGateway, AttemptState, Customer, Due, Invoice, PaymentAttempt, StoreError, UnitOfWork, payment_attempt_id,
};

use crate::{Billing, BillingError, Change, TenantTime};

/// An invoice with the attempt whose outcome is to be learnt.
#[derive(Clone)]
pub(crate) struct Open {
    pub invoice: Invoice,
    pub attempt: PaymentAttempt,
}

/// Stores an attempt for every invoice that has none open, in one transaction; loads the others.
///
/// # Errors
/// Store errors.
pub(crate) async fn open_attempts(
    billing: &Billing,
    invoices: Vec<Invoice>,
    time: &TenantTime,
) -> Result<Vec<Open>, BillingError> {
    let Some(tenant) = invoices.first().map(|invoice| invoice.tenant.clone()) else { return Ok(Vec::new()) };
    let (resumed, fresh): (Vec<_>, Vec<_>) = invoices.into_iter().partition(|invoice| invoice.open_attempt.is_some());
    let mut open = load_attempts(billing, &tenant, resumed).await?;
    let customer_ids: Vec<String> = fresh.iter().map(|invoice| invoice.customer.clone()).collect();
    let customers: Vec<Customer> = billing.store.find_all(&tenant, &customer_ids).await?;
    let tokens: BTreeMap<&str, &str> = customers
        .iter()
        .filter_map(|customer| Some((customer.id.as_str(), customer.payment_method.as_deref()?)))
        .collect();
    let mut unit = UnitOfWork::default();
    for mut invoice in fresh {
        let Some(token) = tokens.get(invoice.customer.as_str()) else {
            // Its payment method is gone since it was issued: it stays open, and nobody waits for it.
            invoice.collectible = false;
            invoice.due = Due::never();
            unit.replace(&mut invoice)?;
            continue;
        };
        let (amount, gateway) = (invoice.amount_open(), AttemptGateway::Online);
        let attempt = PaymentAttempt { revision: 1, ..new_attempt(&mut invoice, (gateway, token), amount, time) };
        unit.replace(&mut invoice)?;
        unit.insert(&attempt)?;
        open.push(Open { invoice, attempt });
    }
    billing.commit(Change { result: open, unit, follow_up: Vec::new() }).await
}

async fn load_attempts(billing: &Billing, tenant: &str, invoices: Vec<Invoice>) -> Result<Vec<Open>, BillingError> {
    let ids: Vec<String> = invoices.iter().filter_map(|invoice| invoice.open_attempt.clone()).collect();
    let attempts: Vec<PaymentAttempt> = billing.store.find_all(tenant, &ids).await?;
    let mut attempts: BTreeMap<String, PaymentAttempt> =
        attempts.into_iter().map(|attempt| (attempt.invoice.clone(), attempt)).collect();
    let open = |invoice: Invoice| match attempts.remove(&invoice.id) {
        Some(attempt) => Ok(Open { invoice, attempt }),
        // They are written in one transaction.
        None => Err(StoreError::Corrupt(format!("the open attempt of {} does not exist", invoice.id)).into()),
    };
    invoices.into_iter().map(open).collect()
}

/// The next attempt of an invoice, which is marked as having it open. Its revision is 0: it is not stored yet.
pub(crate) fn new_attempt(
    invoice: &mut Invoice,
    (gateway, payment_method): (AttemptGateway, &str),
    amount: Money,
    time: &TenantTime,
) -> PaymentAttempt {
    let number = invoice.attempts + 1;
    let id = payment_attempt_id(&invoice.id, number);
    invoice.attempts = number;
    invoice.open_attempt = Some(id.clone());
    PaymentAttempt {
        id,
        tenant: invoice.tenant.clone(),
        revision: 0,
        created: time.wall,
        invoice: invoice.id.clone(),
        customer: invoice.customer.clone(),
        number,
        amount,
        gateway,
        payment_method: payment_method.to_owned(),
        state: AttemptState::Pending,
        first_sent_at: time.wall,
        gateway_payment: None,
        action_url: None,
        overpaid_minor: 0,
        refunded_minor: 0,
        dispute: None,
        failure: None,
        settled_at: None,
    }
}
