//! Dunning: what follows a declined payment.

use serde::{Deserialize, Serialize};

/// When a declined invoice is tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DunningPolicy {
    /// Days after the first failure, in order.
    retry_days: Vec<u16>,
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DunningStep {
    /// The next attempt, so many days after the first failure.
    RetryOnDay(u16),
    /// No further attempt: the invoice stays open.
    StayOpen,
}

impl DunningPolicy {
    /// One attempt per invoice.
    #[must_use]
    pub fn no_retry() -> Self {
        Self::default()
    }

    /// What follows when `retries` retries have failed after the first attempt.
    #[must_use]
    pub fn decide(&self, retries: usize) -> DunningStep {
        self.retry_days.get(retries).map_or(DunningStep::StayOpen, |&day| DunningStep::RetryOnDay(day))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_retries_a_declined_invoice_stays_open() {
        assert_eq!(DunningPolicy::no_retry().decide(0), DunningStep::StayOpen);
    }

    #[test]
    fn a_schedule_is_followed_to_its_end() {
        let policy = DunningPolicy { retry_days: vec![1, 3] };
        let steps = [0, 1, 2].map(|retries| policy.decide(retries));
        assert_eq!(steps, [DunningStep::RetryOnDay(1), DunningStep::RetryOnDay(3), DunningStep::StayOpen]);
    }
}
