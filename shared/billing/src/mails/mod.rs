//! What the mails say: one file of words per kind of message, each of which fills a [`Letter`].
//!
//! Pure but for [`Sources::load`]. Dates are local to the reader. The words of a new kind are a file here and its line in
//! [`Sources::letter`].

mod account;
mod invoice_issued;
mod payment_failed;
mod sources;
mod writer;

#[cfg(test)]
mod tests;

use gateways::mail::{Mail, MailAddress, MailError, letter::Letter};
use store::{Message, Notification};

pub(crate) use sources::Sources;
use writer::Writer;

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
            Message::Invitation { by, secret_link } => account::invitation(writer, by, secret_link),
            Message::PasswordReset { secret_link } => account::password_reset(writer, secret_link),
            Message::InvoiceIssued { invoice } => Ok(invoice_issued::letter(writer, self.invoice(invoice)?)),
            Message::PaymentFailed { invoice, attempt } => {
                Ok(payment_failed::letter(writer, self.invoice(invoice)?, self.attempt(attempt)?))
            }
        }
    }
}
