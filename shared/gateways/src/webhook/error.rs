//! Why an attempt brought no answer.

use thiserror::Error;

use super::{rules::Refusal, signature::MalformedSecret};

/// An attempt without an answer. Its text is shown to who owns the endpoint: it says nothing of our network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WebhookError {
    /// It must not go there.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The name does not resolve, nobody listens, the handshake or the exchange broke.
    #[error("the endpoint cannot be reached")]
    Unreachable,
    /// The stored secret is none.
    #[error(transparent)]
    Secret(#[from] MalformedSecret),
}

/// Why no sender can be built.
#[derive(Debug, Error)]
pub enum WebhookSetUpError {
    /// The process has no TLS provider.
    #[error("no TLS provider is installed")]
    NoTlsProvider,
    /// The HTTP client cannot be built.
    #[error("building the HTTP client for webhooks")]
    Client(#[source] reqwest::Error),
}
