//! The mails' contents: one file per kind of mail, rendered from display strings only. Owns words
//! and looks; amounts, dates and names arrive formatted ([`format_amount`] helps).
//!
//! **Invariant:** what comes from outside is an [`OneLine`] before it is shown: it cannot break out
//! of its line in the text body, and askama escapes it in the HTML body.

mod amount;
mod columns;
mod invoice_issued;
mod one_line;
mod payment_failed;

use askama::Template;

use super::error::MailError;

pub use amount::format_amount;
pub use invoice_issued::{Collection, InvoiceIssued, InvoiceLine};
pub use one_line::OneLine;
pub use payment_failed::{NextStep, PaymentFailed};

/// A rendered mail, ready to be addressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// The plain text body.
    pub text: String,
    /// The HTML body: self-contained, for light and dark, for desk and phone.
    pub html: String,
}

/// Renders both bodies. A failure is a bug in a template: no input can cause one.
fn render(subject: String, text: &impl Template, html: &impl Template) -> Result<Rendered, MailError> {
    let failed = |error: askama::Error| MailError::permanent(format!("rendering: {error}"));
    Ok(Rendered { subject, text: text.render().map_err(failed)?, html: html.render().map_err(failed)? })
}
