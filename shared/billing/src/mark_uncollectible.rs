//! Writes an open invoice off: it was right, and will not be paid. What wallets and balance paid of it stays paid.

use domain::{InvoiceStatus, ledger};
use serde_json::json;
use store::{Due, Invoice, Store, UnitOfWork};

use crate::{
    Actor, BillingError, Change, EventType, TenantTime,
    actor::Fact,
    invoice_state::{load_at_rest, move_to},
    ledger::{Source, book, parties},
    standing::Standings,
};

/// Decides that an invoice is uncollectible.
///
/// # Errors
/// `NotFound`; `State` unless it is open and no payment of it is under way; store errors.
pub async fn mark_uncollectible(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    id: &str,
) -> Result<Change<Invoice>, BillingError> {
    let invoice = load_at_rest(store, &actor.tenant, id).await?;
    let had_failed = invoice.dunning.is_some();
    let mut unit = UnitOfWork::default();
    let result = write_off(&mut unit, (actor, time), invoice)?;
    let mut standings = Standings::new(store, time);
    standings.recovered(&result, had_failed).await?;
    let follow_up = standings.close(&mut unit, actor)?;
    Ok(Change { result, unit, follow_up })
}

/// Writes off an invoice of which no payment is under way.
///
/// # Errors
/// `State` unless it is open; store errors.
pub(crate) fn write_off(
    unit: &mut UnitOfWork,
    (actor, time): (&Actor, &TenantTime),
    mut invoice: Invoice,
) -> Result<Invoice, BillingError> {
    let written_off = invoice.amount_open();
    let before = json!({ "status": invoice.status });
    move_to(&mut invoice, InvoiceStatus::Uncollectible)?;
    invoice.dunning = None;
    invoice.collectible = false;
    invoice.due = Due::never();
    let loss = ledger::written_off(parties(&invoice), written_off.minor());
    book(unit, time, Source::invoice(&invoice), loss)?;
    unit.replace(&mut invoice)?;
    let data = json!({ "customer": invoice.customer, "written_off_minor": written_off.minor() });
    let fact =
        Fact { name: EventType::InvoiceMarkedUncollectible, subject: &invoice.id, revision: invoice.revision, data };
    actor.record_change(unit, time.wall, (before, fact))?;
    Ok(invoice)
}
