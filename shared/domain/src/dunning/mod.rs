//! Dunning: what follows a declined payment.
//!
//! A soft decline is tried again on the policy's days after the first failure, a hard one waits for another payment method;
//! after the last day the policy's outcome applies to the subscription. Nothing is remembered here but the first failure:
//! a day that has passed, also unnoticed, is not made up for. So one attempt stands for all that an outage has missed, and
//! attempts that people make in between use up no day.
//!
//! Owns no attempt and no state: what becomes of the subscription is in `subscription::standing`. **Invariant:** an invoice is
//! tried at most once for each day of the policy, never before the gateway wants to see it again, and dunning ends.

mod decline;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use decline::{Advice, Decline, DeclineKind};

use crate::SpecError;

/// Days of a policy: gateways and banks look askance at more.
const MAX_RETRIES: usize = 10;
/// Last day of a policy: who has not paid for two months will not by being asked again.
const MAX_RETRY_DAY: u16 = 60;
/// Longest wait that a gateway may ask for, from the first failure on: what it says beyond is a mistake.
const MAX_ADVISED_DAYS: u16 = 90;
/// Days by default.
const RETRY_DAYS: [u16; 4] = [1, 3, 5, 7];

/// What becomes of a subscription when its invoice was tried in vain for the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DunningOutcome {
    /// It stays past due, and goes on being billed and collected.
    #[default]
    PastDue,
    /// It is unpaid, and billed as drafts.
    Unpaid,
    /// It is cancelled at once.
    Cancel,
}

/// The body of a policy, as clients write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DunningPolicySpec {
    /// Days after the first failure on which a declined invoice is tried again: ascending, 1 to 60; none for one attempt only.
    #[serde(default = "retry_days")]
    pub retry_days: Vec<u16>,
    /// What follows the last one.
    #[serde(default)]
    pub outcome: DunningOutcome,
}

fn retry_days() -> Vec<u16> {
    RETRY_DAYS.to_vec()
}

/// When a declined invoice is tried again, and what follows in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "DunningPolicySpec", into = "DunningPolicySpec")]
pub struct DunningPolicy {
    retry_days: Vec<u16>,
    outcome: DunningOutcome,
}

impl Default for DunningPolicy {
    fn default() -> Self {
        Self { retry_days: retry_days(), outcome: DunningOutcome::default() }
    }
}

impl TryFrom<DunningPolicySpec> for DunningPolicy {
    type Error = SpecError;

    fn try_from(DunningPolicySpec { retry_days, outcome }: DunningPolicySpec) -> Result<Self, SpecError> {
        if retry_days.len() > MAX_RETRIES {
            return Err(SpecError::new("retry_days", format!("must be at most {MAX_RETRIES} days")));
        }
        let mut before = 0;
        for (index, day) in retry_days.iter().enumerate() {
            if *day <= before || *day > MAX_RETRY_DAY {
                let rule = format!("must be above {before} and at most {MAX_RETRY_DAY}");
                return Err(SpecError::new(format!("retry_days[{index}]"), rule));
            }
            before = *day;
        }
        Ok(Self { retry_days, outcome })
    }
}

impl From<DunningPolicy> for DunningPolicySpec {
    fn from(DunningPolicy { retry_days, outcome }: DunningPolicy) -> Self {
        Self { retry_days, outcome }
    }
}

/// An attempt that a gateway declined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentFailure {
    /// When the invoice's first attempt failed; `at`, if this is it.
    pub first_failed_at: Timestamp,
    /// When this one did.
    pub at: Timestamp,
    /// Why.
    pub decline: Decline,
}

/// What follows a failed attempt; each is worth a message to the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DunningStep {
    /// It is tried again at this instant.
    RetryAt(Timestamp),
    /// It is not tried again by itself, but at once with another payment method. If none has come by this instant, the
    /// policy's outcome applies.
    AwaitPaymentMethod {
        /// The last day of the policy.
        until: Timestamp,
    },
    /// It is tried no more, and this applies now.
    End(DunningOutcome),
}

impl DunningPolicy {
    /// What becomes of the subscription in the end.
    #[must_use]
    pub fn outcome(&self) -> DunningOutcome {
        self.outcome
    }

    /// What follows a failed attempt, whoever made it.
    #[must_use]
    pub fn after(&self, failure: &PaymentFailure) -> DunningStep {
        let day = |day: u16| days_after(failure.first_failed_at, day);
        let mut to_come = self.retry_days.iter().map(|retry| day(*retry)).filter(|at| *at > failure.at);
        let step = match failure.decline.kind() {
            DeclineKind::Soft => to_come.next().map(|next| {
                let not_before = failure.decline.not_before.map(|at| at.min(day(MAX_ADVISED_DAYS)));
                DunningStep::RetryAt(not_before.map_or(next, |at| at.max(next)))
            }),
            DeclineKind::Hard => to_come.next_back().map(|until| DunningStep::AwaitPaymentMethod { until }),
        };
        step.unwrap_or(DunningStep::End(self.outcome))
    }
}

/// Whole days of 24 hours, whatever the clocks do: nobody is billed by them.
fn days_after(at: Timestamp, days: u16) -> Timestamp {
    at.checked_add(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const FIRST: &str = "2024-03-09T12:00:00Z";

    fn policy(body: Value) -> Result<DunningPolicy, SpecError> {
        serde_json::from_value::<DunningPolicySpec>(body).unwrap().try_into()
    }

    fn soft() -> Decline {
        Decline { code: "card_declined".into(), decline_code: Some("insufficient_funds".into()), ..Decline::default() }
    }

    fn hard() -> Decline {
        Decline { code: "expired_card".into(), ..Decline::default() }
    }

    fn failed(at: &str, decline: Decline) -> PaymentFailure {
        PaymentFailure { first_failed_at: FIRST.parse().unwrap(), at: at.parse().unwrap(), decline }
    }

    fn retry(at: &str) -> DunningStep {
        DunningStep::RetryAt(at.parse().unwrap())
    }

    /// "Soft declines are retried on a schedule (default days 1, 3, 5, 7 after the first failure), days of 24 hours."
    #[test]
    fn soft_declines_are_retried_on_days_1_3_5_7_after_the_first_failure() {
        let policy = DunningPolicy::default();
        let steps = [FIRST, "2024-03-10T12:00:00Z", "2024-03-12T12:00:07Z", "2024-03-14T12:00:00Z"]
            .map(|at| policy.after(&failed(at, soft())));
        let days =
            ["2024-03-10", "2024-03-12", "2024-03-14", "2024-03-16"].map(|day| retry(&format!("{day}T12:00:00Z")));
        assert_eq!(steps, days);
        let last = policy.after(&failed("2024-03-16T12:00:00Z", soft()));
        assert_eq!(last, DunningStep::End(DunningOutcome::PastDue));
    }

    /// "A day that has passed is not made up for, and an attempt in between uses up no day."
    #[test]
    fn days_that_an_outage_has_missed_are_not_made_up_for() {
        let policy = DunningPolicy::default();
        assert_eq!(policy.after(&failed("2024-03-13T00:00:00Z", soft())), retry("2024-03-14T12:00:00Z"));
        assert_eq!(policy.after(&failed("2024-05-01T00:00:00Z", soft())), DunningStep::End(DunningOutcome::PastDue));
    }

    #[test]
    fn an_attempt_in_between_uses_up_no_day() {
        let policy = DunningPolicy::default();
        let steps = ["2024-03-09T13:00:00Z", "2024-03-10T11:59:59Z"].map(|at| policy.after(&failed(at, soft())));
        assert_eq!(steps, [retry("2024-03-10T12:00:00Z"); 2]);
    }

    /// "Hard declines (by the gateway's advice, else by its codes) wait for a new payment method until the last day."
    #[test]
    fn hard_declines_wait_for_a_new_payment_method_until_the_last_day() {
        let policy = policy(json!({ "outcome": "cancel" })).unwrap();
        let until = "2024-03-16T12:00:00Z".parse().unwrap();
        for at in [FIRST, "2024-03-16T11:00:00Z"] {
            assert_eq!(policy.after(&failed(at, hard())), DunningStep::AwaitPaymentMethod { until });
        }
        let over = policy.after(&failed("2024-03-16T12:00:00Z", hard()));
        assert_eq!(over, DunningStep::End(DunningOutcome::Cancel));
        // A new one that is declined softly goes on with the schedule where it stands.
        assert_eq!(policy.after(&failed("2024-03-12T13:00:00Z", soft())), retry("2024-03-14T12:00:00Z"));
    }

    /// "The gateway may ask for more time, at most 90 days from the first failure."
    #[test]
    fn a_gateway_may_ask_for_more_time_but_not_for_ever() {
        let policy = DunningPolicy::default();
        let asked = |not_before: &str| {
            let not_before = Some(not_before.parse().unwrap());
            policy.after(&failed(FIRST, Decline { not_before, ..soft() }))
        };
        assert_eq!(asked("2024-03-11T08:00:00Z"), retry("2024-03-11T08:00:00Z"));
        assert_eq!(asked("2024-03-09T14:00:00Z"), retry("2024-03-10T12:00:00Z"));
        assert_eq!(asked("9999-01-01T00:00:00Z"), retry("2024-06-07T12:00:00Z"));
    }

    #[test]
    fn without_days_the_first_decline_is_the_last() {
        let policy = policy(json!({ "retry_days": [], "outcome": "unpaid" })).unwrap();
        for decline in [soft(), hard()] {
            assert_eq!(policy.after(&failed(FIRST, decline)), DunningStep::End(DunningOutcome::Unpaid));
        }
    }

    #[test]
    fn a_broken_rule_of_a_policy_is_named_by_its_path() {
        for (days, path) in [
            (json!([0]), "retry_days[0]"),
            (json!([1, 1]), "retry_days[1]"),
            (json!([3, 1]), "retry_days[1]"),
            (json!([1, 61]), "retry_days[1]"),
            (json!([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), "retry_days"),
        ] {
            assert_eq!(policy(json!({ "retry_days": days })).unwrap_err().path, path);
        }
        assert_eq!(policy(json!({})).unwrap(), DunningPolicy::default());
        let written = serde_json::to_value(DunningPolicy::default()).unwrap();
        assert_eq!(written, json!({ "retry_days": [1, 3, 5, 7], "outcome": "past_due" }));
    }

    prop_compose! {
        fn policies()(days in prop::collection::btree_set(1..=MAX_RETRY_DAY, 0..=MAX_RETRIES), outcome in 0..3_usize) -> DunningPolicy {
            let outcome = [DunningOutcome::PastDue, DunningOutcome::Unpaid, DunningOutcome::Cancel][outcome];
            DunningPolicySpec { retry_days: days.into_iter().collect(), outcome }.try_into().unwrap()
        }
    }

    proptest! {
        /// "After the last step the tenant's policy applies: past_due, unpaid, or cancel."
        ///
        /// Attempts are made when they are due or late, and declined softly, with or without a wish of the gateway's,
        /// until dunning ends.
        #[test]
        fn dunning_ends_after_at_most_an_attempt_for_each_day(
            policy in policies(),
            delays in prop::collection::vec((0..200_i64, prop::option::of(0..3_000_i64)), 20),
        ) {
            let first_failed_at: Timestamp = FIRST.parse().unwrap();
            let (mut at, mut attempts, mut ended) = (first_failed_at, 1, None);
            for (late, asked) in delays {
                let not_before = asked.map(|hours| at + SignedDuration::from_hours(hours));
                match policy.after(&PaymentFailure { first_failed_at, at, decline: Decline { not_before, ..soft() } }) {
                    DunningStep::RetryAt(next) => {
                        prop_assert!(next > at);
                        let limit = days_after(first_failed_at, MAX_ADVISED_DAYS);
                        prop_assert!(not_before.is_none_or(|wish| next >= wish.min(limit)));
                        at = next + SignedDuration::from_hours(late);
                        attempts += 1;
                    }
                    step => {
                        ended = Some(step);
                        break;
                    }
                }
            }
            prop_assert_eq!(ended, Some(DunningStep::End(policy.outcome())));
            prop_assert!(attempts <= 1 + policy.retry_days.len());
        }
    }
}
