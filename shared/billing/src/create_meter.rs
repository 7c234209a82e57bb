//! Creates a meter.

use std::collections::BTreeMap;

use domain::Meter;
use serde_json::json;
use store::{MeterRecord, Store, UnitOfWork};

use crate::{Actor, BillingError, Change, EventType, TenantTime, actor::Fact};

/// Meters of one tenant: more would make every usage batch look them all up.
const MAX_METERS: usize = 200;

/// Decides the creation of a meter under `id`; its key must be free.
///
/// # Errors
/// `State` when the key is taken or the tenant has 200 meters; store errors.
pub async fn create_meter(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (id, meter, metadata): (String, Meter, BTreeMap<String, String>),
) -> Result<Change<MeterRecord>, BillingError> {
    let known = store.meters(&actor.tenant).await?;
    if known.iter().any(|other| other.meter.key() == meter.key()) {
        let detail = format!("a meter with the key `{}` exists already", meter.key());
        return Err(BillingError::State { code: "key_taken", detail });
    }
    if known.len() >= MAX_METERS {
        let detail = format!("a tenant has at most {MAX_METERS} meters");
        return Err(BillingError::State { code: "too_many_meters", detail });
    }
    let record = MeterRecord { id, tenant: actor.tenant.clone(), revision: 1, created: time.wall, meter, metadata };
    let mut unit = UnitOfWork::default();
    unit.insert(&record)?;
    let data = json!({ "key": record.meter.key() });
    actor.record(
        &mut unit,
        time.wall,
        Fact { name: EventType::MeterCreated, subject: &record.id, revision: 1, data },
    )?;
    Ok(Change { result: record, unit, follow_up: Vec::new() })
}
