//! Changes a customer: what it is called, where it lives, how it is taxed, how it pays.

use domain::{Locale, TaxRate, TaxRounding, Zone};
use serde_json::json;
use store::{Address, Customer, Store, UnitOfWork};

use crate::{
    Actor, BillingError, Change, EventType, MetadataPatch, Patch, Target, TenantTime, actor::Fact,
    find_customer::load_customer, patch::patch_metadata,
};

/// What changes of a customer, already parsed; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct CustomerPatch {
    pub name: Option<String>,
    pub email: Option<String>,
    pub address: Patch<Address>,
    pub timezone: Option<Zone>,
    pub locale: Option<Locale>,
    pub tax_rates: Option<Vec<TaxRate>>,
    pub tax_rounding: Option<TaxRounding>,
    /// The gateway's token.
    pub payment_method: Patch<String>,
    pub invoice_grace_days: Option<u16>,
    pub metadata: MetadataPatch,
}

/// Decides a change. Invoices that are issued stay as they are; the next ones follow it.
///
/// # Errors
/// `NotFound`; `Stale`; `State` for a deleted customer; `Rule` for too much metadata; store errors.
pub async fn update_customer(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (target, patch): (&Target, CustomerPatch),
) -> Result<Change<Customer>, BillingError> {
    let mut customer = load_customer(store, &actor.tenant, &target.id).await?;
    target.check(customer.revision)?;
    let changed = apply(&mut customer, patch)?;
    let mut unit = UnitOfWork::default();
    unit.replace(&mut customer)?;
    let data = json!({ "changed": changed });
    let fact = Fact { name: EventType::CustomerUpdated, subject: &customer.id, revision: customer.revision, data };
    actor.record(&mut unit, time.wall, fact)?;
    Ok(Change { result: customer, unit, follow_up: Vec::new() })
}

/// Sets the fields that are named, and gives the names of those that are different now.
fn apply(customer: &mut Customer, patch: CustomerPatch) -> Result<Vec<&'static str>, BillingError> {
    let before = customer.clone();
    set(&mut customer.name, patch.name);
    set(&mut customer.email, patch.email);
    patch.address.apply(&mut customer.address);
    set(&mut customer.timezone, patch.timezone);
    set(&mut customer.locale, patch.locale);
    set(&mut customer.tax_rates, patch.tax_rates);
    set(&mut customer.tax_rounding, patch.tax_rounding);
    patch.payment_method.apply(&mut customer.payment_method);
    set(&mut customer.invoice_grace_days, patch.invoice_grace_days);
    patch_metadata(&mut customer.metadata, patch.metadata)?;
    let fields = [
        ("name", before.name != customer.name),
        ("email", before.email != customer.email),
        ("address", before.address != customer.address),
        ("timezone", before.timezone != customer.timezone),
        ("locale", before.locale != customer.locale),
        ("tax_rates", before.tax_rates != customer.tax_rates),
        ("tax_rounding", before.tax_rounding != customer.tax_rounding),
        ("payment_method", before.payment_method != customer.payment_method),
        ("invoice_grace_days", before.invoice_grace_days != customer.invoice_grace_days),
        ("metadata", before.metadata != customer.metadata),
    ];
    Ok(fields.into_iter().filter_map(|(field, changed)| changed.then_some(field)).collect())
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
