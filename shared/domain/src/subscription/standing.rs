//! What failed payments make of a subscription.
//!
//! From the first failure on it is past due; where dunning ends as the tenant wants it, it is unpaid or cancelled. A pause
//! outlasts all that: while it lasts the subscription is paused, and shows how it stands when it resumes. Unpaid is left by
//! paying or cancelling only.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{ForbiddenTransition, Subscription, SubscriptionStatus};

/// How it stands by its payments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// No payment has failed that is still owed.
    #[default]
    Good,
    /// One has, and it is collected further.
    PastDue,
    /// One has for the last time.
    Unpaid,
}

impl Standing {
    pub(crate) fn is_good(&self) -> bool {
        *self == Self::Good
    }
}

impl Subscription {
    /// A payment of one of its invoices has failed: it is past due, unless it is unpaid already. One that is over stays so.
    ///
    /// # Errors
    /// None for a subscription as billing leaves it.
    pub fn payment_failed(&mut self, today: Date) -> Result<(), ForbiddenTransition> {
        if self.standing == Standing::Good {
            self.standing = Standing::PastDue;
        }
        self.show_standing(today)
    }

    /// The last attempt to collect one of its invoices has failed, and the tenant wants such a subscription unpaid.
    ///
    /// # Errors
    /// None for a subscription as billing leaves it.
    pub fn left_unpaid(&mut self, today: Date) -> Result<(), ForbiddenTransition> {
        // It is past due before it is unpaid, if only for a moment.
        self.payment_failed(today)?;
        self.standing = Standing::Unpaid;
        self.show_standing(today)
    }

    /// Of its invoices none is owed any more whose payment has failed.
    ///
    /// # Errors
    /// None for a subscription as billing leaves it.
    pub fn payments_recovered(&mut self, today: Date) -> Result<(), ForbiddenTransition> {
        self.standing = Standing::Good;
        self.show_standing(today)
    }

    /// Whether a payment has failed that is still owed.
    #[must_use]
    pub fn is_in_arrears(&self) -> bool {
        !self.standing.is_good()
    }

    /// Whether its invoices are left as drafts, since nobody would pay them.
    #[must_use]
    pub fn is_billed_as_drafts(&self) -> bool {
        self.standing == Standing::Unpaid
    }

    /// The state of one that lives and is not paused.
    pub(crate) fn living_status(&self, today: Date) -> SubscriptionStatus {
        match self.standing {
            Standing::PastDue => SubscriptionStatus::PastDue,
            Standing::Unpaid => SubscriptionStatus::Unpaid,
            Standing::Good if self.trial_end.is_some_and(|end| today < end) => SubscriptionStatus::Trialing,
            Standing::Good => SubscriptionStatus::Active,
        }
    }

    /// Has its state say how it stands, unless it is paused or over.
    pub(crate) fn show_standing(&mut self, today: Date) -> Result<(), ForbiddenTransition> {
        let status = self.living_status(today);
        let is_hidden = matches!(self.status, SubscriptionStatus::Paused | SubscriptionStatus::Cancelled);
        if is_hidden || status == self.status { Ok(()) } else { self.transition_to(status) }
    }
}
