//! Creates a plan, in its first version.

use std::collections::BTreeMap;

use domain::Plan;
use serde_json::json;
use store::{PlanRecord, Store, UnitOfWork};

use crate::{Actor, BillingError, Change, EventType, TenantTime, actor::Fact};

/// A plan to create, already parsed.
#[derive(Clone, Debug)]
pub struct NewPlan {
    /// `pln_...`
    pub id: String,
    pub plan: Plan,
    pub metadata: BTreeMap<String, String>,
}

/// Decides the creation of a plan; its key must be free and its meters must exist.
///
/// # Errors
/// `State` when the key is taken, `Spec` when a price names an unknown meter or one that its model cannot rate; store errors.
pub async fn create_plan(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    new: NewPlan,
) -> Result<Change<PlanRecord>, BillingError> {
    if store.plan_by_key(&actor.tenant, new.plan.key()).await?.is_some() {
        let detail = format!("a plan with the key `{}` exists already", new.plan.key());
        return Err(BillingError::State { code: "key_taken", detail });
    }
    check_meters(store, &actor.tenant, &new.plan).await?;
    let record = PlanRecord {
        id: new.id,
        tenant: actor.tenant.clone(),
        revision: 1,
        created: time.wall,
        version: 1,
        plan: new.plan,
        metadata: new.metadata,
        deprecated_at: None,
    };
    let mut unit = UnitOfWork::default();
    unit.insert(&record)?;
    unit.insert(&record.newest(time.wall))?;
    let data = json!({ "key": record.plan.key(), "version": record.version });
    actor.record(
        &mut unit,
        time.wall,
        Fact { name: EventType::PlanCreated, subject: &record.id, revision: 1, data },
    )?;
    Ok(Change { result: record, unit, follow_up: Vec::new() })
}

/// Whether every meter that a plan names exists and can be rated by the price that names it.
pub(crate) async fn check_meters(store: &Store, tenant: &str, plan: &Plan) -> Result<(), BillingError> {
    let known = store.meters(tenant).await?;
    Ok(plan.check_meters(|key| known.iter().map(|record| &record.meter).find(|meter| meter.key() == key))?)
}
