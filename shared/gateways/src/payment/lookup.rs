//! Asking the gateway what became of an attempt, when its own answer proved nothing.
//!
//! It lists the customer's payments and matches `metadata.attempt`. The gateway's search would be
//! shorter, but it is eventually consistent and may miss what was just charged.

use jiff::{SignedDuration, Timestamp};

use super::charge::ChargeOutcome;
use super::error::PaymentError;
use super::stripe::StripeGateway;
use super::wire::{IntentList, PaymentIntent};

/// The gateway's clock is not ours: payments are looked for from this much before the attempt.
const CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_mins(10);
/// Stripe's largest page.
const PAGE_SIZE: &str = "100";
/// Two thousand payments of one customer since one attempt: beyond that something else is wrong.
const MAX_PAGES: usize = 20;

impl StripeGateway {
    /// Looks among the payments of `customer` since `since` for the attempt of that id. `since` is
    /// the real time of the attempt's first call, never a test clock's.
    ///
    /// `None` says that the gateway does not have it *now*: a call that is still under way may yet
    /// be executed, so ask only when none can be (after a replayed 5xx, or long after the last
    /// call's time-out).
    ///
    /// # Errors
    /// As for [`StripeGateway::charge`]. [`PaymentError::Unknown`] also when the gateway has the
    /// payment and has not decided it, and when the list is too long to read to its end.
    pub async fn find_by_attempt(
        &self,
        customer: &str,
        attempt: &str,
        since: Timestamp,
    ) -> Result<Option<ChargeOutcome>, PaymentError> {
        self.measured("find_by_attempt", async {
            let matches = self.payments_of_attempt(customer, attempt, since).await?;
            decide(matches)
        })
        .await
    }

    async fn payments_of_attempt(
        &self,
        customer: &str,
        attempt: &str,
        since: Timestamp,
    ) -> Result<Vec<PaymentIntent>, PaymentError> {
        let earliest = since.checked_sub(CLOCK_DIFFERENCE).unwrap_or(Timestamp::UNIX_EPOCH).as_second().to_string();
        let mut matches = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut query = vec![("customer", customer), ("created[gte]", &earliest), ("limit", PAGE_SIZE)];
            if let Some(last) = &cursor {
                query.push(("starting_after", last));
            }
            let page = self.page(&query).await?;
            cursor = page.data.last().map(|intent| intent.id.clone());
            let ended = !page.has_more || cursor.is_none();
            matches.extend(page.data.into_iter().filter(|i| i.is_attempt(attempt)));
            if ended {
                return Ok(matches);
            }
        }
        let detail = format!("more than {MAX_PAGES} pages of payments to look through");
        Err(PaymentError::unknown(detail))
    }

    async fn page(&self, query: &[(&str, &str)]) -> Result<IntentList, PaymentError> {
        let answer = self.call(self.list(query)).await?;
        if !answer.is_success() {
            // A list cannot be declined: a card error here is not an answer to the question.
            return Err(answer
                .refusal()
                .err()
                .unwrap_or_else(|| PaymentError::unknown("a card error in answer to a list")));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|error| PaymentError::unknown(format!("an unreadable list: {error}")))
    }
}

/// Of several payments under one attempt (the gateway forgot the key in between) money that was
/// taken counts first, then what may yet be taken, then the newest refusal.
fn decide(matches: Vec<PaymentIntent>) -> Result<Option<ChargeOutcome>, PaymentError> {
    let mut outcomes: Vec<_> = matches.into_iter().map(PaymentIntent::outcome).collect();
    let taken = |outcome: &Result<_, _>| matches!(outcome, Ok(ChargeOutcome::Succeeded { .. }));
    let first = outcomes.iter().position(taken).or_else(|| outcomes.iter().position(Result::is_err)).unwrap_or(0);
    if outcomes.is_empty() {
        return Ok(None);
    }
    outcomes.swap_remove(first).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intents(statuses: &[&str]) -> Vec<PaymentIntent> {
        let one = |status: &&str| {
            let text = format!(r#"{{"id":"pi_{status}","amount":1,"currency":"usd","status":"{status}"}}"#);
            serde_json::from_str(&text).unwrap()
        };
        statuses.iter().map(one).collect()
    }

    #[test]
    fn money_that_was_taken_counts_before_everything_else() {
        let found = decide(intents(&["canceled", "processing", "succeeded"]));
        assert!(matches!(found, Ok(Some(ChargeOutcome::Succeeded { .. }))));
    }

    #[test]
    fn what_may_yet_be_taken_counts_before_a_refusal() {
        let found = decide(intents(&["canceled", "processing"]));
        assert!(matches!(found, Err(PaymentError::Unknown { .. })));
    }

    #[test]
    fn nothing_found_is_no_outcome() {
        assert_eq!(decide(Vec::new()), Ok(None));
    }
}
