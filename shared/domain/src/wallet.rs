//! Wallets and the customer's balance: what pays an invoice before the gateway is asked.
//!
//! Wallets pay first, soonest expiry first, then the balance; both pay after tax, so they do not change it. A wallet that is
//! limited to prices pays at most the share of their lines, with tax, less what wallets before it paid of these lines. What a
//! wallet pays is counted against lines that few of the wallets after it cover, so that these can pay as much as possible.
//!
//! Owns no storage: wallets and balance are passed in and changed in place, all or none. **Invariant:** nothing pays more
//! than it has, or than is left. **Invariant:** what applying takes, restoring gives back, to the minor unit.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{AmountError, InvoiceContent, LineItem};

/// Prepaid money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wallet {
    /// Unique per customer.
    pub id: String,
    /// What is in it, in minor units of the customer's currency.
    pub balance_minor: i64,
    /// Keys of the prices that it may pay; none for everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applies_to: Vec<String>,
    /// First instant at which it pays nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// What a wallet paid of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletUse {
    /// Its id.
    pub wallet: String,
    /// Above zero, in minor units.
    pub amount_minor: i64,
}

impl Wallet {
    /// Whether it can pay anything at an instant.
    #[must_use]
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.balance_minor > 0 && self.expires_at.is_none_or(|end| now < end)
    }

    fn is_limited(&self) -> bool {
        !self.applies_to.is_empty()
    }

    fn covers(&self, line: &LineItem) -> bool {
        !self.is_limited() || line.price.as_deref().is_some_and(|key| self.applies_to.iter().any(|one| one == key))
    }
}

/// Pays an invoice that nothing has paid for yet, once, when it is finalised: by wallets (given in the order they were
/// created), then by the balance if that is in the customer's favour (positive). The balance is given what a total below
/// zero credits.
///
/// # Errors
/// `Overflow` when the balance leaves 64 bits; nothing is changed then.
pub fn apply_credits(
    content: InvoiceContent,
    wallets: &mut [Wallet],
    balance_minor: &mut i64,
    now: Timestamp,
) -> Result<InvoiceContent, AmountError> {
    let credited_minor = balance_minor.checked_add(content.credited_minor).ok_or(AmountError::Overflow)?;
    let uses = wallet_uses(&content, wallets, now)?;
    let mut due_minor = content.amount_due_minor;
    for (_, amount_minor) in &uses {
        due_minor = due_minor.checked_sub(*amount_minor).ok_or(AmountError::Overflow)?;
    }
    let credit_applied_minor = credited_minor.min(due_minor).max(0);
    let used = |(index, amount_minor): &(usize, i64)| WalletUse {
        wallet: wallets[*index].id.clone(),
        amount_minor: *amount_minor,
    };
    let content = content.paid_by(uses.iter().map(used).collect(), credit_applied_minor)?;
    // Nothing fails from here on: no wallet pays more than it has, nor does the balance.
    for (index, amount_minor) in uses {
        wallets[index].balance_minor -= amount_minor;
    }
    *balance_minor = credited_minor - credit_applied_minor;
    Ok(content)
}

/// What each wallet, named by its index, pays, in their order.
fn wallet_uses(content: &InvoiceContent, wallets: &[Wallet], now: Timestamp) -> Result<Vec<(usize, i64)>, AmountError> {
    let mut order: Vec<usize> = (0..wallets.len()).filter(|index| wallets[*index].is_usable(now)).collect();
    // A stable sort: no expiry last, equal ones as given.
    order.sort_by_key(|index| wallets[*index].expires_at.map_or((true, Timestamp::MAX), |end| (false, end)));
    let mut left = content.lines.iter().map(share).collect::<Result<Vec<_>, _>>()?;
    let mut due_minor = content.amount_due_minor;
    let mut uses = Vec::new();
    for (turn, index) in order.iter().enumerate() {
        let wallet = &wallets[*index];
        let covered: Vec<usize> = (0..left.len()).filter(|line| wallet.covers(&content.lines[*line])).collect();
        let limit = if wallet.is_limited() { sum(covered.iter().map(|line| left[*line]))? } else { due_minor };
        let amount_minor = wallet.balance_minor.min(limit).min(due_minor);
        if amount_minor > 0 {
            let later = order[turn + 1..].iter().map(|index| &wallets[*index]);
            take(&mut left, amount_minor, &in_order_of_need(covered, &content.lines, later));
            due_minor -= amount_minor;
            uses.push((*index, amount_minor));
        }
    }
    Ok(uses)
}

/// A line's share of the total, with tax.
fn share(line: &LineItem) -> Result<i64, AmountError> {
    let net_minor = line.amount_minor.checked_sub(line.discount_minor);
    net_minor.and_then(|net| net.checked_add(line.tax_minor)).ok_or(AmountError::Overflow)
}

fn sum(amounts: impl Iterator<Item = i64>) -> Result<i64, AmountError> {
    amounts.into_iter().try_fold(0_i64, i64::checked_add).ok_or(AmountError::Overflow)
}

/// Lines that few later wallets cover first, equal ones in line order.
fn in_order_of_need<'a>(
    mut covered: Vec<usize>,
    lines: &[LineItem],
    later: impl Iterator<Item = &'a Wallet> + Clone,
) -> Vec<usize> {
    covered.sort_by_cached_key(|line| later.clone().filter(|wallet| wallet.covers(&lines[*line])).count());
    covered
}

/// Takes an amount off what is left of these lines, one after the other.
fn take(left: &mut [i64], mut amount_minor: i64, lines: &[usize]) {
    for line in lines {
        let taken = left[*line].min(amount_minor).max(0);
        left[*line] -= taken;
        amount_minor -= taken;
    }
}

/// Why what paid an invoice cannot be given back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A wallet that paid is not there.
    #[error("the wallet `{0}`, which paid a part of the invoice, is not there")]
    UnknownWallet(String),
    /// An amount leaves 64 bits.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

/// Gives back what [`apply_credits`] took, when an invoice is voided: to wallets (also expired ones, which do not pay again)
/// and to the balance, from which what a total below zero credited is taken back.
///
/// # Errors
/// [`RestoreError`]; nothing is changed then.
pub fn restore_credits(
    content: &InvoiceContent,
    wallets: &mut [Wallet],
    balance_minor: &mut i64,
) -> Result<(), RestoreError> {
    let given = balance_minor.checked_add(content.credit_applied_minor);
    let balance = given.and_then(|balance| balance.checked_sub(content.credited_minor)).ok_or(AmountError::Overflow)?;
    let mut restored = wallets.to_vec();
    for used in &content.wallet_applied {
        let wallet = restored.iter_mut().find(|wallet| wallet.id == used.wallet);
        let wallet = wallet.ok_or_else(|| RestoreError::UnknownWallet(used.wallet.clone()))?;
        wallet.balance_minor = wallet.balance_minor.checked_add(used.amount_minor).ok_or(AmountError::Overflow)?;
    }
    wallets.clone_from_slice(&restored);
    *balance_minor = balance;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        InvoiceHead,
        invoice::fixtures::{content, coupon, head, line, rates},
    };

    const NOW: &str = "2024-02-01T00:00:00Z";

    fn wallet(id: &str, balance_minor: i64, applies_to: &[&str], expires_at: Option<&str>) -> Wallet {
        Wallet {
            id: id.to_owned(),
            balance_minor,
            applies_to: applies_to.iter().map(|key| (*key).to_owned()).collect(),
            expires_at: expires_at.map(|at| at.parse().unwrap()),
        }
    }

    /// What each wallet paid, and the content.
    fn paid(invoice: InvoiceContent, wallets: &mut [Wallet], balance_minor: &mut i64) -> (Vec<String>, InvoiceContent) {
        let paid = apply_credits(invoice, wallets, balance_minor, NOW.parse().unwrap()).unwrap();
        assert_eq!(paid.check(), Ok(()));
        assert_eq!(paid.recompute().as_ref(), Ok(&paid));
        let uses = paid.wallet_applied.iter().map(|used| format!("{} {}", used.wallet, used.amount_minor));
        (uses.collect(), paid)
    }

    #[test]
    fn wallet_002_a_wallet_pays_the_rounded_total() {
        let fees = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|price| {
            // 1.4 cents.
            let spec = serde_json::json!({ "key": price, "unit_amount": "0.014" });
            let spec: crate::OneOffLineSpec = serde_json::from_value(spec).unwrap();
            let fee = line(price, 0);
            crate::OneOffLine::try_from(spec).unwrap().line(fee.period, "usd".parse().unwrap()).unwrap()
        });
        let invoice = content(InvoiceHead { tax_rates: rates(&["40"]), ..head() }, fees.to_vec());
        assert_eq!((invoice.subtotal_minor, invoice.tax_minor, invoice.total_minor), (8, 3, 11));
        let (uses, invoice) = paid(invoice, &mut [wallet("w", 10_000, &[], None)], &mut 0);
        assert_eq!((uses, invoice.amount_due_minor), (vec!["w 11".to_owned()], 0));
    }

    /// "The customer's balance (positive is in the customer's favour) pays after that, never more than the total."
    #[test]
    fn cn_008_a_balance_pays_what_it_has() {
        let mut balance_minor = 2_000;
        let (_, invoice) = paid(content(head(), vec![line("charge", 10_000)]), &mut [], &mut balance_minor);
        assert_eq!((invoice.total_minor, invoice.credit_applied_minor), (10_000, 2_000));
        assert_eq!((invoice.amount_due_minor, balance_minor), (8_000, 0));
    }

    #[test]
    fn coupon_003_credits_do_not_reduce_the_tax_base() {
        let coupons = vec![coupon(r#"{ "key": "thirty", "amount_off_minor": 3000, "duration": "once" }"#)];
        let head = InvoiceHead { coupons, tax_rates: rates(&["8.25"]), ..head() };
        let (_, invoice) = paid(content(head, vec![line("a", 10_000)]), &mut [wallet("w", 500, &[], None)], &mut 0);
        assert_eq!((invoice.tax_minor, invoice.wallet_applied_minor, invoice.amount_due_minor), (578, 500, 7_078));
    }

    /// "Wallets pay first, the soonest expiry first."
    #[test]
    fn the_soonest_expiry_pays_first_and_expiry_is_exclusive() {
        let mut wallets = [
            wallet("never", 100, &[], None),
            wallet("march", 100, &[], Some("2024-03-01T00:00:00Z")),
            wallet("now", 100, &[], Some(NOW)),
            wallet("soon", 100, &[], Some("2024-02-01T00:00:01Z")),
            wallet("also never", 100, &[], None),
        ];
        let (uses, _) = paid(content(head(), vec![line("a", 350)]), &mut wallets, &mut 0);
        assert_eq!(uses, ["soon 100", "march 100", "never 100", "also never 50"]);
        assert_eq!(wallets.map(|wallet| wallet.balance_minor), [0, 0, 100, 0, 50]);
    }

    /// "A wallet that is limited to prices pays at most the covered lines' share with tax."
    #[test]
    fn a_limited_wallet_pays_the_covered_lines_with_tax() {
        let head = InvoiceHead { tax_rates: rates(&["20"]), ..head() };
        let invoice = || content(head.clone(), vec![line("seats", 1_000), line("base", 500)]);
        let (uses, left) = paid(invoice(), &mut [wallet("w", 10_000, &["seats", "calls"], None)], &mut 10_000);
        assert_eq!((uses, left.credit_applied_minor), (vec!["w 1200".to_owned()], 600));
        // The second one pays what the first one left of the line.
        let mut two = [wallet("one", 700, &["seats"], None), wallet("two", 10_000, &["seats"], None)];
        assert_eq!(paid(invoice(), &mut two, &mut 0).0, ["one 700", "two 500"]);
        assert_eq!(paid(invoice(), &mut [wallet("w", 10_000, &["calls"], None)], &mut 0).0, [""; 0]);
    }

    #[test]
    fn a_wallet_for_everything_leaves_lines_to_a_later_one_that_is_limited() {
        let invoice = content(head(), vec![line("seats", 1_000), line("base", 500)]);
        let soon = Some("2024-03-01T00:00:00Z");
        let mut wallets = [wallet("seats", 1_000, &["seats"], None), wallet("all", 600, &[], soon)];
        let (uses, invoice) = paid(invoice, &mut wallets, &mut 0);
        assert_eq!((uses, invoice.amount_due_minor), (vec!["all 600".to_owned(), "seats 900".to_owned()], 0));
    }

    #[test]
    fn credit_lines_reduce_the_share_of_their_price() {
        let invoice = content(head(), vec![line("seats", -300), line("seats", 1_000), line("base", 500)]);
        assert_eq!(paid(invoice, &mut [wallet("w", 10_000, &["seats"], None)], &mut 0).0, ["w 700"]);
        let invoice = content(head(), vec![line("seats", 1_000), line("base", -800)]);
        assert_eq!(paid(invoice, &mut [wallet("w", 10_000, &["seats"], None)], &mut 0).0, ["w 200"]);
    }

    #[test]
    fn a_debt_pays_nothing_and_a_total_below_zero_is_credited() {
        let mut balance_minor = -500;
        let (_, invoice) = paid(content(head(), vec![line("a", 100)]), &mut [], &mut balance_minor);
        assert_eq!((invoice.credit_applied_minor, invoice.amount_due_minor, balance_minor), (0, 100, -500));
        let below = content(head(), vec![line("a", -700)]);
        let (_, below) = paid(below, &mut [wallet("w", 100, &[], None)], &mut balance_minor);
        assert_eq!((below.amount_due_minor, balance_minor), (0, 200));
        restore_credits(&below, &mut [], &mut balance_minor).unwrap();
        assert_eq!(balance_minor, -500);
    }

    #[test]
    fn voiding_gives_back_what_was_taken_all_or_none() {
        let mut wallets = [wallet("one", 70, &[], None), wallet("two", 30, &["a"], None)];
        let (before, mut balance_minor) = (wallets.clone(), 20);
        let (_, invoice) = paid(content(head(), vec![line("a", 110)]), &mut wallets, &mut balance_minor);
        assert_eq!((invoice.wallet_applied_minor, balance_minor), (100, 10));
        let missing = restore_credits(&invoice, &mut wallets[..1], &mut balance_minor);
        assert_eq!(missing, Err(RestoreError::UnknownWallet("two".to_owned())));
        assert_eq!((wallets[0].balance_minor, balance_minor), (0, 10));
        restore_credits(&invoice, &mut wallets, &mut balance_minor).unwrap();
        assert_eq!((wallets, balance_minor), (before, 20));
    }

    #[test]
    fn a_balance_that_does_not_fit_changes_nothing() {
        let mut balance_minor = i64::MAX;
        let below = content(head(), vec![line("a", -700)]);
        let applied = apply_credits(below, &mut [], &mut balance_minor, NOW.parse().unwrap());
        assert_eq!((applied, balance_minor), (Err(AmountError::Overflow), i64::MAX));
    }
}
