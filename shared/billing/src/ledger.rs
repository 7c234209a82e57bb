//! Books movements of money: the entry goes into the unit that moves the money.
//!
//! What a movement means is `domain::ledger`'s. **Invariant:** nothing changes what somebody owes or is owed without an entry
//! in the same unit; `ratchet verify` finds whoever forgets.

use domain::{
    AmountError, Currency,
    ledger::{Movement, Parties, balance_used, invoice_issued, wallet_used},
};
use store::{Customer, Invoice, LedgerEntry, StoreError, UnitOfWork, ledger_entry_id};

use crate::TenantTime;

/// What moved the money.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub tenant: &'a str,
    pub customer: &'a str,
    /// The invoice whose receivable it changes, if any.
    pub invoice: Option<&'a str>,
    pub currency: Currency,
    /// The document that it comes from; of each, a kind of movement comes once.
    pub id: &'a str,
}

impl<'a> Source<'a> {
    /// An invoice itself.
    pub(crate) fn invoice(invoice: &'a Invoice) -> Self {
        Self::about(invoice, &invoice.id)
    }

    /// Something that was done about an invoice: a payment, a credit note.
    pub(crate) fn about(invoice: &'a Invoice, id: &'a str) -> Self {
        let Invoice { tenant, customer, content, .. } = invoice;
        Self { tenant, customer, invoice: Some(&invoice.id), currency: content.currency, id }
    }

    /// Something of a customer that no invoice has to do with.
    pub(crate) fn customer(customer: &'a Customer, id: &'a str) -> Self {
        let Customer { tenant, currency, .. } = customer;
        Self { tenant, customer: &customer.id, invoice: None, currency: *currency, id }
    }
}

/// The accounts of an invoice.
pub(crate) fn parties(invoice: &Invoice) -> Parties<'_> {
    Parties { customer: &invoice.customer, invoice: &invoice.id }
}

/// Adds a movement's entry to the unit; none when nothing moved.
///
/// # Errors
/// `Corrupt` for amounts beyond 64 bits, which nothing that adds up has.
pub(crate) fn book(
    unit: &mut UnitOfWork,
    time: &TenantTime,
    source: Source<'_>,
    movement: Result<Movement, AmountError>,
) -> Result<(), StoreError> {
    let Movement { kind, postings } =
        movement.map_err(|error| StoreError::Corrupt(format!("{} cannot be booked: {error}", source.id)))?;
    if postings.is_empty() {
        return Ok(());
    }
    unit.insert(&LedgerEntry {
        id: ledger_entry_id(source.id, kind),
        tenant: source.tenant.to_owned(),
        created: time.wall,
        moved_at: time.now,
        kind,
        source: source.id.to_owned(),
        customer: source.customer.to_owned(),
        invoice: source.invoice.map(ToOwned::to_owned),
        currency: source.currency,
        postings,
    })
}

/// Books an invoice that is issued, and what wallets and balance pay of it.
///
/// # Errors
/// Those of [`book`].
pub(crate) fn book_issue(unit: &mut UnitOfWork, time: &TenantTime, invoice: &Invoice) -> Result<(), StoreError> {
    let (source, parties, content) = (Source::invoice(invoice), parties(invoice), &invoice.content);
    book(unit, time, source, invoice_issued(parties, content))?;
    book(unit, time, source, wallet_used(parties, content))?;
    book(unit, time, source, balance_used(parties, content.credit_applied_minor))
}
