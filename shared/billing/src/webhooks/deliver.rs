//! Attempts a delivery, and records what came of it.
//!
//! **Invariant:** an attempt is recorded after it was made, at the revision that was loaded before it: killed in between, or
//! run by two workers at once, a delivery is attempted again under its `webhook-id`, which is all that is promised.
//! **Invariant:** an endpoint has a few attempts under way in a process at once, so one that is slow takes no slot of others.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use domain::webhook_wait;
use gateways::webhook::{WebhookAnswer, WebhookError, WebhookRequest};
use jiff::{SignedDuration, Timestamp};
use queue::NewJob;
use serde_json::json;
use store::{
    DeliveryAttempt, DeliveryState, Due, EndpointState, Message, UnitOfWork, WebhookDelivery, WebhookEndpoint,
};

use super::owners::tell_owners;
use crate::{Actor, Billing, BillingError, Change, EventType, actor::Fact, context::retry_conflicts};

/// How long a delivery is kept once it is over.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How soon one looks again whether an endpoint has room for another attempt.
const CROWDED: Duration = Duration::from_secs(3);
/// Status with which an endpoint says that it wants nothing any more.
const GONE: u16 = 410;

/// How a delivery goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivering {
    /// Nothing is left to do.
    Over,
    /// It may be attempted after this long.
    After(Duration),
}

/// What an attempt brought.
struct Outcome {
    attempt: DeliveryAttempt,
    status: Option<u16>,
    /// How long the endpoint asks to wait.
    asked: Option<Duration>,
}

/// Makes the next attempt of a delivery, if it is due.
///
/// # Errors
/// `NotFound` for an unknown delivery; store errors. What the endpoint does is no error.
pub async fn deliver_webhook(
    billing: &Billing,
    (tenant, id): (&str, &str),
    wall: Timestamp,
) -> Result<Delivering, BillingError> {
    let delivery: WebhookDelivery = load(billing, tenant, id).await?;
    let Some(due) = delivery.due.at.filter(|_| delivery.state == DeliveryState::Pending) else {
        return Ok(Delivering::Over);
    };
    if due > wall {
        return Ok(Delivering::After(Duration::try_from(due.duration_since(wall)).unwrap_or_default()));
    }
    let endpoint: Option<WebhookEndpoint> = billing.store.find(tenant, &delivery.endpoint).await?;
    let Some(endpoint) = endpoint.filter(|endpoint| endpoint.state == EndpointState::Enabled) else {
        return cancel(billing, delivery, wall).await;
    };
    let Some(_lane) = billing.webhooks.enter(&endpoint.id) else {
        return Ok(Delivering::After(CROWDED + jitter(&delivery, CROWDED)));
    };
    let outcome = attempt(billing, &delivery, &endpoint, wall).await;
    retry_conflicts(|| record(billing, &delivery, &outcome, wall)).await
}

async fn load(billing: &Billing, tenant: &str, id: &str) -> Result<WebhookDelivery, BillingError> {
    billing.store.find(tenant, id).await?.ok_or_else(|| BillingError::not_found("webhook_delivery", id))
}

async fn attempt(
    billing: &Billing,
    delivery: &WebhookDelivery,
    endpoint: &WebhookEndpoint,
    wall: Timestamp,
) -> Outcome {
    let secrets = endpoint.secrets(wall);
    let request =
        WebhookRequest { url: &endpoint.url, id: &delivery.id, at: wall, body: &delivery.body, secrets: &secrets };
    outcome(billing.webhooks.send(request).await, wall)
}

fn outcome(answered: Result<WebhookAnswer, WebhookError>, at: Timestamp) -> Outcome {
    match answered {
        Ok(WebhookAnswer { status, body, retry_after, took }) => {
            let took_ms = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
            let attempt = DeliveryAttempt { at, status: Some(i32::from(status)), detail: body, took_ms };
            Outcome { attempt, status: Some(status), asked: retry_after }
        }
        Err(error) => {
            let attempt = DeliveryAttempt { at, status: None, detail: error.to_string(), took_ms: 0 };
            Outcome { attempt, status: None, asked: None }
        }
    }
}

/// Records an attempt unless somebody else has recorded one meanwhile.
async fn record(
    billing: &Billing,
    attempted: &WebhookDelivery,
    outcome: &Outcome,
    wall: Timestamp,
) -> Result<Delivering, BillingError> {
    let mut delivery = load(billing, &attempted.tenant, &attempted.id).await?;
    if delivery.revision != attempted.revision {
        return Ok(Delivering::After(Duration::ZERO));
    }
    delivery.log(outcome.attempt.clone());
    let mut unit = UnitOfWork::default();
    let mut follow_up = Vec::new();
    let going = match outcome.status {
        Some(200..=299) => {
            delivery.delivered_at = Some(wall);
            close(&mut delivery, DeliveryState::Delivered, wall)
        }
        Some(GONE) => {
            follow_up = disable(billing, &mut unit, &delivery, wall).await?;
            close(&mut delivery, DeliveryState::Cancelled, wall)
        }
        _ => match next_wait(&delivery, outcome.asked) {
            Some(wait) => {
                delivery.due = Due::at(wall + wait);
                Delivering::After(wait)
            }
            None => {
                follow_up = give_up(billing, &mut unit, &delivery, wall).await?;
                close(&mut delivery, DeliveryState::Dead, wall)
            }
        },
    };
    unit.replace(&mut delivery)?;
    billing.commit(Change { result: going, unit, follow_up }).await
}

fn close(delivery: &mut WebhookDelivery, state: DeliveryState, wall: Timestamp) -> Delivering {
    delivery.state = state;
    delivery.due = Due::never();
    delivery.expires_at = Some(wall + KEPT_FOR);
    Delivering::Over
}

async fn cancel(billing: &Billing, mut delivery: WebhookDelivery, wall: Timestamp) -> Result<Delivering, BillingError> {
    let result = close(&mut delivery, DeliveryState::Cancelled, wall);
    let mut unit = UnitOfWork::default();
    unit.replace(&mut delivery)?;
    billing.commit(Change { result, unit, follow_up: Vec::new() }).await
}

fn next_wait(delivery: &WebhookDelivery, asked: Option<Duration>) -> Option<Duration> {
    webhook_wait(usize::try_from(delivery.tries).unwrap_or(usize::MAX), asked, draw(delivery))
}

/// A number of its own for each attempt of each delivery.
fn draw(delivery: &WebhookDelivery) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&delivery.id, delivery.tries).hash(&mut hasher);
    hasher.finish()
}

fn jitter(delivery: &WebhookDelivery, most: Duration) -> Duration {
    Duration::from_millis(draw(delivery) % u64::try_from(most.as_millis()).unwrap_or(1).max(1))
}

/// The endpoint is gone: it is disabled, and its owners are told.
async fn disable(
    billing: &Billing,
    unit: &mut UnitOfWork,
    delivery: &WebhookDelivery,
    wall: Timestamp,
) -> Result<Vec<NewJob>, BillingError> {
    let found: Option<WebhookEndpoint> = billing.store.find(&delivery.tenant, &delivery.endpoint).await?;
    let Some(mut endpoint) = found.filter(|endpoint| endpoint.state == EndpointState::Enabled) else {
        return Ok(Vec::new());
    };
    endpoint.state = EndpointState::Gone;
    unit.replace(&mut endpoint)?;
    let fact = Fact {
        name: EventType::WebhookEndpointDisabled,
        subject: &endpoint.id,
        revision: endpoint.revision,
        data: json!({ "url": endpoint.url }),
    };
    Actor::system(&endpoint.tenant).record(unit, wall, fact)?;
    let message = Message::WebhookEndpointDisabled { endpoint: endpoint.id.clone(), url: endpoint.url };
    let cause = format!("{}_{}", endpoint.id, endpoint.revision);
    tell_owners(&billing.store, unit, (&endpoint.tenant, &cause), (&message, wall)).await
}

/// Every attempt failed: the owners are told, once a day for each endpoint.
async fn give_up(
    billing: &Billing,
    unit: &mut UnitOfWork,
    delivery: &WebhookDelivery,
    wall: Timestamp,
) -> Result<Vec<NewJob>, BillingError> {
    let found: Option<WebhookEndpoint> = billing.store.find(&delivery.tenant, &delivery.endpoint).await?;
    let Some(endpoint) = found else { return Ok(Vec::new()) };
    let last = delivery.attempts.last();
    let error = match last.and_then(|attempt| attempt.status) {
        Some(status) => format!("status {status}"),
        None => last.map(|attempt| attempt.detail.clone()).unwrap_or_default(),
    };
    let message = Message::WebhookDeliveryFailed {
        endpoint: endpoint.id.clone(),
        url: endpoint.url,
        event_type: delivery.event_type.clone(),
        error,
    };
    let cause = format!("{}_{}", endpoint.id, wall.strftime("%Y%m%d"));
    tell_owners(&billing.store, unit, (&delivery.tenant, &cause), (&message, wall)).await
}
