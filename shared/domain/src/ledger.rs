//! The ledger: what every movement of money means in double entry.
//!
//! One function for each movement, which says from which account to which. Owns no storage: a movement is stored in the
//! transaction that moves the money. Debits are above zero and credits below it, so what customers owe is a positive sum and
//! what is owed to them a negative one.
//!
//! **Invariant:** a movement sums to zero. It is made of transfers, each of which takes from one account what it gives to the
//! other, so there is no way to build another one.

use serde::{Deserialize, Serialize};

use crate::{AmountError, CreditNote, InvoiceContent, Settlement};

/// Where money is, or why it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// What customers owe, by invoice.
    Receivable,
    /// What was earned, net of discounts and credit notes.
    Revenue,
    /// Taxes owed to the state.
    Tax,
    /// What the payment gateway has collected and not given back.
    Cash,
    /// What came in by another way and was recorded by hand.
    Bank,
    /// What is owed to customers as their balance, by customer; what they owe, if the balance is below zero.
    CustomerBalance,
    /// Prepaid credit, by wallet.
    Wallet,
    /// Promised by credit notes to be refunded, less what was refunded.
    Refunds,
    /// Invoices that will not be paid.
    WriteOff,
    /// Balances and wallets that were given, corrected or taken by hand.
    Adjustments,
    /// Prepaid credit that expired.
    Breakage,
}

/// What moved the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MovementKind {
    InvoiceIssued,
    WalletUsed,
    BalanceUsed,
    InvoiceVoided,
    WalletRestored,
    BalanceRestored,
    CreditNoteIssued,
    PaymentReceived,
    RefundPaid,
    WrittenOff,
    BalanceAdjusted,
    WalletToppedUp,
    WalletExpired,
}

impl MovementKind {
    /// Its wire name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvoiceIssued => "invoice_issued",
            Self::WalletUsed => "wallet_used",
            Self::BalanceUsed => "balance_used",
            Self::InvoiceVoided => "invoice_voided",
            Self::WalletRestored => "wallet_restored",
            Self::BalanceRestored => "balance_restored",
            Self::CreditNoteIssued => "credit_note_issued",
            Self::PaymentReceived => "payment_received",
            Self::RefundPaid => "refund_paid",
            Self::WrittenOff => "written_off",
            Self::BalanceAdjusted => "balance_adjusted",
            Self::WalletToppedUp => "wallet_topped_up",
            Self::WalletExpired => "wallet_expired",
        }
    }
}

/// One side of a movement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    pub account: Account,
    /// The invoice, customer or wallet, where the account is kept by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Debit above zero, credit below; not zero.
    pub amount_minor: i64,
}

/// A balanced movement of one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    pub kind: MovementKind,
    /// Sum to zero; none when nothing moved.
    pub postings: Vec<Posting>,
}

/// Whose invoice, for the accounts that are kept by one.
#[derive(Clone, Copy, Debug)]
pub struct Parties<'a> {
    pub customer: &'a str,
    pub invoice: &'a str,
}

/// An account, of somebody.
type Place<'a> = (Account, Option<&'a str>);

/// Debits the first account and credits the second.
type Transfer<'a> = (Place<'a>, Place<'a>, i64);

impl<'a> Parties<'a> {
    fn receivable(&self) -> Place<'a> {
        (Account::Receivable, Some(self.invoice))
    }

    fn balance(&self) -> Place<'a> {
        balance(self.customer)
    }
}

fn balance(customer: &str) -> Place<'_> {
    (Account::CustomerBalance, Some(customer))
}

fn wallet(id: &str) -> Place<'_> {
    (Account::Wallet, Some(id))
}

const REVENUE: Place<'static> = (Account::Revenue, None);
const TAX: Place<'static> = (Account::Tax, None);
const REFUNDS: Place<'static> = (Account::Refunds, None);
const ADJUSTMENTS: Place<'static> = (Account::Adjustments, None);

/// An invoice was issued: it is owed, or what its total is below zero is given to the balance.
///
/// # Errors
/// `Overflow` for amounts beyond 64 bits, as everywhere here; never for content that adds up.
pub fn invoice_issued(parties: Parties<'_>, content: &InvoiceContent) -> Result<Movement, AmountError> {
    let transfers = [
        (parties.receivable(), REVENUE, net(content.subtotal_minor, content.discount_minor)?),
        (parties.receivable(), TAX, content.tax_minor),
        (parties.receivable(), parties.balance(), content.credited_minor),
    ];
    Movement::of(MovementKind::InvoiceIssued, transfers)
}

/// Wallets paid a part of an invoice.
///
/// # Errors
/// `Overflow`.
pub fn wallet_used(parties: Parties<'_>, content: &InvoiceContent) -> Result<Movement, AmountError> {
    let used = content.wallet_applied.iter();
    let transfers = used.map(|used| (wallet(&used.wallet), parties.receivable(), used.amount_minor));
    Movement::of(MovementKind::WalletUsed, transfers)
}

/// The customer's balance paid a part of an invoice.
///
/// # Errors
/// `Overflow`.
pub fn balance_used(parties: Parties<'_>, amount_minor: i64) -> Result<Movement, AmountError> {
    Movement::of(MovementKind::BalanceUsed, [(parties.balance(), parties.receivable(), amount_minor)])
}

/// An invoice was withdrawn: the opposite of issuing it, less what its credit notes have taken back already.
///
/// # Errors
/// `Overflow`.
pub fn invoice_voided(
    parties: Parties<'_>,
    content: &InvoiceContent,
    notes: &[CreditNote],
) -> Result<Movement, AmountError> {
    let mut transfers = vec![
        (REVENUE, parties.receivable(), net(content.subtotal_minor, content.discount_minor)?),
        (TAX, parties.receivable(), content.tax_minor),
        (parties.balance(), parties.receivable(), content.credited_minor),
    ];
    for note in notes {
        transfers.push((parties.receivable(), REVENUE, net(note.amount_minor, note.discount_minor)?));
        transfers.push((parties.receivable(), TAX, note.tax_minor));
    }
    Movement::of(MovementKind::InvoiceVoided, transfers)
}

/// Wallets got back what they paid of an invoice that was voided.
///
/// # Errors
/// `Overflow`.
pub fn wallet_restored(parties: Parties<'_>, content: &InvoiceContent) -> Result<Movement, AmountError> {
    let used = content.wallet_applied.iter();
    let transfers = used.map(|used| (parties.receivable(), wallet(&used.wallet), used.amount_minor));
    Movement::of(MovementKind::WalletRestored, transfers)
}

/// The balance got back what it paid of an invoice that was voided.
///
/// # Errors
/// `Overflow`.
pub fn balance_restored(parties: Parties<'_>, amount_minor: i64) -> Result<Movement, AmountError> {
    Movement::of(MovementKind::BalanceRestored, [(parties.receivable(), parties.balance(), amount_minor)])
}

/// A credit note took back earnings and taxes: off the invoice, to the balance, or to be refunded.
///
/// # Errors
/// `Overflow`.
pub fn credit_note_issued(
    parties: Parties<'_>,
    note: &CreditNote,
    settlement: &Settlement,
) -> Result<Movement, AmountError> {
    // Through the receivable, which keeps of it what was offset.
    let transfers = [
        (REVENUE, parties.receivable(), net(note.amount_minor, note.discount_minor)?),
        (TAX, parties.receivable(), note.tax_minor),
        (parties.receivable(), parties.balance(), settlement.balance_minor),
        (parties.receivable(), REFUNDS, settlement.refund_minor),
    ];
    Movement::of(MovementKind::CreditNoteIssued, transfers)
}

/// How a payment came in, and what it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// `Cash` or `Bank`.
    pub into: Account,
    /// What it pays of the invoice.
    pub applied_minor: i64,
    /// What it is more than that: the customer's balance gets it.
    pub overpaid_minor: i64,
}

/// A payment of an invoice has come in.
///
/// # Errors
/// `Overflow`.
pub fn payment_received(parties: Parties<'_>, receipt: Receipt) -> Result<Movement, AmountError> {
    let into = (receipt.into, None);
    let transfers =
        [(into, parties.receivable(), receipt.applied_minor), (into, parties.balance(), receipt.overpaid_minor)];
    Movement::of(MovementKind::PaymentReceived, transfers)
}

/// Money went back to a customer, from `Cash` or `Bank`.
///
/// # Errors
/// `Overflow`.
pub fn refund_paid(from: Account, amount_minor: i64) -> Result<Movement, AmountError> {
    Movement::of(MovementKind::RefundPaid, [(REFUNDS, (from, None), amount_minor)])
}

/// What is open of an invoice was given up.
///
/// # Errors
/// `Overflow`.
pub fn written_off(parties: Parties<'_>, open_minor: i64) -> Result<Movement, AmountError> {
    Movement::of(MovementKind::WrittenOff, [((Account::WriteOff, None), parties.receivable(), open_minor)])
}

/// A balance was corrected by hand; above zero in the customer's favour.
///
/// # Errors
/// `Overflow`.
pub fn balance_adjusted(customer: &str, amount_minor: i64) -> Result<Movement, AmountError> {
    Movement::of(MovementKind::BalanceAdjusted, [(ADJUSTMENTS, balance(customer), amount_minor)])
}

/// Prepaid credit was given.
///
/// # Errors
/// `Overflow`.
pub fn wallet_topped_up(id: &str, amount_minor: i64) -> Result<Movement, AmountError> {
    Movement::of(MovementKind::WalletToppedUp, [(ADJUSTMENTS, wallet(id), amount_minor)])
}

/// What was left in a wallet has expired.
///
/// # Errors
/// `Overflow`.
pub fn wallet_expired(id: &str, left_minor: i64) -> Result<Movement, AmountError> {
    Movement::of(MovementKind::WalletExpired, [(wallet(id), (Account::Breakage, None), left_minor)])
}

fn net(amount_minor: i64, discount_minor: i64) -> Result<i64, AmountError> {
    amount_minor.checked_sub(discount_minor).ok_or(AmountError::Overflow)
}

impl Movement {
    /// Adds transfers up to one posting for each account that they change.
    fn of<'a>(kind: MovementKind, transfers: impl IntoIterator<Item = Transfer<'a>>) -> Result<Self, AmountError> {
        let mut movement = Self { kind, postings: Vec::new() };
        for (debited, credited, amount_minor) in transfers {
            movement.post(debited, amount_minor)?;
            movement.post(credited, amount_minor.checked_neg().ok_or(AmountError::Overflow)?)?;
        }
        movement.postings.retain(|posting| posting.amount_minor != 0);
        Ok(movement)
    }

    fn post(&mut self, (account, of): Place<'_>, amount_minor: i64) -> Result<(), AmountError> {
        let same = |posting: &&mut Posting| posting.account == account && posting.of.as_deref() == of;
        match self.postings.iter_mut().find(same) {
            Some(posting) => {
                let sum = posting.amount_minor.checked_add(amount_minor);
                posting.amount_minor = sum.ok_or(AmountError::Overflow)?;
            }
            None => self.postings.push(Posting { account, of: of.map(ToOwned::to_owned), amount_minor }),
        }
        Ok(())
    }
}

/// What a list of postings is out of balance by; it cannot overflow.
#[must_use]
pub fn imbalance(postings: &[Posting]) -> i128 {
    postings.iter().map(|posting| i128::from(posting.amount_minor)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        CreditOutcome, CreditRequest, CreditRequestLine, InvoiceHead, Wallet, apply_credits, credit_note,
        invoice::fixtures::{content, head, line, rates},
        settle_credit_note,
    };

    const PARTIES: Parties<'static> = Parties { customer: "cus_1", invoice: "inv_1" };

    /// Every account that is not zero, after all these movements.
    fn accounts(movements: &[Movement]) -> Vec<(Account, i64)> {
        let mut sums = std::collections::BTreeMap::new();
        for movement in movements {
            assert_eq!(imbalance(&movement.postings), 0, "{movement:?}");
            for posting in &movement.postings {
                *sums.entry(posting.account).or_insert(0) += posting.amount_minor;
            }
        }
        sums.into_iter().filter(|(_, sum)| *sum != 0).collect()
    }

    /// 100.00 with a fifth of tax, of which a wallet pays 30.00 and the balance 10.00.
    fn paid_in_part() -> (InvoiceContent, Vec<Movement>) {
        let content = content(InvoiceHead { tax_rates: rates(&["20"]), ..head() }, vec![line("base", 10_000)]);
        let mut wallets =
            [Wallet { id: "wal_1".to_owned(), balance_minor: 3_000, applies_to: Vec::new(), expires_at: None }];
        let mut balance_minor = 1_000;
        let content = apply_credits(content, &mut wallets, &mut balance_minor, head().issued_at).unwrap();
        let movements = vec![
            wallet_topped_up("wal_1", 3_000).unwrap(),
            balance_adjusted("cus_1", 1_000).unwrap(),
            invoice_issued(PARTIES, &content).unwrap(),
            wallet_used(PARTIES, &content).unwrap(),
            balance_used(PARTIES, content.credit_applied_minor).unwrap(),
        ];
        (content, movements)
    }

    #[test]
    fn what_is_open_is_what_is_receivable() {
        let (content, movements) = paid_in_part();
        assert_eq!(content.amount_due_minor, 8_000);
        let expected = [(Account::Receivable, 8_000), (Account::Revenue, -10_000), (Account::Tax, -2_000)];
        assert_eq!(accounts(&movements), [&expected[..], &[(Account::Adjustments, 4_000)]].concat());
    }

    #[test]
    fn voiding_leaves_no_trace_in_any_account_also_after_a_credit_note() {
        let (content, mut movements) = paid_in_part();
        let request = CreditRequest::Lines(vec![CreditRequestLine { line: 0, amount_minor: 2_500 }]);
        let note = credit_note(&content, &[], &request).unwrap();
        let settlement = settle_credit_note(note.total_minor, 8_000, CreditOutcome::Balance, 0);
        movements.push(credit_note_issued(PARTIES, &note, &settlement).unwrap());
        assert_eq!(accounts(&movements)[0], (Account::Receivable, 5_000));
        movements.push(invoice_voided(PARTIES, &content, &[note]).unwrap());
        movements.push(wallet_restored(PARTIES, &content).unwrap());
        movements.push(balance_restored(PARTIES, content.credit_applied_minor).unwrap());
        let given = [(Account::CustomerBalance, -1_000), (Account::Wallet, -3_000), (Account::Adjustments, 4_000)];
        assert_eq!(accounts(&movements), given);
    }

    #[test]
    fn payments_refunds_and_write_offs_clear_what_was_owed() {
        let (_, issued) = paid_in_part();
        let receipt = Receipt { into: Account::Cash, applied_minor: 8_000, overpaid_minor: 500 };
        let paid = [payment_received(PARTIES, receipt).unwrap(), refund_paid(Account::Cash, 300).unwrap()];
        let after = accounts(&[issued.clone(), paid.to_vec()].concat());
        assert!(after.contains(&(Account::Cash, 8_200)) && after.contains(&(Account::CustomerBalance, -500)));
        assert!(after.iter().all(|(account, _)| *account != Account::Receivable), "{after:?}");
        let given_up = accounts(&[issued, vec![written_off(PARTIES, 8_000).unwrap()]].concat());
        assert!(given_up.contains(&(Account::WriteOff, 8_000)) && given_up[0].0 != Account::Receivable);
        let expired = [wallet_topped_up("wal_1", 5).unwrap(), wallet_expired("wal_1", 5).unwrap()];
        assert_eq!(accounts(&expired), [(Account::Adjustments, 5), (Account::Breakage, -5)]);
    }

    #[test]
    fn a_total_below_zero_goes_to_the_balance_and_nothing_moves_nothing() {
        let credit = content(head(), vec![line("old", -500), line("new", 100)]);
        let movement = invoice_issued(PARTIES, &credit).unwrap();
        assert_eq!(accounts(&[movement]), [(Account::Revenue, 400), (Account::CustomerBalance, -400)]);
        assert_eq!(wallet_used(PARTIES, &credit).unwrap().postings, []);
        assert_eq!(balance_used(PARTIES, 0).unwrap().postings, []);
        let over = Receipt { into: Account::Cash, applied_minor: i64::MAX, overpaid_minor: 1 };
        assert_eq!(payment_received(PARTIES, over), Err(AmountError::Overflow));
    }
}
