//! The gateway: its own ledger, which nothing else writes.

use std::collections::BTreeMap;

use super::Dice;

/// What it executes a request to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charge {
    pub(super) invoice: usize,
    pub(super) amount_minor: i64,
    pub(super) is_paid: bool,
}

#[derive(Debug, Default)]
pub(super) struct Gateway {
    /// By idempotency key.
    pub(super) ledger: BTreeMap<String, Charge>,
    /// What it has sent, for ever deliverable: attempt and whether it was paid.
    pub(super) webhooks: Vec<(usize, bool)>,
    /// Whether the customer's payment method has no money.
    is_empty: bool,
    /// Whether no answer is lost.
    pub(super) is_reliable: bool,
}

impl Gateway {
    /// Charges once for a key, and answers, unless the answer is lost.
    pub(super) fn charge(
        &mut self,
        key: String,
        (attempt, invoice): (usize, usize),
        amount_minor: i64,
        dice: &mut Dice,
    ) -> Option<bool> {
        if !self.is_reliable && dice.below(8) == 0 {
            return None;
        }
        let is_paid = !self.is_empty || self.is_reliable;
        let is_new = !self.ledger.contains_key(&key);
        let charge = *self.ledger.entry(key).or_insert(Charge { invoice, amount_minor, is_paid });
        if is_new {
            self.webhooks.push((attempt, charge.is_paid));
        }
        (self.is_reliable || dice.below(6) > 0).then_some(charge.is_paid)
    }

    /// The customer's payment method gets or loses its money.
    pub(super) fn change_method(&mut self, dice: &mut Dice) {
        self.is_empty = dice.below(2) == 0;
    }
}
