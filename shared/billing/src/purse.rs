//! Purses: what a customer pays with by itself, prepaid wallets first, then its balance.
//!
//! **Invariant:** a balance changes only here, together with an entry that says who changed it and why. **Invariant:** customer
//! and wallets are compared on their revisions when money moves, so two invoices at once never spend the same money.

use std::collections::BTreeMap;

use domain::{InvoiceContent, RestoreError, Wallet, apply_credits, restore_credits};
use store::{BalanceEntry, BalanceEntryKind, Customer, Store, StoreError, UnitOfWork, WalletRecord, balance_entry_id};

use crate::{Actor, BillingError, TenantTime};

/// Most that an adjustment or a wallet is worth, in minor units: ten thousand million dollars. More is a mistake, and millions
/// of these fit into a balance.
pub(crate) const MAX_CREDIT_MINOR: i64 = 1_000_000_000_000;

/// A customer with its usable wallets.
pub(crate) struct Purse {
    pub customer: Customer,
    pub wallets: Vec<WalletRecord>,
}

/// The purses of many customers, by their ids, in two round trips.
///
/// # Errors
/// `Unavailable` or `Corrupt`.
pub(crate) async fn load_purses(
    store: &Store,
    (tenant, customers): (&str, &[String]),
    time: &TenantTime,
) -> Result<BTreeMap<String, Purse>, StoreError> {
    let found: Vec<Customer> = store.find_all(tenant, customers).await?;
    let purse = |customer: Customer| (customer.id.clone(), Purse { customer, wallets: Vec::new() });
    let mut purses: BTreeMap<String, Purse> = found.into_iter().map(purse).collect();
    for wallet in store.usable_wallets((tenant, customers), time.now).await? {
        if let Some(purse) = purses.get_mut(&wallet.customer) {
            purse.wallets.push(wallet);
        }
    }
    Ok(purses)
}

/// The usable wallets of one customer.
///
/// # Errors
/// `Unavailable` or `Corrupt`.
pub(crate) async fn load_wallets(
    store: &Store,
    customer: &Customer,
    time: &TenantTime,
) -> Result<Vec<WalletRecord>, StoreError> {
    let ids = [customer.id.clone()];
    store.usable_wallets((&customer.tenant, &ids), time.now).await
}

/// Whose money moves.
pub(crate) struct Payer<'a> {
    pub customer: &'a mut Customer,
    pub wallets: &'a mut [WalletRecord],
}

/// Pays an invoice that is finalised, as far as the money goes; gives the balance what a total below zero credits.
///
/// # Errors
/// `Rule` when the balance leaves 64 bits, with nothing added to the unit; store errors.
pub(crate) fn pay(
    unit: &mut UnitOfWork,
    (actor, time): (&Actor, &TenantTime),
    payer: Payer<'_>,
    (invoice, content): (&str, InvoiceContent),
) -> Result<InvoiceContent, BillingError> {
    let mut wallets: Vec<Wallet> = payer.wallets.iter().map(WalletRecord::wallet).collect();
    let mut balance_minor = payer.customer.balance_minor;
    let content = apply_credits(content, &mut wallets, &mut balance_minor, time.now)
        .map_err(|error| BillingError::rule("not_billable", "", error.to_string()))?;
    let cause = Cause { kind: BalanceEntryKind::InvoiceIssued, source: Some(invoice), reason: None };
    set_balance(unit, (actor, time), (payer.customer, balance_minor), &cause)?;
    set_wallets(unit, payer.wallets, &wallets)?;
    Ok(content)
}

/// Gives back what an invoice was paid with, and takes back what it credited.
///
/// # Errors
/// `Corrupt` when a wallet is gone or an amount leaves 64 bits; other store errors.
pub(crate) fn give_back(
    unit: &mut UnitOfWork,
    (actor, time): (&Actor, &TenantTime),
    payer: Payer<'_>,
    (invoice, content): (&str, &InvoiceContent),
) -> Result<(), BillingError> {
    let mut wallets: Vec<Wallet> = payer.wallets.iter().map(WalletRecord::wallet).collect();
    let mut balance_minor = payer.customer.balance_minor;
    restore_credits(content, &mut wallets, &mut balance_minor).map_err(|error| damaged(invoice, &error))?;
    let cause = Cause { kind: BalanceEntryKind::InvoiceVoided, source: Some(invoice), reason: None };
    set_balance(unit, (actor, time), (payer.customer, balance_minor), &cause)?;
    set_wallets(unit, payer.wallets, &wallets)?;
    Ok(())
}

fn damaged(invoice: &str, error: &RestoreError) -> StoreError {
    StoreError::Corrupt(format!("what paid {invoice} cannot be given back: {error}"))
}

/// Why a balance changes.
pub(crate) struct Cause<'a> {
    pub kind: BalanceEntryKind,
    /// The invoice or credit note that it comes from.
    pub source: Option<&'a str>,
    /// In the words of whoever adjusts it.
    pub reason: Option<&'a str>,
}

/// Sets a customer's balance and returns the entry that says why; none when nothing changes.
///
/// # Errors
/// `Rule` when the change leaves 64 bits; store errors.
pub(crate) fn set_balance(
    unit: &mut UnitOfWork,
    (actor, time): (&Actor, &TenantTime),
    (customer, balance_minor): (&mut Customer, i64),
    cause: &Cause<'_>,
) -> Result<Option<BalanceEntry>, BillingError> {
    let amount_minor = balance_minor.checked_sub(customer.balance_minor).ok_or_else(balance_overflow)?;
    if amount_minor == 0 {
        return Ok(None);
    }
    customer.balance_minor = balance_minor;
    unit.replace(customer)?;
    let entry = BalanceEntry {
        id: balance_entry_id(&customer.id, customer.revision),
        tenant: customer.tenant.clone(),
        created: time.wall,
        customer: customer.id.clone(),
        actor: actor.id.clone(),
        kind: cause.kind,
        source: cause.source.map(ToOwned::to_owned),
        reason: cause.reason.map(ToOwned::to_owned),
        currency: customer.currency,
        amount_minor,
        balance_after_minor: balance_minor,
    };
    unit.insert(&entry)?;
    Ok(Some(entry))
}

pub(crate) fn balance_overflow() -> BillingError {
    BillingError::rule("balance_out_of_range", "/amount_minor", "the balance would leave 64 bits of minor units")
}

fn set_wallets(unit: &mut UnitOfWork, records: &mut [WalletRecord], after: &[Wallet]) -> Result<(), StoreError> {
    for (record, wallet) in records.iter_mut().zip(after) {
        if record.balance_minor != wallet.balance_minor {
            record.balance_minor = wallet.balance_minor;
            unit.replace(record)?;
        }
    }
    Ok(())
}
