//! The states of a subscription, and the one table of which can become which.

use serde::{Deserialize, Serialize};

/// Where a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// In its trial: fixed fees are not charged yet.
    Trialing,
    /// Billed and paid.
    Active,
    /// Billed and collected, but a payment has failed and is still owed.
    PastDue,
    /// Billed as drafts, since a payment has failed for the last time; left by paying or cancelling only.
    Unpaid,
    /// Not billed until resumed.
    Paused,
    /// Over.
    Cancelled,
}

impl SubscriptionStatus {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::Trialing, Self::Active, Self::PastDue, Self::Unpaid, Self::Paused, Self::Cancelled];

    /// Its wire name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Unpaid => "unpaid",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
        }
    }

    /// The states that this one can become.
    #[must_use]
    pub fn successors(self) -> &'static [Self] {
        match self {
            Self::Trialing => &[Self::Active, Self::PastDue, Self::Paused, Self::Cancelled],
            Self::Active => &[Self::Trialing, Self::PastDue, Self::Paused, Self::Cancelled],
            Self::PastDue => &[Self::Trialing, Self::Active, Self::Unpaid, Self::Paused, Self::Cancelled],
            Self::Unpaid => &[Self::Trialing, Self::Active, Self::Cancelled],
            Self::Paused => &[Self::Trialing, Self::Active, Self::PastDue, Self::Unpaid, Self::Cancelled],
            Self::Cancelled => &[],
        }
    }
}
