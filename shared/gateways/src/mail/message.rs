//! A mail as bytes: headers, the two alternative bodies, and a Message-ID made from the
//! notification's id. No clock and no randomness: the date is an argument, the MIME boundary
//! follows from the id.

use std::time::SystemTime;

use jiff::Timestamp;
use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};

use super::error::MailError;

/// Mail servers take 10 MB at least; an invoice mail of more than one is a bug.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The name of a header line must fit, with its value, into the 998 characters of RFC 5322.
const MAX_SUBJECT_CHARS: usize = 200;
/// RFC 2046 allows boundaries of 70 characters; the prefix takes ten of them.
const MAX_BOUNDARY_ID_CHARS: usize = 60;

/// One mail to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The notification's id. With the domain of `from` it is the Message-ID.
    pub id: String,
    /// Who it comes from.
    pub from: MailAddress,
    /// Who receives it.
    pub to: MailAddress,
    /// One line.
    pub subject: String,
    /// The plain text body.
    pub text: String,
    /// The HTML body.
    pub html: String,
}

/// A mail address with the name to show for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailAddress {
    /// The name shown, if any.
    pub name: Option<String>,
    /// `local@domain`.
    pub email: String,
}

impl Mail {
    /// Renders the mail.
    pub(super) fn message(&self, date: Timestamp) -> Result<Message, MailError> {
        self.check(date)?;
        let from = self.from.mailbox()?;
        let message_id = message_id(&self.id, from.email.domain());
        let bodies = MultiPart::alternative()
            .boundary(boundary(&self.id))
            .singlepart(part(ContentType::TEXT_PLAIN, &self.text))
            .singlepart(part(ContentType::TEXT_HTML, &self.html));
        Message::builder()
            .from(from)
            .to(self.to.mailbox()?)
            .subject(self.subject.clone())
            .date(SystemTime::from(date))
            .message_id(Some(message_id))
            .raw_header(auto_submitted())
            .multipart(bodies)
            .map_err(|error| MailError::permanent(error.to_string()))
    }

    fn check(&self, date: Timestamp) -> Result<(), MailError> {
        if self.id.is_empty() {
            return Err(MailError::permanent("the mail has no id"));
        }
        if self.text.len() + self.html.len() > MAX_BODY_BYTES {
            let detail = format!("the mail's bodies have more than {MAX_BODY_BYTES} bytes");
            return Err(MailError::permanent(detail));
        }
        if self.subject.chars().count() > MAX_SUBJECT_CHARS || has_control(&self.subject) {
            let detail = format!("the subject is not one line of {MAX_SUBJECT_CHARS} characters");
            return Err(MailError::permanent(detail));
        }
        // The mail library panics on a date it cannot write.
        if date < Timestamp::UNIX_EPOCH {
            return Err(MailError::permanent("the mail's date is before 1970"));
        }
        Ok(())
    }
}

impl MailAddress {
    fn mailbox(&self) -> Result<Mailbox, MailError> {
        if self.name.as_deref().is_some_and(has_control) {
            return Err(MailError::permanent("a name in an address is not one line"));
        }
        let email =
            self.email.parse().map_err(|_| MailError::permanent(format!("{:?} is not a mail address", self.email)))?;
        Ok(Mailbox::new(self.name.clone(), email))
    }
}

/// `<id@domain>`. What RFC 5322 does not allow to the left of the @ is percent-encoded, so that
/// different ids stay different.
fn message_id(id: &str, domain: &str) -> String {
    let mut local = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            local.push(char::from(byte));
        } else {
            local.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("<{local}@{domain}>")
}

/// One body. Always quoted-printable, which is readable, fits every server, and writes each `=` of
/// the text as `=3D`: see [`boundary`].
fn part(kind: ContentType, text: &str) -> SinglePart {
    SinglePart::builder().header(kind).header(ContentTransferEncoding::QuotedPrintable).body(text.to_owned())
}

/// `=_` never occurs in a quoted-printable body, so the boundary cannot either.
fn boundary(id: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let id: String = id.chars().map(allowed).take(MAX_BOUNDARY_ID_CHARS).collect();
    format!("=_ratchet_{id}")
}

/// RFC 3834: keeps out-of-office replies away.
fn auto_submitted() -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned())
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> Mail {
        let address = |name: &str, email: &str| MailAddress { name: Some(name.to_owned()), email: email.to_owned() };
        Mail {
            id: "ntf_1".to_owned(),
            from: address("Acme", "billing@acme.example"),
            to: address("Zoë, \"Z\"", "zoe@example.com"),
            subject: "Invoice".to_owned(),
            text: "text".to_owned(),
            html: "<p>html</p>".to_owned(),
        }
    }

    fn bytes(mail: &Mail) -> Result<String, MailError> {
        let message = mail.message(Timestamp::from_second(1_785_585_600).unwrap())?;
        Ok(String::from_utf8(message.formatted()).unwrap())
    }

    #[test]
    fn the_same_mail_is_the_same_bytes_dated_by_the_argument() {
        let text = bytes(&mail()).unwrap();
        assert_eq!(text, bytes(&mail()).unwrap());
        assert!(text.contains("Message-ID: <ntf_1@acme.example>\r\n"), "{text}");
        assert!(text.contains("Date: Sat, 01 Aug 2026 12:00:00 +0000\r\n"), "{text}");
    }

    #[test]
    fn different_ids_never_share_a_message_id() {
        let ids = ["a.b", "a:b", "a%3Ab", "a b", "a%b", "ä"];
        let mut seen: Vec<_> = ids.map(|id| message_id(id, "x.example")).into();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), ids.len());
        assert_eq!(message_id("a:b", "x.example"), "<a%3Ab@x.example>");
    }

    #[test]
    fn nothing_can_be_smuggled_into_the_headers() {
        let evil = "x\r\nBcc: all@example.com";
        let mut subject = mail();
        subject.subject = evil.to_owned();
        let mut name = mail();
        name.to.name = Some(evil.to_owned());
        let mut email = mail();
        email.to.email = "a@example.com\r\nBcc: all@example.com".to_owned();
        for mail in [subject, name, email] {
            assert!(matches!(bytes(&mail), Err(MailError::Permanent { .. })));
        }
        let mut id = mail();
        id.id = evil.to_owned();
        assert!(!bytes(&id).unwrap().contains("\r\nBcc"));
    }

    #[test]
    fn a_body_cannot_end_its_own_part() {
        let mut forged = mail();
        forged.text = "--=_ratchet_ntf-1--\r\nforged".to_owned();
        let text = bytes(&forged).unwrap();
        assert_eq!(text.matches("\r\n--=_ratchet_ntf-1").count(), 3, "{text}");
    }

    #[test]
    fn a_mail_that_can_never_be_written_is_permanent() {
        let mut huge = mail();
        huge.html = "x".repeat(MAX_BODY_BYTES);
        assert!(matches!(bytes(&huge), Err(MailError::Permanent { .. })));
        let ancient = mail().message(Timestamp::from_second(-1).unwrap());
        assert!(matches!(ancient, Err(MailError::Permanent { .. })));
    }
}
