//! The customer that something is done for: one that is not deleted.

use store::{Customer, Store};

use crate::BillingError;

/// The customer that a path names.
///
/// # Errors
/// `NotFound`; `State` for one that is deleted; store errors.
pub(crate) async fn load_customer(store: &Store, tenant: &str, id: &str) -> Result<Customer, BillingError> {
    let customer: Customer = store.find(tenant, id).await?.ok_or_else(|| BillingError::not_found("customer", id))?;
    if customer.deleted_at.is_some() {
        return Err(BillingError::state("customer_deleted", "the customer is deleted"));
    }
    Ok(customer)
}

/// The customer that a body's field `customer` names.
///
/// # Errors
/// `Rule` when there is none, or it is deleted; store errors.
pub(crate) async fn find_customer(store: &Store, tenant: &str, named: &str) -> Result<Customer, BillingError> {
    let unknown = || BillingError::rule("unknown_customer", "/customer", format!("no such customer: {named}"));
    let customer: Option<Customer> = store.find(tenant, named).await?;
    customer.filter(|customer| customer.deleted_at.is_none()).ok_or_else(unknown)
}
