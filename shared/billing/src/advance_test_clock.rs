//! Advances a test clock: from one instant at which something is due to the next, letting all that follows happen in between.
//!
//! What happens is what happens in production: a billing run bills what is due, and jobs collect, mail and dispatch. The clock
//! moves on only when nothing of the tenant is under way any more.
//!
//! **Invariant:** the clock never passes an instant at which something is due without a run for it. **Invariant:** each step
//! is a compare-and-set of the clock, and a run's id is made of clock and instant: whoever is killed, repeated or run twice at
//! once moves the clock the same way.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use queue::NewJob;
use serde_json::json;
use store::{BillingRun, Due, DueRef, Invoice, Notification, Store, StoreError, TestClock, UnitOfWork, clock_run_id};

use crate::{
    Actor, Advance, Billing, BillingError, Change, EventType, NewBillingRun, TenantTime,
    actor::Fact,
    context::retry_conflicts,
    create_billing_run::create_billing_run,
    jobs::{AdvanceTestClock, CollectPayment, SendNotification},
};

/// Longest way of one advance: two years, which a yearly plan needs to be seen renewed. Daily plans then stop 730 times.
const MAX_SPAN: SignedDuration = SignedDuration::from_hours(2 * 366 * 24);
/// Before the next look at work that is under way.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Invoices and mails that are due at one instant and are offered to the workers at a time; those left are found at the next look.
const OFFERED: i64 = 1_000;

/// Decides that a clock is advanced to an instant; the workers carry it out.
///
/// # Errors
/// `NotFound`; `Rule` when the instant is not later than the clock or too far away; `State` while it is being advanced; store
/// errors.
pub async fn start_advance(
    store: &Store,
    actor: &Actor,
    wall: Timestamp,
    (id, to): (&str, Timestamp),
) -> Result<Change<TestClock>, BillingError> {
    let missing = || BillingError::not_found("test_clock", id);
    let mut clock: TestClock = store.find(&actor.tenant, id).await?.ok_or_else(missing)?;
    if clock.target.is_some() {
        return Err(advancing());
    }
    if to <= clock.now {
        let detail = format!("must be later than the clock's time, {}", clock.now);
        return Err(BillingError::rule("not_later", "/to", detail));
    }
    if to.duration_since(clock.now) > MAX_SPAN {
        return Err(BillingError::rule("too_far", "/to", "must be at most two years later than the clock's time"));
    }
    clock.target = Some(to);
    clock.advanced_from = Some(clock.now);
    clock.stops = 0;
    clock.due = Due::at(wall);
    let mut unit = UnitOfWork::default();
    unit.replace(&mut clock)?;
    let data = json!({ "from": clock.now, "to": to });
    let fact = Fact { name: EventType::TestClockAdvancing, subject: &clock.id, revision: clock.revision, data };
    actor.record(&mut unit, wall, fact)?;
    let job = AdvanceTestClock { tenant: clock.tenant.clone(), clock: clock.id.clone() };
    Ok(Change { result: clock, unit, follow_up: vec![NewJob::of(&job)?] })
}

/// The refusal of what may not happen while a clock is being advanced.
#[must_use]
pub fn advancing() -> BillingError {
    BillingError::state("clock_advancing", "the test clock is being advanced; try again when it stands")
}

/// Takes an advance one step further.
///
/// # Errors
/// `NotFound` for an unknown clock; store errors.
pub async fn advance_test_clock(
    billing: &Billing,
    (tenant, id): (&str, &str),
    wall: Timestamp,
) -> Result<Advance, BillingError> {
    retry_conflicts(|| step(billing, (tenant, id), wall)).await
}

async fn step(billing: &Billing, (tenant, id): (&str, &str), wall: Timestamp) -> Result<Advance, BillingError> {
    let missing = || BillingError::not_found("test_clock", id);
    let clock: TestClock = billing.store.find(tenant, id).await?.ok_or_else(missing)?;
    let Some(target) = clock.target else { return Ok(Advance::Completed) };
    let started = start_what_is_due(billing, &clock, wall).await?;
    if started || !billing.store.under_way(tenant).await?.is_quiet() {
        return Ok(Advance::After(LOOK_AGAIN));
    }
    if clock.now == target {
        return finish(billing, clock, wall).await;
    }
    let next = billing.store.next_due(&clock).await?.map_or(target, |due| due.min(target));
    move_to(billing, clock, next).await?;
    Ok(Advance::After(Duration::ZERO))
}

/// Has the workers do what is due at the clock's instant; false when there is nothing that they have not been given before.
async fn start_what_is_due(billing: &Billing, clock: &TestClock, wall: Timestamp) -> Result<bool, BillingError> {
    let invoices: Vec<DueRef> = billing.store.due_on::<Invoice>((&clock.id, clock.now), OFFERED).await?;
    let job =
        |due: &DueRef| NewJob::of(&CollectPayment::Invoice { tenant: due.tenant.clone(), invoice: due.id.clone() });
    let mails: Vec<DueRef> = billing.store.due_on::<Notification>((&clock.id, clock.now), OFFERED).await?;
    let mail = |due: &DueRef| {
        NewJob::of(&SendNotification::Notification { tenant: due.tenant.clone(), notification: due.id.clone() })
    };
    let jobs: Vec<NewJob> = invoices.iter().map(job).chain(mails.iter().map(mail)).collect::<Result<_, _>>()?;
    let offered = !jobs.is_empty();
    billing.hint(jobs.into_iter().map(NewJob::unless_dead).collect()).await;
    Ok(start_run(billing, clock, wall).await? || offered)
}

/// Starts the run of the clock's instant, if a subscription is due and there was none. What a run could not bill stays due, and
/// is not tried again at this instant.
async fn start_run(billing: &Billing, clock: &TestClock, wall: Timestamp) -> Result<bool, BillingError> {
    let id = clock_run_id(&clock.id, clock.now);
    let is_due = billing.store.tenants_due(Some(&clock.id), clock.now).await?.contains(&clock.tenant);
    if !is_due || billing.store.find::<BillingRun>(&clock.tenant, &id).await?.is_some() {
        return Ok(false);
    }
    let time = TenantTime::read(&billing.store, &clock.tenant, wall).await?;
    let new = NewBillingRun { id, as_of: Some(clock.now) };
    match billing.commit(create_billing_run(&Actor::system(&clock.tenant), &time, new)?).await {
        // Somebody else has started it at the same moment.
        Err(BillingError::Store(StoreError::Duplicate(_))) => Ok(true),
        outcome => outcome.map(|_| true),
    }
}

async fn move_to(billing: &Billing, mut clock: TestClock, to: Timestamp) -> Result<(), BillingError> {
    clock.now = to;
    clock.stops += 1;
    let mut unit = UnitOfWork::default();
    unit.replace(&mut clock)?;
    billing.commit(Change { result: (), unit, follow_up: Vec::new() }).await
}

async fn finish(billing: &Billing, mut clock: TestClock, wall: Timestamp) -> Result<Advance, BillingError> {
    clock.target = None;
    clock.due = Due::never();
    let mut unit = UnitOfWork::default();
    unit.replace(&mut clock)?;
    let data = json!({ "from": clock.advanced_from, "now": clock.now, "stops": clock.stops });
    let fact = Fact { name: EventType::TestClockAdvanced, subject: &clock.id, revision: clock.revision, data };
    Actor::system(&clock.tenant).announce(&mut unit, wall, fact)?;
    billing.commit(Change { result: Advance::Completed, unit, follow_up: Vec::new() }).await
}
