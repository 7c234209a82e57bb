//! Invoices: lines, totals and the inputs they came from.
//!
//! **Invariant:** the lines' amounts, discounts and taxes sum to the invoice's. **Invariant:** content follows from its own
//! frozen inputs: recomputing it gives the same bytes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{AmountError, Currency, ForbiddenTransition, LineItem, Money, TaxRate};

/// Version of the rules that computed an invoice; raised when one changes what the same inputs cost.
pub const ENGINE_VERSION: u16 = 1;

/// Where an invoice stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceStatus {
    /// Not issued yet.
    Draft,
    /// Issued; something is owed.
    Open,
    /// Nothing is owed any more.
    Paid,
    /// Withdrawn.
    Void,
    /// Written off.
    Uncollectible,
}

impl InvoiceStatus {
    /// Its wire name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Void => "void",
            Self::Uncollectible => "uncollectible",
        }
    }

    /// The states that this one can become.
    #[must_use]
    pub fn successors(self) -> &'static [Self] {
        match self {
            Self::Draft => &[Self::Open],
            Self::Open => &[Self::Paid, Self::Void, Self::Uncollectible],
            Self::Paid | Self::Void | Self::Uncollectible => &[],
        }
    }

    /// The state `to`, if this one can become it.
    ///
    /// # Errors
    /// [`ForbiddenTransition`] for a change that does not exist.
    pub fn transition_to(self, to: Self) -> Result<Self, ForbiddenTransition> {
        if self.successors().contains(&to) {
            return Ok(to);
        }
        Err(ForbiddenTransition { subject: "an invoice", from: self.as_str(), to: to.as_str() })
    }
}

/// Why an invoice was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceReason {
    /// A subscription has started.
    SubscriptionCreate,
    /// A period has turned.
    Period,
}

/// What an invoice says; amounts in minor units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceContent {
    /// Why it was issued.
    pub reason: InvoiceReason,
    /// The boundary's instant.
    pub issued_at: Timestamp,
    /// Of all amounts.
    pub currency: Currency,
    /// The tax on all lines.
    pub tax_rate: Option<TaxRate>,
    /// At least one.
    pub lines: Vec<LineItem>,
    /// Sum of the lines' amounts.
    pub subtotal_minor: i64,
    /// Sum of the lines' discounts.
    pub discount_minor: i64,
    /// The rounded sum of the lines' exact taxes.
    pub tax_minor: i64,
    /// Subtotal less discount plus tax.
    pub total_minor: i64,
    /// What is left to pay.
    pub amount_due_minor: i64,
    /// [`ENGINE_VERSION`] at the time.
    pub engine_version: u16,
}

/// What an invoice's totals are computed from, besides its lines.
#[derive(Clone, Debug)]
pub(crate) struct InvoiceHead {
    pub reason: InvoiceReason,
    pub issued_at: Timestamp,
    pub currency: Currency,
    pub tax_rate: Option<TaxRate>,
}

impl InvoiceContent {
    /// Taxes the lines and adds them up.
    ///
    /// # Errors
    /// `Overflow` beyond 64 bits.
    pub(crate) fn of_lines(head: InvoiceHead, mut lines: Vec<LineItem>) -> Result<Self, AmountError> {
        tax(&mut lines, head.tax_rate.as_ref())?;
        let subtotal_minor = sum(&lines, |line| line.amount_minor)?;
        let discount_minor = sum(&lines, |line| line.discount_minor)?;
        let tax_minor = sum(&lines, |line| line.tax_minor)?;
        let net_minor = subtotal_minor.checked_sub(discount_minor);
        let total_minor = net_minor.and_then(|net| net.checked_add(tax_minor)).ok_or(AmountError::Overflow)?;
        let InvoiceHead { reason, issued_at, currency, tax_rate } = head;
        Ok(Self {
            reason,
            issued_at,
            currency,
            tax_rate,
            lines,
            subtotal_minor,
            discount_minor,
            tax_minor,
            total_minor,
            amount_due_minor: total_minor,
            engine_version: ENGINE_VERSION,
        })
    }

    /// Computes it again from its frozen inputs; the result is the same, byte by byte.
    ///
    /// # Errors
    /// `Overflow` when the inputs cannot be computed exactly; an issued invoice's can.
    pub fn recompute(&self) -> Result<Self, AmountError> {
        let lines = self.lines.iter().map(|line| line.clone().priced(self.currency)).collect::<Result<_, _>>()?;
        let Self { reason, issued_at, currency, tax_rate, .. } = self.clone();
        Self::of_lines(InvoiceHead { reason, issued_at, currency, tax_rate }, lines)
    }

    /// What is left to pay.
    #[must_use]
    pub fn amount_due(&self) -> Money {
        Money::new(self.amount_due_minor, self.currency)
    }
}

fn tax(lines: &mut [LineItem], rate: Option<&TaxRate>) -> Result<(), AmountError> {
    let net = |line: &LineItem| line.amount_minor.checked_sub(line.discount_minor).ok_or(AmountError::Overflow);
    let nets = lines.iter().map(net).collect::<Result<Vec<_>, _>>()?;
    let taxes = rate.map_or_else(|| Ok(vec![0; nets.len()]), |rate| rate.allot(&nets))?;
    for (line, tax_minor) in lines.iter_mut().zip(taxes) {
        line.tax_minor = tax_minor;
    }
    Ok(())
}

fn sum(lines: &[LineItem], of: impl Fn(&LineItem) -> i64) -> Result<i64, AmountError> {
    lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(of(line))).ok_or(AmountError::Overflow)
}

/// An invoice's number, from the tenant's counter: `INV-000001`. Beyond six digits it grows.
#[must_use]
pub fn invoice_number(counter: u64) -> String {
    format!("INV-{counter:06}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invoice_ends_paid_void_or_uncollectible() {
        let open = InvoiceStatus::Draft.transition_to(InvoiceStatus::Open).unwrap();
        assert_eq!(open.transition_to(InvoiceStatus::Paid), Ok(InvoiceStatus::Paid));
        assert_eq!(open.transition_to(InvoiceStatus::Void), Ok(InvoiceStatus::Void));
        let error = InvoiceStatus::Paid.transition_to(InvoiceStatus::Void).unwrap_err();
        assert_eq!(error.to_string(), "an invoice that is paid cannot become void");
        assert!(InvoiceStatus::Draft.transition_to(InvoiceStatus::Paid).is_err());
    }

    #[test]
    fn numbers_have_six_digits_and_grow() {
        assert_eq!((invoice_number(1).as_str(), invoice_number(1_234_567).as_str()), ("INV-000001", "INV-1234567"));
    }
}
