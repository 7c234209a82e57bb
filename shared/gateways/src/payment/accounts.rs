//! Which gateway is asked for whom: each tenant may have an account of its own, all others share the deployment's.

use std::sync::Arc;

use secrecy::SecretString;

use super::error::SetUpError;
use super::manual::ManualGateway;
use super::port::PaymentGateway;
use super::stripe::StripeGateway;

/// A tenant's own account at a gateway that speaks the Stripe API.
#[derive(Debug, Clone)]
pub struct Account {
    /// Where the gateway is; the deployment's if none.
    pub base_url: Option<String>,
    /// The key that opens the account.
    pub secret_key: SecretString,
    /// Where a customer goes after it has confirmed a payment; the deployment's if none.
    pub return_url: Option<String>,
}

/// Every gateway there is; cheap to clone, and all share their connections.
#[derive(Debug, Clone)]
pub struct PaymentGateways {
    shared: StripeGateway,
    manual: Arc<ManualGateway>,
}

impl PaymentGateways {
    /// With the account of whoever has none of its own.
    #[must_use]
    pub fn new(shared: StripeGateway) -> Self {
        Self { shared, manual: Arc::new(ManualGateway) }
    }

    /// The gateway that is charged over the wire, with the account given or the deployment's.
    ///
    /// # Errors
    /// [`SetUpError::BaseUrl`] for an account's URL that is none.
    pub fn online(&self, account: Option<&Account>) -> Result<Arc<dyn PaymentGateway>, SetUpError> {
        Ok(match account {
            None => Arc::new(self.shared.clone()),
            Some(account) => Arc::new(self.shared.clone().for_account(account)?),
        })
    }

    /// The gateway of recorded payments.
    #[must_use]
    pub fn manual(&self) -> Arc<dyn PaymentGateway> {
        self.manual.clone()
    }
}
