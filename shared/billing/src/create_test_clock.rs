//! Creates a test clock and puts the tenant on it.

use jiff::Timestamp;
use serde_json::json;
use store::{Due, Store, Tenant, TestClock, UnitOfWork};

use crate::{Actor, BillingError, Change, EventType, actor::Fact};

/// Decides the creation of a clock that stands at `now`; from then on it is the tenant's time.
///
/// # Errors
/// `State` for a live tenant, for one that stands on a clock, and for one that has subscriptions: their boundaries would be
/// read on two clocks. Store errors.
pub async fn create_test_clock(
    store: &Store,
    actor: &Actor,
    wall: Timestamp,
    (id, now): (String, Timestamp),
) -> Result<Change<TestClock>, BillingError> {
    let mut tenant: Tenant = store
        .find(&actor.tenant, &actor.tenant)
        .await?
        .ok_or_else(|| BillingError::not_found("tenant", &actor.tenant))?;
    if tenant.livemode {
        let detail = "a tenant in live mode runs on the wall clock".to_owned();
        return Err(BillingError::State { code: "livemode", detail });
    }
    if let Some(clock) = &tenant.test_clock {
        return Err(BillingError::State {
            code: "clock_exists",
            detail: format!("the tenant stands on {clock} already"),
        });
    }
    if store.has_subscriptions(&actor.tenant).await? {
        let detail = "a test clock must be created before the first subscription".to_owned();
        return Err(BillingError::State { code: "has_subscriptions", detail });
    }
    let clock = TestClock {
        id,
        tenant: actor.tenant.clone(),
        revision: 1,
        created: wall,
        now,
        target: None,
        advanced_from: None,
        stops: 0,
        due: Due::never(),
    };
    let mut unit = UnitOfWork::default();
    tenant.test_clock = Some(clock.id.clone());
    unit.replace(&mut tenant)?;
    unit.insert(&clock)?;
    let data = json!({ "now": clock.now });
    actor.record(&mut unit, wall, Fact { name: EventType::TestClockCreated, subject: &clock.id, revision: 1, data })?;
    Ok(Change { result: clock, unit, follow_up: Vec::new() })
}
