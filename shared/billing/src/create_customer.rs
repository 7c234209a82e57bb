//! Creates a customer.

use std::collections::BTreeMap;

use domain::{Currency, Locale, TaxRate, TaxRounding, Zone};
use serde_json::json;
use store::{Address, Customer, UnitOfWork};

use crate::{Actor, BillingError, Change, EventType, TenantTime, actor::Fact};

/// A customer to create, already parsed.
#[derive(Clone, Debug)]
pub struct NewCustomer {
    pub name: String,
    pub email: String,
    pub address: Option<Address>,
    pub currency: Currency,
    pub timezone: Zone,
    pub locale: Locale,
    pub tax_rates: Vec<TaxRate>,
    pub tax_rounding: TaxRounding,
    /// The gateway's token.
    pub payment_method: Option<String>,
    /// Days for which periodic invoices stay drafts.
    pub invoice_grace_days: u16,
    pub metadata: BTreeMap<String, String>,
}

/// Decides the creation of a customer under `id`.
///
/// # Errors
/// Store errors when the documents cannot be encoded.
pub fn create_customer(
    actor: &Actor,
    time: &TenantTime,
    id: String,
    new: NewCustomer,
) -> Result<Change<Customer>, BillingError> {
    let customer = Customer {
        id,
        tenant: actor.tenant.clone(),
        revision: 1,
        created: time.wall,
        name: new.name,
        email: new.email,
        address: new.address,
        currency: new.currency,
        timezone: new.timezone,
        locale: new.locale,
        tax_rates: new.tax_rates,
        tax_rounding: new.tax_rounding,
        payment_method: new.payment_method,
        balance_minor: 0,
        invoice_grace_days: new.invoice_grace_days,
        metadata: new.metadata,
        deleted_at: None,
    };
    let mut unit = UnitOfWork::default();
    unit.insert(&customer)?;
    let data = json!({ "currency": customer.currency, "timezone": customer.timezone });
    let fact = Fact { name: EventType::CustomerCreated, subject: &customer.id, revision: customer.revision, data };
    actor.record(&mut unit, time.wall, fact)?;
    Ok(Change { result: customer, unit, follow_up: Vec::new() })
}
