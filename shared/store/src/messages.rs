//! What notifications say: every kind of message there is, with the objects and facts that its words are made from.

use serde::{Deserialize, Serialize};

use crate::SecretLink;

/// A message, and what it is about.
///
/// A new kind is a variant here, its line in [`Message::kind`], and its words in `billing::mails`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// Welcome: the address is to be confirmed.
    VerifyEmail {
        #[serde(default)]
        secret_link: SecretLink,
    },
    /// Somebody asks the reader to join a tenant's users.
    Invitation {
        /// Name of who invites.
        by: String,
        #[serde(default)]
        secret_link: SecretLink,
    },
    /// Somebody, probably the reader, has forgotten the password.
    PasswordReset {
        #[serde(default)]
        secret_link: SecretLink,
    },
    InvoiceIssued {
        invoice: String,
    },
    PaymentFailed {
        invoice: String,
        attempt: String,
    },
}

impl Message {
    /// The kind's name in ids and on the wire.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::VerifyEmail { .. } => "verify_email",
            Self::Invitation { .. } => "invitation",
            Self::PasswordReset { .. } => "password_reset",
            Self::InvoiceIssued { .. } => "invoice_issued",
            Self::PaymentFailed { .. } => "payment_failed",
        }
    }

    /// The invoice it is about.
    #[must_use]
    pub fn invoice(&self) -> Option<&str> {
        match self {
            Self::InvoiceIssued { invoice } | Self::PaymentFailed { invoice, .. } => Some(invoice),
            _ => None,
        }
    }

    /// The payment attempt it is about.
    #[must_use]
    pub fn attempt(&self) -> Option<&str> {
        match self {
            Self::PaymentFailed { attempt, .. } => Some(attempt),
            _ => None,
        }
    }
}
