//! Creates a coupon.

use domain::Coupon;
use serde_json::json;
use store::{CouponRecord, Store, UnitOfWork};

use crate::{Actor, BillingError, Change, EventType, TenantTime, actor::Fact};

/// Decides the creation of a coupon under `id`; its key must be free.
///
/// # Errors
/// `State` when the key is taken; store errors.
pub async fn create_coupon(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (id, coupon): (String, Coupon),
) -> Result<Change<CouponRecord>, BillingError> {
    if store.coupon_by_key(&actor.tenant, coupon.key()).await?.is_some() {
        let detail = format!("a coupon with the key `{}` exists already", coupon.key());
        return Err(BillingError::state("key_taken", detail));
    }
    let record = CouponRecord { id, tenant: actor.tenant.clone(), revision: 1, created: time.wall, coupon };
    let mut unit = UnitOfWork::default();
    unit.insert(&record)?;
    let data = json!({ "key": record.coupon.key() });
    actor.record(
        &mut unit,
        time.wall,
        Fact { name: EventType::CouponCreated, subject: &record.id, revision: 1, data },
    )?;
    Ok(Change { result: record, unit, follow_up: Vec::new() })
}
