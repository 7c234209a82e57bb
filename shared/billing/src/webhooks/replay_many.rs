//! Sends all deliveries of a scope again, as an operation that the workers carry out in bounded steps.
//!
//! **Invariant:** a step's deliveries and the operation's cursor commit together, so each delivery is replayed once, however
//! often the step is run.

use jiff::Timestamp;
use queue::NewJob;
use store::{
    DeliveryState, Operation, OperationCounts, OperationKind, ReplayScope, Store, UnitOfWork, WebhookEndpoint,
};

use super::message::job;
use crate::{
    Actor, Billing, BillingError, Change, TenantTime,
    advance_operation::Step,
    jobs::queues,
    start_operation::{Order, start},
};

/// Deliveries to replay.
#[derive(Clone, Debug)]
pub struct NewReplay {
    /// `op_...`
    pub id: String,
    pub scope: ReplayScope,
    /// Why.
    pub reason: String,
    /// Deliveries a second, 1 to 1,000; 100 if absent.
    pub pace: Option<i32>,
}

/// Decides the start of a replay of all deliveries that were made until now.
///
/// # Errors
/// `Rule` for an endpoint that there is not, times that leave nothing between them, deliveries that are pending, a reason or a
/// pace out of range; store errors.
pub async fn replay_webhook_deliveries(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    new: NewReplay,
) -> Result<Change<Operation>, BillingError> {
    let NewReplay { id, scope, reason, pace } = new;
    if store.find::<WebhookEndpoint>(&actor.tenant, &scope.endpoint).await?.is_none() {
        return Err(BillingError::rule(
            "unknown_endpoint",
            "/endpoint",
            format!("no such endpoint: {}", scope.endpoint),
        ));
    }
    let scope = ReplayScope { until: scope.until.min(time.wall), ..scope };
    if scope.from >= scope.until {
        return Err(BillingError::rule("empty_period", "/created", "no past time lies between the two"));
    }
    if scope.state == Some(DeliveryState::Pending) {
        return Err(BillingError::rule("delivery_pending", "/state", "what is pending is under way already"));
    }
    let order = Order {
        id,
        kind: OperationKind::ReplayWebhooks,
        filter: None,
        replay: Some(scope),
        parts: vec![queues::WEBHOOKS.to_owned()],
        reason,
        pace,
    };
    start(actor, time, order)
}

/// Replays the next deliveries of a scope, at most `limit`, after a cursor.
pub(crate) async fn replay_step(
    billing: &Billing,
    (tenant, scope): (&str, &ReplayScope),
    (after, limit): (Option<&str>, i32),
    wall: Timestamp,
) -> Result<Step, BillingError> {
    let found = billing.store.replayable((tenant, scope), after.unwrap_or_default(), i64::from(limit)).await?;
    let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let cursor = found.last().map_or_else(|| after.unwrap_or_default().to_owned(), |last| last.id.clone());
    let mut unit = UnitOfWork::default();
    let mut follow_up: Vec<NewJob> = Vec::new();
    for mut delivery in found {
        delivery.replay(wall);
        unit.replace(&mut delivery)?;
        follow_up.push(job(&delivery)?);
    }
    let counts = OperationCounts { matched: count, done: count, skipped: 0 };
    Ok(Step { counts, finished: count < i64::from(limit), cursor, unit, follow_up })
}
