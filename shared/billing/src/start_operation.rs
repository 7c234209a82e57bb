//! Starts an operation on many dead letters, or many webhooks; the workers carry it out.
//!
//! **Invariant:** the tenant whose letters an operation touches is the caller's, whatever the filter says.

use jiff::Timestamp;
use queue::{DeadFilter, NewJob, QueueClient};
use serde_json::json;
use store::{
    Due, Operation, OperationCounts, OperationFilter, OperationKind, OperationState, QueueProgress, ReplayScope,
    UnitOfWork,
};

use crate::{
    Actor, BillingError, Change, EventType, TenantTime,
    actor::Fact,
    jobs::{AdvanceOperation, queues},
};

/// Letters a second unless somebody asks for another pace: what was too much for a component must not hit it all at once when
/// it is back.
pub const DEFAULT_PACE: i32 = 100;
/// The fastest pace: two steps of the most letters a second.
const MAX_PACE: i32 = 1_000;
/// Longest reason, in characters: it is repeated with every letter.
const MAX_REASON: usize = 500;

/// An operation to start.
#[derive(Clone, Debug)]
pub struct NewOperation {
    /// `op_...`
    pub id: String,
    pub kind: OperationKind,
    /// Which of the tenant's dead letters.
    pub filter: OperationFilter,
    /// Why.
    pub reason: String,
    /// Letters a second, 1 to 1,000; 100 if absent.
    pub pace: Option<i32>,
}

/// What is to be done to what, once both are known.
pub(crate) struct Order {
    pub id: String,
    pub kind: OperationKind,
    /// Which dead letters, if it is about those.
    pub filter: Option<OperationFilter>,
    /// Which webhooks, if it is about those.
    pub replay: Option<ReplayScope>,
    /// The queues whose letters, or the one of the webhooks: worked on one after the other.
    pub parts: Vec<String>,
    pub reason: String,
    pub pace: Option<i32>,
}

/// Decides the start of an operation on dead letters. It ends with the letters that have died by now, so that one which dies again is not
/// taken twice.
///
/// # Errors
/// `Rule` for an unknown queue, times that leave nothing between them, a reason that is empty or too long, or a pace out of
/// range; store errors.
pub fn start_operation(
    queue: &QueueClient,
    actor: &Actor,
    time: &TenantTime,
    new: NewOperation,
) -> Result<Change<Operation>, BillingError> {
    let NewOperation { id, kind, filter, reason, pace } = new;
    let parts = queues_of(queue, &filter)?;
    start(
        actor,
        time,
        Order { id, kind, filter: Some(until_now(filter, time.wall)), replay: None, parts, reason, pace },
    )
}

/// Decides the start of an operation whose object is known.
///
/// # Errors
/// `Rule` for a reason that is empty or too long, or a pace out of range; store errors.
pub(crate) fn start(actor: &Actor, time: &TenantTime, order: Order) -> Result<Change<Operation>, BillingError> {
    let Order { id, kind, filter, replay, parts, reason, pace } = order;
    let pace = pace.unwrap_or(DEFAULT_PACE);
    check_reason(&reason)?;
    if !(1..=MAX_PACE).contains(&pace) {
        return Err(BillingError::rule("pace_out_of_range", "/pace", format!("pace must be 1 to {MAX_PACE}")));
    }
    let operation = Operation {
        id,
        tenant: actor.tenant.clone(),
        revision: 1,
        created: time.wall,
        kind,
        filter: filter.unwrap_or_default(),
        replay,
        reason,
        by: actor.id.clone(),
        state: OperationState::Running,
        pace,
        expected: None,
        queues: parts.into_iter().map(untouched).collect(),
        finished_at: None,
        due: Due::at(time.wall),
    };
    let mut unit = UnitOfWork::default();
    unit.insert(&operation)?;
    let data = json!({ "kind": operation.kind, "reason": operation.reason, "pace": pace });
    let fact = Fact { name: EventType::OperationCreated, subject: &operation.id, revision: 1, data };
    actor.record(&mut unit, time.wall, fact)?;
    let job = AdvanceOperation { tenant: operation.tenant.clone(), operation: operation.id.clone() };
    Ok(Change { result: operation, unit, follow_up: vec![NewJob::of(&job)?] })
}

/// How many of a tenant's dead letters an operation with this filter would look at, if it were started now.
///
/// # Errors
/// `Rule` as for [`start_operation`]; `Queue`.
pub async fn count_dead_letters(
    queue: &QueueClient,
    tenant: &str,
    filter: &OperationFilter,
) -> Result<u64, BillingError> {
    let mut count = 0;
    for name in queues_of(queue, filter)? {
        count += queue.count_dead(&name, &dead_filter(tenant, filter)).await?;
    }
    Ok(count)
}

/// The conditions in the queue's words, on the tenant's letters alone.
pub(crate) fn dead_filter(tenant: &str, filter: &OperationFilter) -> DeadFilter {
    DeadFilter {
        job: filter.job.clone(),
        tenant: Some(tenant.to_owned()),
        code: filter.code.clone(),
        fingerprint: filter.fingerprint.clone(),
        died_from_ms: filter.died_from.map(Timestamp::as_millisecond),
        died_until_ms: filter.died_until.map(Timestamp::as_millisecond),
    }
}

fn check_reason(reason: &str) -> Result<(), BillingError> {
    if reason.trim().is_empty() {
        return Err(BillingError::rule("reason_required", "/reason", "say why"));
    }
    if reason.chars().count() > MAX_REASON {
        let detail = format!("a reason has at most {MAX_REASON} characters");
        return Err(BillingError::rule("reason_too_long", "/reason", detail));
    }
    Ok(())
}

/// The queues that a filter means, each of their partitions.
fn queues_of(client: &QueueClient, filter: &OperationFilter) -> Result<Vec<String>, BillingError> {
    if let (Some(from), Some(until)) = (filter.died_from, filter.died_until)
        && from >= until
    {
        let detail = "no time lies between the two";
        return Err(BillingError::rule("empty_period", "/filter", detail));
    }
    if let Some(wanted) = &filter.queue
        && !queues::ALL.contains(&wanted.as_str())
    {
        let detail = format!("there is no queue {wanted:?}");
        return Err(BillingError::rule("unknown_queue", "/filter/queue", detail));
    }
    Ok(queues::partitions(client, filter.queue.as_deref()))
}

fn until_now(filter: OperationFilter, wall: Timestamp) -> OperationFilter {
    let died_until = Some(filter.died_until.map_or(wall, |until| until.min(wall)));
    OperationFilter { died_until, ..filter }
}

fn untouched(queue: String) -> QueueProgress {
    QueueProgress { queue, cursor: None, finished: false, counts: OperationCounts::default() }
}
