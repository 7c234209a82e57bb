//! "Your invoice": sent once for every invoice that is issued, with its lines and what happens now.

use askama::Template;

use super::columns;
use super::one_line::OneLine;
use super::{Rendered, render};
use crate::mail::error::MailError;

/// Mail programs cut a mail off beyond some 100 kB; an invoice with more lines than this is read
/// in the product, the mail says how many are left out.
const MAX_LINES_SHOWN: usize = 40;

/// What the mail shows; everything is already formatted for the customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceIssued {
    /// Who sends the invoice.
    pub tenant_name: OneLine,
    /// Who receives it.
    pub customer_name: OneLine,
    /// The invoice's number.
    pub invoice_number: OneLine,
    /// Local date of issue.
    pub issued_on: OneLine,
    /// The invoice's lines in their order.
    pub lines: Vec<InvoiceLine>,
    /// Sum of the lines.
    pub subtotal: OneLine,
    /// One row per tax: its label and amount. Empty if no tax applies.
    pub taxes: Vec<(OneLine, OneLine)>,
    /// What is to be paid.
    pub total: OneLine,
    /// How it is paid.
    pub collection: Collection,
}

/// One line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceLine {
    /// What it is for.
    pub description: OneLine,
    /// The days it covers, e.g. `1 Jul – 31 Jul 2026`.
    pub period: OneLine,
    /// How much of it, e.g. `1,204 commits`; empty for a plain fee.
    pub quantity: OneLine,
    /// What it costs.
    pub amount: OneLine,
}

/// How an invoice gets paid, which decides what the customer is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collection {
    /// The saved payment method is charged.
    Automatic,
    /// The customer pays until the local date given.
    DueBy(OneLine),
    /// The total is zero or already covered.
    NothingDue,
}

impl InvoiceIssued {
    /// Renders the mail.
    ///
    /// # Errors
    /// [`MailError::Permanent`] if a template is broken.
    pub fn render(&self) -> Result<Rendered, MailError> {
        let subject = format!("{}: invoice {}", self.tenant_name, self.invoice_number);
        render(subject, &Text { mail: self }, &Html { mail: self })
    }

    fn shown(&self) -> &[InvoiceLine] {
        &self.lines[..self.lines.len().min(MAX_LINES_SHOWN)]
    }

    fn left_out(&self) -> usize {
        self.lines.len() - self.shown().len()
    }

    fn what_now(&self) -> String {
        match &self.collection {
            Collection::Automatic => "Your saved payment method will be charged. No action is needed.".to_owned(),
            Collection::DueBy(date) => format!("Please pay by {date}."),
            Collection::NothingDue => "There is nothing to pay.".to_owned(),
        }
    }
}

impl InvoiceLine {
    /// The second row of a line: when and how much.
    fn details(&self) -> String {
        let parts = [self.period.as_str(), self.quantity.as_str()];
        let given = parts.into_iter().filter(|part| !part.is_empty());
        given.collect::<Vec<_>>().join(" · ")
    }
}

#[derive(Template)]
#[template(path = "invoice_issued.txt")]
struct Text<'a> {
    mail: &'a InvoiceIssued,
}

#[derive(Template)]
#[template(path = "invoice_issued.html")]
struct Html<'a> {
    mail: &'a InvoiceIssued,
}
