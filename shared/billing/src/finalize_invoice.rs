//! Finalises a draft: it is billed for the last time, gets its number, is paid as far as wallets and balance go, and is sent and collected.

use domain::InvoiceStatus;
use jiff::Timestamp;
use serde_json::json;
use store::{Customer, Invoice, Store, UnitOfWork};

use crate::{
    Actor, Billing, BillingError, Change, EventType, TenantTime,
    actor::Fact,
    invoice_state::load_at_rest,
    issue_invoice,
    purse::{Payer, load_wallets},
    refresh_draft::settle_draft,
};

/// Decides that a draft is final.
///
/// # Errors
/// `NotFound`; `State` when it is no draft; store errors.
pub async fn finalize_invoice(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    id: &str,
) -> Result<Change<Invoice>, BillingError> {
    let mut invoice = load_at_rest(store, &actor.tenant, id).await?;
    let missing = || BillingError::not_found("customer", &invoice.customer);
    let mut customer: Customer = store.find(&actor.tenant, &invoice.customer).await?.ok_or_else(missing)?;
    let mut wallets = load_wallets(store, &customer, time).await?;
    let mut unit = UnitOfWork::default();
    settle_draft(store, &mut unit, &mut invoice).await?;
    let number = store.next_invoice_number(&actor.tenant).await?;
    unit.expect_number(number);
    let payer = Payer { customer: &mut customer, wallets: &mut wallets };
    issue_invoice::finalise_draft(&mut unit, (actor, time), payer, &mut invoice)?;
    invoice.number = number.to_string();
    let data = json!({ "customer": invoice.customer, "amount_due_minor": invoice.content.amount_due_minor });
    let fact = Fact { name: EventType::InvoiceGenerated, subject: &invoice.id, revision: invoice.revision, data };
    actor.audit(&mut unit, time.wall, &fact)?;
    let follow_up = issue_invoice::follow_up(&invoice)?;
    Ok(Change { result: invoice, unit, follow_up })
}

/// Finalises an invoice if it is a draft whose grace period is over.
///
/// # Errors
/// Those of [`finalize_invoice`]; store errors.
pub(crate) async fn finalize_if_due(
    billing: &Billing,
    (tenant, id): (&str, &str),
    wall: Timestamp,
) -> Result<(), BillingError> {
    let draft: Option<Invoice> = billing.store.find(tenant, id).await?;
    let Some(draft) = draft.filter(|invoice| invoice.status == InvoiceStatus::Draft) else { return Ok(()) };
    let time = TenantTime::read(&billing.store, tenant, wall).await?;
    if !time.has_come(&draft.due) {
        return Ok(());
    }
    let change = finalize_invoice(&billing.store, &Actor::system(tenant), &time, id).await?;
    billing.commit(change).await.map(drop)
}
