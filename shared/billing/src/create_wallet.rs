//! Tops up prepaid credit: a wallet that pays a customer's invoices until it is empty or expires.

use domain::ledger::wallet_topped_up;
use jiff::Timestamp;
use serde_json::json;
use store::{Store, UnitOfWork, WalletRecord};

use crate::{
    Actor, BillingError, Change, EventType, TenantTime,
    actor::Fact,
    find_customer::find_customer,
    ledger::{Source, book},
    purse::{MAX_CREDIT_MINOR, load_wallets},
};

/// Wallets that a customer can pay with at once: every one of them is looked at for every invoice.
const MAX_WALLETS: usize = 100;

/// A wallet to create, already parsed.
#[derive(Clone, Debug)]
pub struct NewWallet {
    /// `cus_...`
    pub customer: String,
    /// Above zero.
    pub amount_minor: i64,
    /// Keys of prices; none for everything.
    pub applies_to: Vec<String>,
    /// In the future.
    pub expires_at: Option<Timestamp>,
    pub name: Option<String>,
}

/// Decides the creation of a wallet under `id`.
///
/// The customer is written with it, so that of two creations at once for one customer one sees the other.
///
/// # Errors
/// `Rule` when the customer is unknown, the amount out of range or the expiry in the past; `State` when the customer has too
/// many wallets; store errors.
pub async fn create_wallet(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (id, new): (String, NewWallet),
) -> Result<Change<WalletRecord>, BillingError> {
    let mut customer = find_customer(store, &actor.tenant, &new.customer).await?;
    check(&new, time)?;
    if load_wallets(store, &customer, time).await?.len() >= MAX_WALLETS {
        let detail = format!("the customer has {MAX_WALLETS} wallets with something in them already");
        return Err(BillingError::State { code: "too_many_wallets", detail });
    }
    let wallet = WalletRecord {
        id,
        tenant: actor.tenant.clone(),
        revision: 1,
        created: time.wall,
        customer: customer.id.clone(),
        name: new.name,
        currency: customer.currency,
        amount_minor: new.amount_minor,
        balance_minor: new.amount_minor,
        applies_to: new.applies_to,
        expires_at: new.expires_at,
    };
    let mut unit = UnitOfWork::default();
    unit.replace(&mut customer)?;
    unit.insert(&wallet)?;
    let filled = wallet_topped_up(&wallet.id, wallet.amount_minor);
    book(&mut unit, time, Source::customer(&customer, &wallet.id), filled)?;
    let data = json!({
        "customer": wallet.customer, "amount_minor": wallet.amount_minor, "currency": wallet.currency,
    });
    let fact = Fact { name: EventType::WalletCreated, subject: &wallet.id, revision: wallet.revision, data };
    actor.record(&mut unit, time.wall, fact)?;
    Ok(Change { result: wallet, unit, follow_up: Vec::new() })
}

fn check(new: &NewWallet, time: &TenantTime) -> Result<(), BillingError> {
    if !(1..=MAX_CREDIT_MINOR).contains(&new.amount_minor) {
        let detail = format!("must be between 1 and {MAX_CREDIT_MINOR}");
        return Err(BillingError::rule("amount_out_of_range", "/amount_minor", detail));
    }
    if new.expires_at.is_some_and(|end| end <= time.now) {
        return Err(BillingError::rule("expires_in_past", "/expires_at", "must lie in the future"));
    }
    Ok(())
}
