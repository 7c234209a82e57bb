//! Changes of state that do not exist.

/// A change of state that is not in the list of those that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{subject} that is {from} cannot become {to}")]
pub struct ForbiddenTransition {
    /// "an invoice" or "a subscription".
    pub subject: &'static str,
    /// The state it is in.
    pub from: &'static str,
    /// The state it was to be in.
    pub to: &'static str,
}
