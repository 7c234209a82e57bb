//! Voids an open invoice: it was a mistake. Wallets and balance get back what they paid; used coupons stay used.

use domain::{
    CreditNote, InvoiceStatus,
    ledger::{balance_restored, invoice_voided, wallet_restored},
};
use serde_json::json;
use store::{CreditNoteRecord, Customer, Due, Invoice, Store, StoreError, UnitOfWork, WalletRecord};

use crate::{
    Actor, BillingError, Change, EventType, TenantTime,
    actor::Fact,
    invoice_state::{load_at_rest, move_to},
    ledger::{self, Source},
    purse::{Payer, give_back},
    standing::Standings,
};

/// Decides that an invoice is void.
///
/// What credit notes have offset needs no way back: it was never paid.
///
/// # Errors
/// `NotFound`; `State` unless it is open and no payment of it is under way; store errors.
pub async fn void_invoice(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    id: &str,
) -> Result<Change<Invoice>, BillingError> {
    let mut invoice = load_at_rest(store, &actor.tenant, id).await?;
    let before = json!({ "status": invoice.status });
    if invoice.paid_minor > 0 {
        let detail = "a part of the invoice is paid; credit it instead";
        return Err(BillingError::state("partly_paid", detail));
    }
    move_to(&mut invoice, InvoiceStatus::Void)?;
    let had_failed = invoice.dunning.take().is_some();
    invoice.collectible = false;
    invoice.due = Due::never();
    let missing = || BillingError::not_found("customer", &invoice.customer);
    let mut customer: Customer = store.find(&actor.tenant, &invoice.customer).await?.ok_or_else(missing)?;
    let used: Vec<String> = invoice.content.wallet_applied.iter().map(|used| used.wallet.clone()).collect();
    let mut wallets: Vec<WalletRecord> = store.find_all(&actor.tenant, &used).await?;
    let mut unit = UnitOfWork::default();
    let payer = Payer { customer: &mut customer, wallets: &mut wallets };
    give_back(&mut unit, (actor, time), payer, (&invoice.id, &invoice.content))?;
    let notes = match invoice.credited_by_notes_minor {
        0 => Vec::new(),
        _ => store.credit_notes_of(&actor.tenant, id).await?,
    };
    book(&mut unit, time, &invoice, &notes)?;
    unit.replace(&mut invoice)?;
    let data = json!({
        "customer": invoice.customer, "wallet_restored_minor": invoice.content.wallet_applied_minor,
        "balance_restored_minor": invoice.content.credit_applied_minor,
    });
    let fact = Fact { name: EventType::InvoiceVoided, subject: &invoice.id, revision: invoice.revision, data };
    actor.record_change(&mut unit, time.wall, (before, fact))?;
    let mut standings = Standings::new(store, time);
    standings.voided(&invoice).await?;
    standings.recovered(&invoice, had_failed).await?;
    let follow_up = standings.close(&mut unit, actor)?;
    Ok(Change { result: invoice, unit, follow_up })
}

fn book(
    unit: &mut UnitOfWork,
    time: &TenantTime,
    invoice: &Invoice,
    notes: &[CreditNoteRecord],
) -> Result<(), StoreError> {
    let notes: Vec<CreditNote> = notes.iter().map(|record| record.note.clone()).collect();
    let (source, parties, content) = (Source::invoice(invoice), ledger::parties(invoice), &invoice.content);
    ledger::book(unit, time, source, invoice_voided(parties, content, &notes))?;
    ledger::book(unit, time, source, wallet_restored(parties, content))?;
    ledger::book(unit, time, source, balance_restored(parties, content.credit_applied_minor))
}
