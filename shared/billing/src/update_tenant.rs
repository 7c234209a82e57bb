//! Changes a tenant's settings.

use domain::DunningPolicy;
use serde_json::{Value, json};
use store::{Brand, Store, Tenant, UnitOfWork};

use crate::{Actor, BillingError, Change, EventType, TenantTime, actor::Fact, create_subscription::find_plan};

/// What to change, already parsed; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct TenantChange {
    pub name: Option<String>,
    /// `pln_...` or a key; `Some(None)` takes the setting away.
    pub default_plan: Option<Option<String>>,
    pub dunning: Option<DunningPolicy>,
    pub brand: Option<Brand>,
}

/// Decides a change of the settings that the tenant has at the moment.
///
/// # Errors
/// `Rule` for an unknown plan; store errors.
pub async fn update_tenant(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (mut tenant, change): (Tenant, TenantChange),
) -> Result<Change<Tenant>, BillingError> {
    let TenantChange { name, default_plan, dunning, brand } = change;
    if let Some(Some(plan)) = &default_plan {
        check_plan(store, &actor.tenant, plan).await?;
    }
    let before = settings(&tenant);
    tenant.name = name.unwrap_or(tenant.name);
    tenant.default_plan = default_plan.unwrap_or(tenant.default_plan);
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
