//! Why a subscription cannot be billed.

use crate::{AmountError, ForbiddenTransition, SpecError};

/// Why a subscription cannot be billed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BillingError {
    /// A line's amount cannot be computed.
    #[error("price `{price}` cannot be billed: {source}")]
    Price {
        /// Key of the price.
        price: String,
        /// Why.
        source: AmountError,
    },
    /// The lines cannot be added up.
    #[error("the invoice cannot be added up: {0}")]
    Totals(#[from] AmountError),
    /// The subscription does not fit the plan.
    #[error("{0}")]
    Terms(#[from] SpecError),
    /// It is not in a state for this.
    #[error("{0}")]
    State(#[from] ForbiddenTransition),
    /// It is over, so it has no boundary.
    #[error("the subscription is over")]
    Over,
}
