//! Changes a tenant's settings.

use domain::DunningPolicy;
use serde_json::{Value, json};
use store::{Brand, Store, Tenant, UnitOfWork};

use crate::{
    Actor, BillingError, Change, EventType, Patch, Target, TenantTime, actor::Fact, create_subscription::find_plan,
};

/// What changes of a tenant, already parsed; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct TenantPatch {
    pub name: Option<String>,
    /// `pln_...` or a key.
    pub default_plan: Patch<String>,
    pub dunning: Option<DunningPolicy>,
    pub brand: Option<Brand>,
}

/// Decides a change of the actor's tenant.
///
/// # Errors
/// `Stale`; `Rule` for an unknown plan; store errors.
pub async fn update_tenant(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (target, patch): (&Target, TenantPatch),
) -> Result<Change<Tenant>, BillingError> {
    let missing = || BillingError::not_found("tenant", &target.id);
    let mut tenant: Tenant = store.find(&actor.tenant, &target.id).await?.ok_or_else(missing)?;
    target.check(tenant.revision)?;
    let TenantPatch { name, default_plan, dunning, brand } = patch;
    if let Patch::Set(plan) = &default_plan {
        check_plan(store, &actor.tenant, plan).await?;
    }
    let before = settings(&tenant);
    tenant.name = name.unwrap_or(tenant.name);
    default_plan.apply(&mut tenant.default_plan);
    tenant.dunning = dunning.unwrap_or(tenant.dunning);
    tenant.brand = brand.unwrap_or(tenant.brand);
    let mut unit = UnitOfWork::default();
    unit.replace(&mut tenant)?;
    let data = settings(&tenant);
    let fact = Fact { name: EventType::TenantUpdated, subject: &tenant.id, revision: tenant.revision, data };
    actor.record_change(&mut unit, time.wall, (before, fact))?;
    Ok(Change { result: tenant, unit, follow_up: Vec::new() })
}

async fn check_plan(store: &Store, tenant: &str, plan: &str) -> Result<(), BillingError> {
    match find_plan(store, tenant, plan).await {
        Err(BillingError::Rule { code, detail, .. }) => Err(BillingError::rule(code, "/default_plan", detail)),
        found => found.map(drop),
    }
}

fn settings(tenant: &Tenant) -> Value {
    json!({
        "name": tenant.name, "default_plan": tenant.default_plan, "dunning": tenant.dunning, "brand": tenant.brand,
    })
}
