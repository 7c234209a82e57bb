//! Creates a plan (its first version).

use domain::Plan;
use serde_json::json;
use store::{PlanVersion, Store, UnitOfWork};

use crate::{Actor, BillingError, Change, EventType, TenantTime, actor::Fact};

/// Decides the creation of a plan under `id`; its key must be free and its meters must exist.
///
/// # Errors
/// `State` when the key is taken, `Spec` when a price names an unknown meter or one that its model cannot rate; store errors.
pub async fn create_plan(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (id, plan): (String, Plan),
) -> Result<Change<PlanVersion>, BillingError> {
    if store.plan_by_key(&actor.tenant, plan.key()).await?.is_some() {
        let detail = format!("a plan with the key `{}` exists already", plan.key());
        return Err(BillingError::State { code: "key_taken", detail });
    }
    let known = store.meters(&actor.tenant).await?;
    plan.check_meters(|key| known.iter().map(|record| &record.meter).find(|meter| meter.key() == key))?;
    let version = PlanVersion { id, tenant: actor.tenant.clone(), revision: 1, created: time.wall, version: 1, plan };
    let mut unit = UnitOfWork::default();
    unit.insert(&version)?;
    let data = json!({ "key": version.plan.key(), "version": version.version });
    actor.record(
        &mut unit,
        time.wall,
        Fact { name: EventType::PlanCreated, subject: &version.id, revision: 1, data },
    )?;
    Ok(Change { result: version, unit, follow_up: Vec::new() })
}
