//! Gives an event to each of the tenant's webhook endpoints that wants it.

use store::{EndpointState, Event, Store, UnitOfWork};

use crate::{
    BillingError, Change, TenantTime,
    webhooks::message::{delivery_of, job},
};

pub(super) async fn decide(
    store: &Store,
    event: &Event,
    time: &TenantTime,
) -> Result<Option<Change<()>>, BillingError> {
    let mut unit = UnitOfWork::default();
    let mut follow_up = Vec::new();
    for endpoint in store.webhook_endpoints(&event.tenant).await? {
        if endpoint.state == EndpointState::Enabled && endpoint.wants(&event.event_type) {
            let delivery = delivery_of(event, &endpoint, time.wall);
            unit.insert(&delivery)?;
            follow_up.push(job(&delivery)?);
        }
    }
    Ok(Some(Change { result: (), unit, follow_up }))
}
