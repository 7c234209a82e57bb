//! "Your payment failed": sent when an invoice could not be collected, with the reason as the
//! gateway gave it and what the customer can do.

use askama::Template;

use super::columns;
use super::one_line::OneLine;
use super::{Rendered, render};
use crate::mail::error::MailError;

/// What the mail shows; everything is already formatted for the customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentFailed {
    /// Who wants to be paid.
    pub tenant_name: OneLine,
    /// Who should pay.
    pub customer_name: OneLine,
    /// The invoice's number.
    pub invoice_number: OneLine,
    /// What stays open.
    pub amount_due: OneLine,
    /// Local date of the attempt.
    pub attempted_on: OneLine,
    /// The gateway's words, e.g. `Your card was declined.`
    pub reason: OneLine,
    /// What follows.
    pub next_step: NextStep,
}

/// What follows a failed payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextStep {
    /// We try again on the local date given.
    RetryOn(OneLine),
    /// No further attempt by itself: the customer must act.
    CustomerMustAct,
}

impl PaymentFailed {
    /// Renders the mail.
    ///
    /// # Errors
    /// [`MailError::Permanent`] if a template is broken.
    pub fn render(&self) -> Result<Rendered, MailError> {
        let subject = format!("{}: payment for invoice {} failed", self.tenant_name, self.invoice_number);
        render(subject, &Text { mail: self }, &Html { mail: self })
    }

    fn what_now(&self) -> String {
        match &self.next_step {
            NextStep::RetryOn(date) => format!(
                "We try again on {date}. If your payment method has changed, please update it \
                 before then."
            ),
            NextStep::CustomerMustAct => "Please update your payment method or contact us. The \
                                          invoice stays open until it is paid."
                .to_owned(),
        }
    }
}

#[derive(Template)]
#[template(path = "payment_failed.txt")]
struct Text<'a> {
    mail: &'a PaymentFailed,
}

#[derive(Template)]
#[template(path = "payment_failed.html")]
struct Html<'a> {
    mail: &'a PaymentFailed,
}
