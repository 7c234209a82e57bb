//! Why a call to the gateway gave no outcome, classified by what may be done next.

use std::time::Duration;

use thiserror::Error;

/// A call that ended without a decided outcome.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PaymentError {
    /// The gateway refused to listen; nothing was executed. Repeat later.
    #[error("the payment gateway is rate limiting")]
    RateLimited {
        /// How long the gateway asks to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// The gateway could not be reached; the request never left, nothing was executed.
    #[error("the payment gateway cannot be reached: {detail}")]
    Unavailable {
        /// What the network said.
        detail: String,
    },
    /// It may or may not have been executed. Repeat under the same key, or look it up.
    #[error("the payment gateway's answer proves nothing: {detail}")]
    Unknown {
        /// What came instead of an outcome.
        detail: String,
        /// The answer was a stored one (`Idempotent-Replayed`): every repeat under this key will
        /// bring it again, and only a look-up tells what happened.
        replayed: bool,
    },
    /// The request itself is wrong (our bug or configuration). Repeating changes nothing.
    #[error("the payment gateway rejected the request ({status}, {code}): {message}")]
    Rejected {
        /// The HTTP status; 0 if the request could not even be built.
        status: u16,
        /// The gateway's error code or, where it has none, its type.
        code: String,
        /// The gateway's words.
        message: String,
    },
}

impl PaymentError {
    /// The class as a metric label.
    pub(super) fn class(&self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable { .. } => "unavailable",
            Self::Unknown { .. } => "unknown",
            Self::Rejected { .. } => "rejected",
        }
    }

    pub(super) fn unknown(detail: impl Into<String>) -> Self {
        Self::Unknown { detail: detail.into(), replayed: false }
    }
}

/// Why the adapter cannot be built.
#[derive(Debug, Error)]
pub enum SetUpError {
    /// The base URL cannot be used.
    #[error("{url:?} is not an http or https base URL of a payment gateway")]
    BaseUrl {
        /// What was given.
        url: String,
    },
    /// The process has not chosen its TLS implementation.
    #[error("no TLS provider is installed: the binary installs one first thing in main")]
    NoTlsProvider,
    /// The HTTP client could not be built.
    #[error("building the payment gateway's HTTP client")]
    Client(#[source] reqwest::Error),
}
