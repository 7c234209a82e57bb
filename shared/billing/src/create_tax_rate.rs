//! Creates a tax rate that customers and prices can name.

use std::collections::BTreeMap;

use domain::TaxRate;
use serde_json::json;
use store::{TaxRateRecord, UnitOfWork};

use crate::{Actor, BillingError, Change, EventType, TenantTime, actor::Fact};

/// Decides the creation of a tax rate under `id`.
///
/// # Errors
/// Store errors when the documents cannot be encoded.
pub fn create_tax_rate(
    actor: &Actor,
    time: &TenantTime,
    (id, rate, metadata): (String, TaxRate, BTreeMap<String, String>),
) -> Result<Change<TaxRateRecord>, BillingError> {
    let tenant = actor.tenant.clone();
    let record = TaxRateRecord { id, tenant, revision: 1, created: time.wall, rate, metadata, archived_at: None };
    let mut unit = UnitOfWork::default();
    unit.insert(&record)?;
    let data = json!({ "name": record.rate.name(), "percent": record.rate.percent() });
    actor.record(
        &mut unit,
        time.wall,
        Fact { name: EventType::TaxRateCreated, subject: &record.id, revision: 1, data },
    )?;
    Ok(Change { result: record, unit, follow_up: Vec::new() })
}
