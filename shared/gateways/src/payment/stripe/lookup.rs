//! Asking the gateway what became of an attempt, when its own answer proved nothing.
//!
//! It lists the customer's payments and matches `metadata.attempt`. The gateway's search would be
//! shorter, but it is eventually consistent and may miss what was just charged.

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;

use super::StripeGateway;
use super::wire::{List, PaymentIntent, Refund};
use crate::payment::charge::ChargeOutcome;
use crate::payment::error::PaymentError;
use crate::payment::port::{PaymentPage, RefundOutcome, RefundRequest, Sought};

/// The gateway's clock is not ours: payments are looked for from this much before the attempt.
const CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_mins(10);
/// Stripe's largest page.
const PAGE_SIZE: &str = "100";
/// Two thousand payments of one customer since one attempt: beyond that something else is wrong.
const MAX_PAGES: usize = 20;

impl StripeGateway {
    /// Looks among the payments of a customer for those of an attempt.
    pub(super) async fn find_attempt(&self, sought: &Sought) -> Result<Option<ChargeOutcome>, PaymentError> {
        let earliest = earliest(sought.since);
        let mut matches = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut query =
                vec![("customer", sought.customer.as_str()), ("created[gte]", &earliest), ("limit", PAGE_SIZE)];
            if let Some(last) = &cursor {
                query.push(("starting_after", last));
            }
            let page: List<PaymentIntent> = self.page("payment_intents", &query).await?;
            cursor = page.data.last().map(|intent| intent.id.clone());
            let ended = !page.has_more || cursor.is_none();
            matches.extend(page.data.into_iter().filter(|intent| intent.is_attempt(&sought.attempt)));
            if ended {
                return decide(matches);
            }
        }
        let detail = format!("more than {MAX_PAGES} pages of payments to look through");
        Err(PaymentError::unknown(detail))
    }

    /// Looks among the refunds of a payment, of which there are a hundred at most.
    pub(super) async fn find_own_refund(&self, request: &RefundRequest) -> Result<Option<RefundOutcome>, PaymentError> {
        let query = [("payment_intent", request.payment_id.as_str()), ("limit", PAGE_SIZE)];
        let page: List<Refund> = self.page("refunds", &query).await?;
        let found = page.data.into_iter().find(|refund| refund.is_refund(request));
        match found {
            None if page.has_more => Err(PaymentError::unknown("more refunds of one payment than a page has")),
            found => Ok(found.map(Refund::outcome)),
        }
    }

    /// One page of everything since then.
    pub(super) async fn page_since(&self, since: Timestamp, after: Option<&str>) -> Result<PaymentPage, PaymentError> {
        let earliest = earliest(since);
        let mut query = vec![("created[gte]", earliest.as_str()), ("limit", PAGE_SIZE)];
        query.extend(after.map(|last| ("starting_after", last)));
        let page: List<PaymentIntent> = self.page("payment_intents", &query).await?;
        let last = page.data.last().map(|intent| intent.id.clone());
        Ok(PaymentPage {
            payments: page.data.into_iter().map(PaymentIntent::into_payment).collect(),
            next: last.filter(|_| page.has_more),
        })
    }

    async fn page<T: DeserializeOwned>(&self, kind: &str, query: &[(&str, &str)]) -> Result<List<T>, PaymentError> {
        let answer = self.call(self.get(&[kind]).query(query)).await?;
        if !answer.is_success() {
            // A list cannot be declined: a card error here is not an answer to the question.
            return Err(answer
                .refusal()
                .err()
                .unwrap_or_else(|| PaymentError::unknown("a card error in answer to a list")));
        }
        answer.read()
    }
}

fn earliest(since: Timestamp) -> String {
    since.checked_sub(CLOCK_DIFFERENCE).unwrap_or(Timestamp::UNIX_EPOCH).as_second().to_string()
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
