//! Where an invoice stands: what may be done to it, and its way from one state to the next.

use domain::InvoiceStatus;
use store::{Invoice, Store};

use crate::BillingError;

/// Loads an invoice that nobody is paying at this moment.
///
/// # Errors
/// `NotFound`; `State` while the outcome of a payment is not known: it may be paid already. Store errors.
pub(crate) async fn load_at_rest(store: &Store, tenant: &str, id: &str) -> Result<Invoice, BillingError> {
    let invoice: Invoice = store.find(tenant, id).await?.ok_or_else(|| BillingError::not_found("invoice", id))?;
    if invoice.open_attempt.is_some() {
        return Err(payment_in_progress());
    }
    Ok(invoice)
}

/// The refusal of whatever cannot be done to an invoice that may be paid already.
pub(crate) fn payment_in_progress() -> BillingError {
    let detail = "a payment of the invoice is under way; try again when its outcome is known";
    BillingError::state("payment_in_progress", detail)
}

/// Moves an invoice on.
///
/// # Errors
/// `State` for a change that does not exist.
pub(crate) fn move_to(invoice: &mut Invoice, status: InvoiceStatus) -> Result<(), BillingError> {
    let moved = invoice.status.transition_to(status);
    invoice.status = moved.map_err(|error| BillingError::State { code: "invalid_state", detail: error.to_string() })?;
    Ok(())
}
