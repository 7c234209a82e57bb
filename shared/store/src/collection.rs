//! How what is owed is collected.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How an invoice is collected, as it was when it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "collection", rename_all = "snake_case")]
pub enum Collection {
    /// From the customer's payment method, at once.
    #[default]
    ChargeAutomatically,
    /// By the customer itself, within so many days.
    SendInvoice { net_days: u16 },
}

impl Collection {
    /// Until when what is issued at an instant is to be paid; a day is 24 hours.
    #[must_use]
    pub fn due_at(self, issued_at: Timestamp) -> Timestamp {
        match self {
            Self::ChargeAutomatically => issued_at,
            Self::SendInvoice { net_days } => {
                issued_at.saturating_add(SignedDuration::from_hours(24 * i64::from(net_days))).unwrap_or(Timestamp::MAX)
            }
        }
    }
}
