//! Mail to customers: what is sent (`letter`), how it looks on the wire (`message`), and how it
//! gets to the mail server (`smtp` over `pool`).
//!
//! Owns rendering and delivery to the server. Which mails exist, when they are due and whether one
//! was sent before is the callers' knowledge.
//!
//! **Invariant:** the same mail sent again is the same bytes under the same Message-ID: a second
//! copy, sent because a process died between the server's acceptance and our record of it, can be
//! recognised by every mail program.

mod error;
pub mod letter;
mod message;
mod pool;
mod smtp;

pub use error::{MailError, MailSetUpError};
pub use message::{Mail, MailAddress};
pub use smtp::SmtpMailer;
