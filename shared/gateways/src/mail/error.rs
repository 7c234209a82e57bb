//! Why a mail was not sent, classified by whether sending it again can help.

use thiserror::Error;

/// A mail that was not accepted by the server.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MailError {
    /// The server, the network or our account there: another try can succeed.
    #[error("the mail was not sent for now: {detail}")]
    Transient {
        /// What the server or the network said.
        detail: String,
    },
    /// This mail will never be sent: a bad address, or the server refused it for good.
    #[error("the mail cannot be sent: {detail}")]
    Permanent {
        /// What is wrong with it.
        detail: String,
    },
}

impl MailError {
    pub(super) fn transient(detail: impl Into<String>) -> Self {
        Self::Transient { detail: detail.into() }
    }

    pub(super) fn permanent(detail: impl Into<String>) -> Self {
        Self::Permanent { detail: detail.into() }
    }
}

/// Why the mailer cannot be built. Its text never shows the URL: it may carry a password.
#[derive(Debug, Error)]
pub enum MailSetUpError {
    /// Not a URL, not `smtp` or `smtps`, without a host, or with a `tls` that is not known.
    #[error("the mail server's URL is not usable: {reason}")]
    Url {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// TLS cannot be set up for the server's name.
    #[error("setting up TLS for the mail server")]
    Tls(#[source] lettre::transport::smtp::Error),
}
