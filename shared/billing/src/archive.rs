//! Archives what is copied where it is used: nobody may name it any more, and whoever has it keeps it.

use jiff::Timestamp;
use serde_json::json;
use store::{CouponRecord, Revised, Store, TaxRateRecord, UnitOfWork};

use crate::{Actor, BillingError, Change, EventType, TenantTime, actor::Fact};

/// Something that can be archived.
pub trait Archivable: Revised + Clone {
    /// Its wire name.
    const OBJECT: &'static str;
    /// What is recorded when it is archived.
    const ARCHIVED: EventType;

    /// Since when it is archived.
    fn archived_at(&mut self) -> &mut Option<Timestamp>;
}

impl Archivable for CouponRecord {
    const OBJECT: &'static str = "coupon";
    const ARCHIVED: EventType = EventType::CouponArchived;

    fn archived_at(&mut self) -> &mut Option<Timestamp> {
        &mut self.archived_at
    }
}

impl Archivable for TaxRateRecord {
    const OBJECT: &'static str = "tax_rate";
    const ARCHIVED: EventType = EventType::TaxRateArchived;

    fn archived_at(&mut self) -> &mut Option<Timestamp> {
        &mut self.archived_at
    }
}

/// Decides that something is archived; if it is already, nothing changes.
///
/// # Errors
/// `NotFound`; store errors.
pub async fn archive<R: Archivable>(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    id: &str,
) -> Result<Change<R>, BillingError> {
    let mut record: R = store.find(&actor.tenant, id).await?.ok_or_else(|| BillingError::not_found(R::OBJECT, id))?;
    let mut unit = UnitOfWork::default();
    if record.archived_at().is_none() {
        *record.archived_at() = Some(time.wall);
        unit.replace(&mut record)?;
        let fact = Fact { name: R::ARCHIVED, subject: record.id(), revision: record.revision(), data: json!({}) };
        actor.record(&mut unit, time.wall, fact)?;
    }
    Ok(Change { result: record, unit, follow_up: Vec::new() })
}
