//! Balance entries: why a customer's balance is what it is. Append-only: nothing here is ever changed.
//!
//! **Invariant:** the newest entry's `balance_after_minor` is the customer's balance: an entry is inserted in the transaction
//! that changes the balance, under an id that the customer's revision makes unique.

use domain::Currency;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{instant, record::record};

/// One change of a customer's balance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BalanceEntry {
    /// `bal_` + customer + the customer's revision after it, so that entries of one instant are in order.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    #[serde(with = "instant")]
    pub created: Timestamp,
    pub customer: String,
    /// User id, or `system`.
    pub actor: String,
    pub kind: BalanceEntryKind,
    /// The invoice or credit note it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Why, in the words of whoever adjusted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The customer's.
    pub currency: Currency,
    /// Not zero; above zero in the customer's favour.
    pub amount_minor: i64,
    pub balance_after_minor: i64,
}
record!(BalanceEntry, "balance_entries");

/// What changed a balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BalanceEntryKind {
    /// Somebody corrected it.
    Adjustment,
    /// An invoice was issued: it was paid from the balance, or its total below zero was credited to it.
    InvoiceIssued,
    /// An invoice was voided: the opposite of what issuing it did.
    InvoiceVoided,
    /// More was paid than an invoice needed.
    Overpayment,
    /// A credit note gave what the invoice did not need any more.
    CreditNote,
}
