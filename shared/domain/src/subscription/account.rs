//! What has been billed of a price's window under way.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{BillingPeriod, Exact};

/// A price's account in the window under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    /// What has been billed in advance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid: Option<Paid>,
    /// The day up to which arrears have been billed, after a change of quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Date>,
    /// What the arrears billed up to the cut come to, in minor units.
    #[serde(default)]
    pub arrears_minor: i64,
}

/// What has been billed in advance for a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Paid {
    /// The full window.
    pub full: BillingPeriod,
    /// First day after those billed.
    pub until: Date,
    /// The quantity that the days to come were billed for.
    pub quantity: Exact,
    /// Billed, net of discount, in minor units.
    pub net_minor: i64,
    /// Credited since, in minor units.
    pub credited_minor: i64,
}

impl Paid {
    /// Nothing, for days up to `until`.
    pub(crate) fn nothing(full: BillingPeriod, until: Date, quantity: Exact) -> Self {
        Self { full, until, quantity, net_minor: 0, credited_minor: 0 }
    }

    /// What may still be credited.
    pub(crate) fn creditable_minor(&self) -> i64 {
        self.net_minor.saturating_sub(self.credited_minor).max(0)
    }
}
