//! Corrects an issued invoice by a credit note: off what is open of it first, the rest to the customer's balance.

use domain::{
    CreditNote, CreditOutcome, CreditRequest, InvoiceStatus, credit_note, ledger::credit_note_issued,
    settle_credit_note,
};
use queue::NewJob;
use serde_json::json;
use store::{BalanceEntryKind, CreditNoteRecord, Customer, Due, Invoice, Store, UnitOfWork};

use crate::{
    Actor, BillingError, Change, EventType, TenantTime,
    actor::Fact,
    invoice_state::{load_at_rest, move_to},
    jobs::CollectPayment,
    ledger::{Source, book, parties},
    purse::{Cause, balance_overflow, set_balance},
    standing::Standings,
};

/// Notes on one invoice: each of them is looked at for every further one.
const MAX_NOTES: usize = 100;

/// A credit note to issue, already parsed.
#[derive(Clone, Debug)]
pub struct NewCreditNote {
    /// `inv_...`
    pub invoice: String,
    pub request: CreditRequest,
    pub outcome: CreditOutcome,
    pub reason: String,
}

/// Decides a credit note under `id`. An open invoice of which nothing is left to be paid becomes paid.
///
/// # Errors
/// `Rule` or `Spec` when the invoice is unknown, money is to go back through the gateway, or more is to be credited than is
/// left; `State` unless the invoice is open or paid and no payment of it is under way; store errors.
pub async fn create_credit_note(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (id, new): (&str, &NewCreditNote),
) -> Result<Change<CreditNoteRecord>, BillingError> {
    if new.outcome == CreditOutcome::Refund {
        let detail = "money cannot go back through the payment gateway; credit it to the balance";
        return Err(BillingError::rule("refunds_unavailable", "/outcome", detail));
    }
    let (mut invoice, earlier) = load(store, &actor.tenant, &new.invoice).await?;
    let note = credit_note(&invoice.content, &earlier, &new.request)?;
    let settlement = settle_credit_note(note.total_minor, invoice.amount_open().minor(), new.outcome, 0);
    let number = store.next_credit_note_number(&actor.tenant).await?;
    let record = CreditNoteRecord {
        id: id.to_owned(),
        tenant: actor.tenant.clone(),
        revision: 1,
        created: time.wall,
        number: number.to_string(),
        invoice: invoice.id.clone(),
        customer: invoice.customer.clone(),
        currency: invoice.content.currency,
        reason: new.reason.clone(),
        issued_at: time.now,
        outcome: new.outcome,
        note,
        settlement,
    };
    let mut unit = UnitOfWork::default();
    credit_balance(store, &mut unit, (actor, time), &record).await?;
    let had_failed = invoice.dunning.is_some();
    let mut follow_up = Vec::from_iter(count_on(&mut unit, &mut invoice, (actor, time), &record)?);
    let mut standings = Standings::new(store, time);
    standings.recovered(&invoice, had_failed && invoice.dunning.is_none()).await?;
    follow_up.extend(standings.close(&mut unit, actor)?);
    unit.expect_number(number);
    unit.insert_credit_note(&record)?;
    let data = json!({
        "invoice": record.invoice, "customer": record.customer, "currency": record.currency,
        "total_minor": record.note.total_minor, "reason": record.reason,
    });
    let fact = Fact { name: EventType::CreditNoteCreated, subject: &record.id, revision: record.revision, data };
    actor.record(&mut unit, time.wall, fact)?;
    Ok(Change { result: record, unit, follow_up })
}

/// An invoice that can be credited, and what its earlier notes credit.
async fn load(store: &Store, tenant: &str, id: &str) -> Result<(Invoice, Vec<CreditNote>), BillingError> {
    let invoice = match load_at_rest(store, tenant, id).await {
        Err(BillingError::NotFound { id, .. }) => {
            return Err(BillingError::rule("unknown_invoice", "/invoice", format!("no such invoice: {id}")));
        }
        loaded => loaded?,
    };
    if !matches!(invoice.status, InvoiceStatus::Open | InvoiceStatus::Paid) {
        let detail = format!("an invoice that is {} cannot be credited", invoice.status.as_str());
        return Err(BillingError::State { code: "invalid_state", detail });
    }
    let earlier = store.credit_notes_of(tenant, id).await?;
    if earlier.len() >= MAX_NOTES {
        let detail = format!("the invoice has {MAX_NOTES} credit notes already");
        return Err(BillingError::State { code: "too_many_credit_notes", detail });
    }
    Ok((invoice, earlier.into_iter().map(|record| record.note).collect()))
}

/// Gives the balance its part.
async fn credit_balance(
    store: &Store,
    unit: &mut UnitOfWork,
    by: (&Actor, &TenantTime),
    record: &CreditNoteRecord,
) -> Result<(), BillingError> {
    if record.settlement.balance_minor == 0 {
        return Ok(());
    }
    let missing = || BillingError::not_found("customer", &record.customer);
    let mut customer: Customer = store.find(&record.tenant, &record.customer).await?.ok_or_else(missing)?;
    let after = customer.balance_minor.checked_add(record.settlement.balance_minor).ok_or_else(balance_overflow)?;
    let cause = Cause { kind: BalanceEntryKind::CreditNote, source: Some(&record.id), reason: Some(&record.reason) };
    set_balance(unit, by, (&mut customer, after), &cause)?;
    Ok(())
}

/// Counts a note on its invoice, which is paid when nothing is left open of it; its chunk then counts again.
fn count_on(
    unit: &mut UnitOfWork,
    invoice: &mut Invoice,
    (actor, time): (&Actor, &TenantTime),
    record: &CreditNoteRecord,
) -> Result<Option<NewJob>, BillingError> {
    let credited = credit_note_issued(parties(invoice), &record.note, &record.settlement);
    book(unit, time, Source::about(invoice, &record.id), credited)?;
    // Both sums are at most the invoice's total.
    invoice.credited_by_notes_minor += record.note.total_minor;
    invoice.offset_by_notes_minor += record.settlement.offset_minor;
    let paid = invoice.status == InvoiceStatus::Open && invoice.amount_open().minor() == 0;
    if paid {
        move_to(invoice, InvoiceStatus::Paid)?;
        invoice.paid_at = Some(time.now);
        invoice.due = Due::never();
        invoice.dunning = None;
    }
    unit.replace(invoice)?;
    if !paid {
        return Ok(None);
    }
    let data = json!({ "credit_note": record.id, "amount_minor": 0, "currency": record.currency });
    let fact = Fact { name: EventType::InvoicePaid, subject: &invoice.id, revision: invoice.revision, data };
    actor.announce(unit, time.wall, fact)?;
    if invoice.chunk.is_none() {
        return Ok(None);
    }
    let (tenant, invoice) = (invoice.tenant.clone(), invoice.id.clone());
    Ok(Some(NewJob::of(&CollectPayment::Invoice { tenant, invoice })?))
}
