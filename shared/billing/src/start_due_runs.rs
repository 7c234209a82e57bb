//! Starts a billing run for every tenant with something due: what the billing trigger's tick does.

use jiff::Timestamp;
use store::{StoreError, scheduled_run_id};

use crate::{Actor, Billing, BillingError, NewBillingRun, TenantTime, create_billing_run};

/// Creates the runs of a tick, each under an id made of tick and tenant, so that two schedulers create them once. Each tenant
/// is judged by its own clock, and none keeps the others from their run.
///
/// # Errors
/// The last one's, if any failed; runs that were created stay, and a repeat finds them.
pub async fn start_due_runs(billing: &Billing, tick: &str, wall: Timestamp) -> Result<usize, BillingError> {
    let tenants = tenants_due(billing, wall).await?;
    let mut outcome = Ok(tenants.len());
    for tenant in &tenants {
        match start_run(billing, tick, tenant, wall).await {
            Ok(run) => tracing::info!(run, tenant, "billing run started"),
            Err(BillingError::Store(StoreError::Duplicate(_))) => {}
            Err(error) => {
                tracing::error!(tenant, %error, "cannot start the billing run");
                outcome = Err(error);
            }
        }
    }
    outcome
}

async fn start_run(billing: &Billing, tick: &str, tenant: &str, wall: Timestamp) -> Result<String, BillingError> {
    let time = TenantTime::read(&billing.store, tenant, wall).await?;
    let new = NewBillingRun { id: scheduled_run_id(tick, tenant), as_of: None };
    Ok(billing.commit(create_billing_run(&Actor::system(tenant), &time, new)?).await?.id)
}

async fn tenants_due(billing: &Billing, wall: Timestamp) -> Result<Vec<String>, BillingError> {
    let mut tenants = billing.store.tenants_due(None, wall).await?;
    for clock in billing.store.test_clocks().await? {
        tenants.extend(billing.store.tenants_due(Some(&clock.id), clock.now).await?);
    }
    Ok(tenants)
}
