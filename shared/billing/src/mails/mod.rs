//! What the mails say: one function of words per kind of message, each of which fills a [`Letter`].
//!
//! Pure but for [`Sources::load`]. Dates are local to the reader. The words of a new kind are a function in one of these files and its line
//! in [`Sources::letter`].

mod account;
mod invoice_issued;
mod payments;
mod sources;
mod subscriptions;
mod webhooks;
mod writer;

#[cfg(test)]
mod tests;

use gateways::mail::{Mail, MailAddress, MailError, letter::Letter};
use store::{Message, Notification};

pub(crate) use sources::Sources;
use writer::{Writer, followed};

impl Sources {
    /// The mail that a notification is, from the deployment's address `mail_from`.
    ///
    /// # Errors
    /// `Permanent` when its reader or what it is about does not exist.
    pub(crate) fn mail(&self, notification: &Notification, mail_from: &str) -> Result<Mail, MailError> {
        let writer = Writer { tenant: &self.tenant, reader: self.reader(&notification.recipient)? };
        let letter = self.letter(&writer, &notification.message)?.render()?;
        let address = |name: &str, email: &str| MailAddress { name: Some(name.to_owned()), email: email.to_owned() };
        Ok(Mail {
            id: notification.id.clone(),
            from: address(&self.tenant.name, mail_from),
            to: address(&writer.reader.name, &writer.reader.email),
            subject: letter.subject,
            text: letter.text,
            html: letter.html,
        })
    }

    /// The one table of words.
    fn letter(&self, writer: &Writer<'_>, message: &Message) -> Result<Letter, MailError> {
        match message {
            Message::VerifyEmail { secret_link } => account::verify_email(writer, secret_link),
            Message::AlreadyRegistered => Ok(account::already_registered(writer)),
            Message::Invitation { by, secret_link } => account::invitation(writer, by, secret_link),
            Message::PasswordReset { secret_link } => account::password_reset(writer, secret_link),
            Message::InvoiceIssued { invoice } => Ok(invoice_issued::letter(writer, self.invoice(invoice)?)),
            Message::PaymentFailed { invoice, attempt, retry_at } => {
                Ok(payments::failed(writer, (self.invoice(invoice)?, self.attempt(attempt)?), *retry_at))
            }
            Message::PaymentActionRequired { invoice, attempt, link } => {
                let about = (self.invoice(invoice)?, self.attempt(attempt)?);
                Ok(payments::action_required(writer, about, followed(link)?))
            }
            Message::PaymentReceived { invoice, attempt } => {
                Ok(payments::received(writer, self.invoice(invoice)?, self.attempt(attempt)?))
            }
            Message::FinalNotice { invoice, outcome } => {
                Ok(payments::final_notice(writer, self.invoice(invoice)?, *outcome))
            }
            Message::RefundIssued { invoice, amount, at } => {
                Ok(payments::refund(writer, self.invoice(invoice)?, (*amount, *at)))
            }
            Message::SubscriptionChanged { plan, quantities, effective_at, .. } => {
                Ok(subscriptions::changed(writer, (plan, quantities), *effective_at))
            }
            Message::SubscriptionCancelled { plan, ends_at, .. } => {
                Ok(subscriptions::cancelled(writer, plan, *ends_at))
            }
            Message::TrialEnding { plan, ends_on, .. } => Ok(subscriptions::trial_ending(writer, plan, *ends_on)),
            Message::WebhookEndpointDisabled { url, .. } => Ok(webhooks::endpoint_disabled(writer, url)),
            Message::WebhookDeliveryFailed { url, event_type, error, .. } => {
                Ok(webhooks::delivery_failed(writer, url, (event_type, error)))
            }
        }
    }
}
