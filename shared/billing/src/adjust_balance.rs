//! Adjusts a customer's balance by hand: a gift, a correction, a debt.

use domain::ledger::balance_adjusted;
use serde_json::json;
use store::{BalanceEntry, BalanceEntryKind, Store, UnitOfWork};

use crate::{
    Actor, BillingError, Change, EventType, TenantTime,
    actor::Fact,
    find_customer::load_customer,
    ledger::{Source, book},
    purse::{Cause, MAX_CREDIT_MINOR, balance_overflow, set_balance},
};

/// An adjustment, already parsed.
#[derive(Clone, Debug)]
pub struct BalanceAdjustment {
    /// Above zero in the customer's favour; not zero.
    pub amount_minor: i64,
    pub reason: String,
}

/// Decides an adjustment.
///
/// # Errors
/// `NotFound` for an unknown customer; `Rule` for an amount that is zero or out of range; store errors.
pub async fn adjust_balance(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (customer, adjustment): (&str, &BalanceAdjustment),
) -> Result<Change<BalanceEntry>, BillingError> {
    let mut customer = load_customer(store, &actor.tenant, customer).await?;
    let before = json!({ "balance_minor": customer.balance_minor });
    let amount_minor = adjustment.amount_minor;
    if amount_minor.unsigned_abs() > MAX_CREDIT_MINOR.unsigned_abs() {
        let detail = format!("must be between -{MAX_CREDIT_MINOR} and {MAX_CREDIT_MINOR}");
        return Err(BillingError::rule("amount_out_of_range", "/amount_minor", detail));
    }
    let balance_minor = customer.balance_minor.checked_add(amount_minor).ok_or_else(balance_overflow)?;
    let mut unit = UnitOfWork::default();
    let cause = Cause { kind: BalanceEntryKind::Adjustment, source: None, reason: Some(&adjustment.reason) };
    let entry = set_balance(&mut unit, (actor, time), (&mut customer, balance_minor), &cause)?;
    let Some(entry) = entry else {
        return Err(BillingError::rule("amount_zero", "/amount_minor", "must not be zero"));
    };
    book(&mut unit, time, Source::customer(&customer, &entry.id), balance_adjusted(&customer.id, amount_minor))?;
    let data = json!({
        "amount_minor": amount_minor, "balance_after_minor": balance_minor, "reason": adjustment.reason,
    });
    let fact =
        Fact { name: EventType::CustomerBalanceAdjusted, subject: &customer.id, revision: customer.revision, data };
    actor.record_change(&mut unit, time.wall, (before, fact))?;
    Ok(Change { result: entry, unit, follow_up: Vec::new() })
}
