//! Creates a coupon.

use std::collections::BTreeMap;

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
    (id, coupon, metadata): (String, Coupon, BTreeMap<String, String>),
) -> Result<Change<CouponRecord>, BillingError> {
    if store.coupon_by_key(&actor.tenant, coupon.key()).await?.is_some() {
        let detail = format!("a coupon with the key `{}` exists already", coupon.key());
        return Err(BillingError::state("key_taken", detail));
    }
    let tenant = actor.tenant.clone();
    let record = CouponRecord { id, tenant, revision: 1, created: time.wall, coupon, metadata, archived_at: None };
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
