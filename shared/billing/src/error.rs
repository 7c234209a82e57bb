//! What can go wrong in a use case, classified once.

use domain::SpecError;
use gateways::mail::MailError;
use queue::JobError;
use store::StoreError;

/// Why a use case did not happen.
#[derive(Debug, thiserror::Error)]
pub enum BillingError {
    /// An object that the caller named does not exist for its tenant.
    #[error("no such {object}: {id}")]
    NotFound {
        /// Kind of object, as in the API.
        object: &'static str,
        /// The id asked for.
        id: String,
    },
    /// A rule of billing was violated by the input.
    #[error("{detail}")]
    Rule {
        /// Stable code.
        code: &'static str,
        /// JSON pointer of the field that violates it, or empty.
        pointer: &'static str,
        /// The rule, for people.
        detail: String,
    },
    /// A rule of billing was violated by a part of the input that is named by its path.
    #[error("{error}")]
    Spec {
        /// Stable code.
        code: &'static str,
        /// The rule, and where in the input.
        error: SpecError,
    },
    /// The object is in a state that does not allow this.
    #[error("{detail}")]
    State {
        /// Stable code.
        code: &'static str,
        /// The rule, for people.
        detail: String,
    },
    /// The object has changed since the client read it.
    #[error("the object has changed since it was read; read it again")]
    Stale,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The mail server did not take a mail.
    #[error(transparent)]
    Mail(#[from] gateways::mail::MailError),
    /// Redis failed; the work itself is safe in the store.
    #[error(transparent)]
    Queue(#[from] queue::QueueError),
}

impl BillingError {
    pub(crate) fn not_found(object: &'static str, id: &str) -> Self {
        Self::NotFound { object, id: id.to_owned() }
    }

    pub(crate) fn state(code: &'static str, detail: impl Into<String>) -> Self {
        Self::State { code, detail: detail.into() }
    }

    pub(crate) fn rule(code: &'static str, pointer: &'static str, detail: impl Into<String>) -> Self {
        Self::Rule { code, pointer, detail: detail.into() }
    }

    /// Whether a concurrent change came first, so that loading and deciding again may succeed.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_conflict())
    }
}

impl From<SpecError> for BillingError {
    fn from(error: SpecError) -> Self {
        Self::Spec { code: "rule_violated", error }
    }
}

/// In a job a violated rule is a bug that no retry heals; a store or queue that is away comes back.
impl From<BillingError> for JobError {
    fn from(error: BillingError) -> Self {
        let message = error.to_string();
        match error {
            BillingError::NotFound { .. } => Self::fatal("not_found", message),
            BillingError::Rule { code, .. } | BillingError::Spec { code, .. } | BillingError::State { code, .. } => {
                Self::fatal(code, message)
            }
            BillingError::Stale => Self::fatal("stale", message),
            BillingError::Store(StoreError::Corrupt(_)) => Self::fatal("corrupt_document", message),
            BillingError::Store(StoreError::Duplicate(_)) => Self::retry("duplicate", message),
            BillingError::Store(StoreError::Conflict(_)) => Self::retry("conflict", message),
            BillingError::Store(StoreError::Unavailable(_)) => Self::retry("store_unavailable", message),
            BillingError::Mail(MailError::Permanent { .. }) => Self::fatal("mail_refused", message),
            BillingError::Mail(MailError::Transient { .. }) => Self::retry("mail_unavailable", message),
            BillingError::Queue(_) => Self::retry("queue_unavailable", message),
        }
    }
}
