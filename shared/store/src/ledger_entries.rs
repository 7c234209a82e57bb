//! Ledger entries: every movement of money, in double entry. Append-only: nothing here is ever changed.
//!
//! **Invariant:** an entry is inserted in the transaction that moves the money, under an id made of what moved it, so that a
//! movement is booked once. **Invariant:** its postings sum to zero (`domain::ledger`).

use domain::{
    Currency,
    ledger::{MovementKind, Posting},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{instant, record::record};

/// A movement of money that happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// `led_` + what moved it + kind; see [`crate::ledger_entry_id`].
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    #[serde(with = "instant")]
    pub created: Timestamp,
    /// On the tenant's clock.
    #[serde(with = "instant")]
    pub moved_at: Timestamp,
    pub kind: MovementKind,
    /// The invoice, credit note, payment attempt, refund, wallet or balance entry that it comes from.
    pub source: String,
    pub customer: String,
    /// The invoice whose receivable it changes, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice: Option<String>,
    pub currency: Currency,
    pub postings: Vec<Posting>,
}
record!(LedgerEntry, "ledger_entries");
