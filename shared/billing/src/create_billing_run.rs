//! Creates a billing run; the workers do the rest.

use domain::RunState;
use jiff::Timestamp;
use queue::NewJob;
use serde_json::json;
use store::{BillingRun, Due, UnitOfWork};

use crate::{Actor, BillingError, Change, EventType, TenantTime, actor::Fact, jobs::TriggerBillingCycle};

/// A run to create.
#[derive(Clone, Debug)]
pub struct NewBillingRun {
    /// `run_...`
    pub id: String,
    /// Everything due up to and including this moment; now if absent.
    pub as_of: Option<Timestamp>,
}

/// Decides the creation of a run. Runs may overlap: whoever bills a boundary first bills it.
///
/// # Errors
/// `Rule` when `as_of` is later than the tenant's time; store errors.
pub fn create_billing_run(
    actor: &Actor,
    time: &TenantTime,
    new: NewBillingRun,
) -> Result<Change<BillingRun>, BillingError> {
    let as_of = new.as_of.unwrap_or(time.now);
    if as_of > time.now {
        let detail = format!("as_of must not be later than the tenant's time, {}", time.now);
        return Err(BillingError::rule("as_of_in_future", "/as_of", detail));
    }
    let run = BillingRun {
        id: new.id,
        tenant: actor.tenant.clone(),
        revision: 1,
        created: time.wall,
        as_of,
        state: RunState::Planning,
        planned: false,
        retries: 0,
        wake_after: None,
        error: None,
        finished_at: None,
        due: Due::at(time.wall),
    };
    let mut unit = UnitOfWork::default();
    unit.insert(&run)?;
    let data = json!({ "as_of": run.as_of });
    actor.record(
        &mut unit,
        time.wall,
        Fact { name: EventType::BillingRunCreated, subject: &run.id, revision: 1, data },
    )?;
    let job = TriggerBillingCycle { tenant: run.tenant.clone(), run: run.id.clone() };
    Ok(Change { result: run, unit, follow_up: vec![NewJob::of(&job)?] })
}
