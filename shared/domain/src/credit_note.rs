//! Credit notes: how an issued invoice is corrected, and where the money goes.
//!
//! A note names gross amounts of lines and restores their share of discount and tax. The share of what notes credit of a line
//! altogether is rounded, and each note restores what those before it did not: so partial notes sum to exactly the line, and
//! the last one takes the remainder.
//!
//! **Invariant:** the notes of an invoice never credit more than its total, nor more of a line than its amount.

use serde::{Deserialize, Serialize};

use crate::{AmountError, Exact, InvoiceContent, LineItem, SpecError};

/// What is to be credited of an invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreditRequest {
    /// Everything that is left of it, also of its credit lines.
    All,
    /// Amounts of lines.
    Lines(Vec<CreditRequestLine>),
}

/// What is to be credited of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreditRequestLine {
    /// Index in the invoice's lines, from 0.
    pub line: usize,
    /// Before discount and tax, above zero, in minor units.
    pub amount_minor: i64,
}

/// What is credited of a line; amounts in minor units, below zero for a credit line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditedLine {
    /// Index in the invoice's lines, from 0.
    pub line: usize,
    /// Before discount and tax.
    pub amount_minor: i64,
    /// Its share of the line's discount.
    pub discount_minor: i64,
    /// Its share of the line's tax.
    pub tax_minor: i64,
}

/// What is credited of an invoice; amounts in minor units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditNote {
    /// At least one.
    pub lines: Vec<CreditedLine>,
    /// Sum of the lines' amounts.
    pub amount_minor: i64,
    /// Sum of the lines' discounts.
    pub discount_minor: i64,
    /// Sum of the lines' taxes.
    pub tax_minor: i64,
    /// Amount less discount plus tax: what the customer gets, not below zero.
    pub total_minor: i64,
}

/// A note on an invoice, of which the earlier ones have credited something already.
///
/// # Errors
/// [`SpecError`] names what is wrong with the request: `lines[0].line` or `lines[0].amount_minor`, `lines` when the note is
/// above what is left of the invoice, `all` when nothing is left of it.
pub fn credit_note(
    content: &InvoiceContent,
    earlier: &[CreditNote],
    request: &CreditRequest,
) -> Result<CreditNote, SpecError> {
    let path = if *request == CreditRequest::All { "all" } else { "lines" };
    let too_large = |error: AmountError| SpecError::new(path, format!("cannot be credited: {error}"));
    let requested = match request {
        CreditRequest::All => all(content, earlier).map_err(too_large)?,
        CreditRequest::Lines(lines) => {
            check_lines(content, earlier, lines)?;
            lines.clone()
        }
    };
    let credited = |requested: &CreditRequestLine| credited(&content.lines[requested.line], earlier, *requested);
    let note = CreditNote::of_lines(requested.iter().map(credited).collect::<Result<_, _>>().map_err(too_large)?);
    let note = note.map_err(too_large)?;
    check_total(content, earlier, &note, path)?;
    Ok(note)
}

impl CreditNote {
    fn of_lines(lines: Vec<CreditedLine>) -> Result<Self, AmountError> {
        let sum = |of: fn(&CreditedLine) -> i64| {
            lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(of(line))).ok_or(AmountError::Overflow)
        };
        let amount_minor = sum(|line| line.amount_minor)?;
        let discount_minor = sum(|line| line.discount_minor)?;
        let tax_minor = sum(|line| line.tax_minor)?;
        let net_minor = amount_minor.checked_sub(discount_minor);
        let total_minor = net_minor.and_then(|net| net.checked_add(tax_minor)).ok_or(AmountError::Overflow)?;
        Ok(Self { lines, amount_minor, discount_minor, tax_minor, total_minor })
    }
}

/// What is left of every line of which anything is.
fn all(content: &InvoiceContent, earlier: &[CreditNote]) -> Result<Vec<CreditRequestLine>, AmountError> {
    let left = |(line, item): (usize, &LineItem)| {
        let credited_minor = before(earlier, line).amount_minor;
        let amount_minor = item.amount_minor.checked_sub(credited_minor).ok_or(AmountError::Overflow);
        amount_minor.map(|amount_minor| CreditRequestLine { line, amount_minor })
    };
    let lines = content.lines.iter().enumerate().map(left).collect::<Result<Vec<_>, _>>()?;
    Ok(lines.into_iter().filter(|left| left.amount_minor != 0).collect())
}

fn check_lines(
    content: &InvoiceContent,
    earlier: &[CreditNote],
    requested: &[CreditRequestLine],
) -> Result<(), SpecError> {
    if requested.is_empty() {
        return Err(SpecError::new("lines", "must be at least one line"));
    }
    for (index, CreditRequestLine { line, amount_minor }) in requested.iter().enumerate() {
        let refused = |field: &str, rule: String| Err(SpecError::new(format!("lines[{index}].{field}"), rule));
        let Some(item) = content.lines.get(*line) else {
            return refused("line", format!("must be one of the invoice's {} lines", content.lines.len()));
        };
        if item.amount_minor < 0 {
            return refused("line", "is a credit, which is credited with all of the invoice only".to_owned());
        }
        if requested[..index].iter().any(|other| other.line == *line) {
            return refused("line", "is named twice".to_owned());
        }
        let left_minor = item.amount_minor.saturating_sub(before(earlier, *line).amount_minor);
        if *amount_minor <= 0 {
            return refused("amount_minor", "must be above 0".to_owned());
        }
        if *amount_minor > left_minor {
            return refused("amount_minor", format!("must be at most {left_minor}, which is left of the line"));
        }
    }
    Ok(())
}

/// Notes do not give more than the invoice asked for, which may be less than its lines where there are credits among them.
fn check_total(
    content: &InvoiceContent,
    earlier: &[CreditNote],
    note: &CreditNote,
    path: &str,
) -> Result<(), SpecError> {
    let credited = earlier.iter().fold(0_i64, |sum, note| sum.saturating_add(note.total_minor));
    let left_minor = content.total_minor.saturating_sub(credited);
    if path == "all" && note.total_minor <= 0 {
        return Err(SpecError::new(path, "cannot be credited: nothing is left of the invoice"));
    }
    if note.total_minor > left_minor {
        let rule = format!("must be at most {left_minor} with tax, which is left of the invoice");
        return Err(SpecError::new(path, rule));
    }
    Ok(())
}

/// What the earlier notes have credited of a line.
fn before(earlier: &[CreditNote], line: usize) -> CreditedLine {
    let nothing = CreditedLine { line, amount_minor: 0, discount_minor: 0, tax_minor: 0 };
    let lines = earlier.iter().flat_map(|note| &note.lines).filter(|credited| credited.line == line);
    // The sums are at most the line's own amounts, which fit.
    lines.fold(nothing, |sum, one| CreditedLine {
        line,
        amount_minor: sum.amount_minor.saturating_add(one.amount_minor),
        discount_minor: sum.discount_minor.saturating_add(one.discount_minor),
        tax_minor: sum.tax_minor.saturating_add(one.tax_minor),
    })
}

/// The share of the line's discount and tax of all that is credited of it, less what was restored before.
fn credited(
    item: &LineItem,
    earlier: &[CreditNote],
    requested: CreditRequestLine,
) -> Result<CreditedLine, AmountError> {
    let CreditRequestLine { line, amount_minor } = requested;
    let before = before(earlier, line);
    let together = before.amount_minor.checked_add(amount_minor).ok_or(AmountError::Overflow)?;
    let part = Exact::ratio(together, item.amount_minor)?;
    let restored = |of_minor: i64, before_minor: i64| {
        let share = (Exact::from(of_minor) * part.clone()).round_half_up()?;
        share.checked_sub(before_minor).ok_or(AmountError::Overflow)
    };
    Ok(CreditedLine {
        line,
        amount_minor,
        discount_minor: restored(item.discount_minor, before.discount_minor)?,
        tax_minor: restored(item.tax_minor, before.tax_minor)?,
    })
}

/// Where the money of a credit note goes that the invoice does not need to be paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditOutcome {
    /// To the customer's balance.
    #[default]
    Balance,
    /// Back through the gateway.
    Refund,
}

/// Where the money of a credit note goes, in minor units; all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// Off what is open on the invoice.
    pub offset_minor: i64,
    /// To the customer's balance.
    pub balance_minor: i64,
    /// Back through the gateway.
    pub refund_minor: i64,
}

/// Settles a note's total: off the open amount first, then to the balance, or back through the gateway as far as the invoice
/// was paid through it (`refundable_minor`: what was, less earlier refunds), the rest to the balance.
#[must_use]
pub fn settle_credit_note(
    total_minor: i64,
    open_minor: i64,
    outcome: CreditOutcome,
    refundable_minor: i64,
) -> Settlement {
    let offset_minor = total_minor.min(open_minor).max(0);
    // Both differences are between zero and the total.
    let rest_minor = total_minor.max(0) - offset_minor;
    let refund_minor = match outcome {
        CreditOutcome::Balance => 0,
        CreditOutcome::Refund => rest_minor.min(refundable_minor).max(0),
    };
    Settlement { offset_minor, balance_minor: rest_minor - refund_minor, refund_minor }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        InvoiceHead,
        invoice::fixtures::{content, coupon, head, line, rates},
    };

    /// Lines of these amounts, taxed by a percentage, less a percentage.
    fn invoice(amounts: &[i64], tax: &str, off: Option<&str>) -> InvoiceContent {
        let body = |off: &str| format!(r#"{{ "key": "c", "percent_off": "{off}", "duration": "once" }}"#);
        let coupons = off.iter().map(|off| coupon(&body(off))).collect();
        let lines = amounts.iter().map(|amount| line("a", *amount)).collect();
        content(InvoiceHead { tax_rates: rates(&[tax]), coupons, ..head() }, lines)
    }

    fn lines(of: &[(usize, i64)]) -> CreditRequest {
        let line = |(line, amount_minor): &(usize, i64)| CreditRequestLine { line: *line, amount_minor: *amount_minor };
        CreditRequest::Lines(of.iter().map(line).collect())
    }

    fn totals(note: &CreditNote) -> [i64; 4] {
        [note.amount_minor, note.discount_minor, note.tax_minor, note.total_minor]
    }

    fn refused(content: &InvoiceContent, earlier: &[CreditNote], request: &CreditRequest) -> (String, String) {
        let error = credit_note(content, earlier, request).unwrap_err();
        (error.path, error.rule)
    }

    #[test]
    fn cn_001_twenty_nine_of_thirty_days_are_credited_with_their_tax() {
        let invoice = invoice(&[20_000], "25", None);
        assert_eq!(invoice.total_minor, 25_000);
        let unused = (Exact::from(20_000) * Exact::ratio(29, 30).unwrap()).round_half_up().unwrap();
        let note = credit_note(&invoice, &[], &lines(&[(0, unused)])).unwrap();
        assert_eq!(totals(&note), [19_333, 0, 4_833, 24_166]);
        // A credit line on an invoice of its own is the same.
        let cancelled = content(InvoiceHead { tax_rates: rates(&["25"]), ..head() }, vec![line("a", -unused)]);
        assert_eq!((cancelled.tax_minor, cancelled.credited_minor), (-4_833, 24_166));
    }

    /// "Credit notes name a line's gross amount and restore its share of discount and tax."
    #[test]
    fn cn_006_partial_notes_carry_their_share_and_sum_to_the_invoice() {
        let invoice = invoice(&[1_000, 2_000, 3_000, 4_000], "10", Some("10"));
        assert_eq!((invoice.discount_minor, invoice.tax_minor, invoice.total_minor), (1_000, 900, 9_900));
        let first = credit_note(&invoice, &[], &lines(&[(0, 1_000), (1, 2_000)])).unwrap();
        assert_eq!(totals(&first), [3_000, 300, 270, 2_970]);
        let second = credit_note(&invoice, std::slice::from_ref(&first), &lines(&[(2, 3_000), (3, 4_000)])).unwrap();
        assert_eq!(totals(&second), [7_000, 700, 630, 6_930]);
        assert_eq!(credit_note(&invoice, &[first], &CreditRequest::All).unwrap(), second);
    }

    /// "Partial notes of one invoice sum to exactly the invoice, the last one takes the remainder."
    #[test]
    fn the_last_note_takes_the_remainder() {
        let invoice = invoice(&[100], "7", Some("50"));
        assert_eq!((invoice.discount_minor, invoice.tax_minor), (50, 4));
        let mut notes = Vec::new();
        for amount in [33, 33, 34] {
            notes.push(credit_note(&invoice, &notes, &lines(&[(0, amount)])).unwrap());
        }
        let credited: Vec<_> = notes.iter().map(totals).collect();
        // 1.32 is 1, 2.64 is 3, 4: the second note restores 2 and the last one the rest.
        assert_eq!(credited, [[33, 17, 1, 17], [33, 16, 2, 19], [34, 17, 1, 18]]);
        assert_eq!(refused(&invoice, &notes, &CreditRequest::All).0, "all");
    }

    #[test]
    fn a_request_that_goes_too_far_is_named() {
        let invoice = invoice(&[100, 50, -30], "0", None);
        let path = |request: &[(usize, i64)]| refused(&invoice, &[], &lines(request)).0;
        assert_eq!(path(&[]), "lines");
        assert_eq!(path(&[(3, 1)]), "lines[0].line");
        assert_eq!(path(&[(0, 1), (0, 1)]), "lines[1].line");
        assert_eq!(path(&[(2, 1)]), "lines[0].line");
        assert_eq!(
            (path(&[(0, 0)]), path(&[(0, -5)])),
            ("lines[0].amount_minor".into(), "lines[0].amount_minor".into())
        );
        let note = credit_note(&invoice, &[], &lines(&[(0, 60)])).unwrap();
        let (path, rule) = refused(&invoice, &[note], &lines(&[(0, 41)]));
        assert_eq!(
            (path.as_str(), rule.as_str()),
            ("lines[0].amount_minor", "must be at most 40, which is left of the line")
        );
    }

    #[test]
    fn no_more_is_credited_than_the_invoice_asked_for() {
        let mixed = invoice(&[100, -40], "20", None);
        assert_eq!(mixed.total_minor, 72);
        assert_eq!(refused(&mixed, &[], &lines(&[(0, 61)])).0, "lines");
        let part = credit_note(&mixed, &[], &lines(&[(0, 25)])).unwrap();
        let rest = credit_note(&mixed, std::slice::from_ref(&part), &CreditRequest::All).unwrap();
        assert_eq!((totals(&part), totals(&rest)), ([25, 0, 5, 30], [35, 0, 7, 42]));
        assert_eq!(rest.lines.iter().map(|line| line.amount_minor).collect::<Vec<_>>(), [75, -40]);
        // Nothing was asked for: the balance has it already.
        let below = invoice(&[100, -400], "20", None);
        assert_eq!(refused(&below, &[], &CreditRequest::All).0, "all");
        assert_eq!(refused(&below, &[], &lines(&[(0, 1)])).0, "lines");
    }

    /// "The outcome is offset of the open amount first, then balance (default) or refund through the gateway."
    #[test]
    fn money_goes_off_the_open_amount_first() {
        let settled = |total, open, outcome, refundable| {
            let Settlement { offset_minor, balance_minor, refund_minor } =
                settle_credit_note(total, open, outcome, refundable);
            [offset_minor, balance_minor, refund_minor]
        };
        assert_eq!(settled(100, 30, CreditOutcome::Balance, 70), [30, 70, 0]);
        assert_eq!(settled(100, 30, CreditOutcome::Refund, 50), [30, 20, 50]);
        assert_eq!(settled(100, 0, CreditOutcome::Refund, 500), [0, 0, 100]);
        assert_eq!(settled(100, 300, CreditOutcome::Refund, 500), [100, 0, 0]);
    }
}
