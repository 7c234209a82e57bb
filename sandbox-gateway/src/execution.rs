//! What an execution is made of: the request with its key, what it changes, and how it is answered.

use std::time::Duration;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;

use crate::errors::{ApiError, Envelope};
use crate::idempotency::Answer;
use crate::objects::{Dispute, DisputeStatus, Event, EventData, Metadata, Object, PaymentIntent, new_id};

/// The version by which events are shown.
const API_VERSION: &str = "2024-06-20";

/// A request to execute under a key.
#[derive(Debug, Clone)]
pub(crate) struct Execution {
    pub(crate) key: Option<String>,
    pub(crate) fingerprint: String,
}

/// What was executed, and how it is answered.
#[derive(Debug)]
pub(crate) struct Executed {
    pub(crate) objects: Vec<Object>,
    pub(crate) events: Vec<Event>,
    pub(crate) answer: Answer,
    /// How long the answer is held back.
    pub(crate) delay: Duration,
}

impl Executed {
    /// Nothing changed so far; answered with this body.
    pub(crate) fn answered(body: &impl Serialize) -> Result<Self, ApiError> {
        Ok(Self::with(stored(StatusCode::OK, body)?))
    }

    /// Nothing changed so far; answered with this error, which is stored like any other answer.
    pub(crate) fn refused(error: &ApiError) -> Result<Self, ApiError> {
        Ok(Self::with(stored(error.status, &Envelope { error: &error.body })?))
    }

    fn with(answer: Answer) -> Self {
        Self { objects: Vec::new(), events: Vec::new(), answer, delay: Duration::ZERO }
    }

    /// Adds something made or changed.
    pub(crate) fn change(mut self, object: Object) -> Self {
        self.objects.push(object);
        self
    }

    /// Adds something that happened.
    pub(crate) fn event(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }

    pub(crate) fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// Renders a body as it is stored under a key.
fn stored(status: StatusCode, body: &impl Serialize) -> Result<Answer, ApiError> {
    let text = serde_json::to_string(body).map_err(|error| unwritable(&error))?;
    Ok(Answer::new(status, text))
}

fn unwritable(error: &serde_json::Error) -> ApiError {
    tracing::error!(%error, "an answer cannot be encoded");
    ApiError::internal(StatusCode::INTERNAL_SERVER_ERROR)
}

/// An event about an object as it is now.
pub(crate) fn event(kind: &str, object: &impl Serialize, now: Timestamp) -> Result<Event, ApiError> {
    Ok(Event {
        id: new_id("evt_"),
        object: "event".to_owned(),
        kind: kind.to_owned(),
        api_version: API_VERSION.to_owned(),
        created: now.as_second(),
        data: EventData { object: serde_json::to_value(object).map_err(|error| unwritable(&error))? },
        livemode: false,
    })
}

/// The charge of an intent as Stripe shows it beside: it carries what went back.
#[derive(Serialize)]
struct Charge<'a> {
    id: &'a Option<String>,
    object: &'static str,
    amount: i64,
    amount_refunded: i64,
    refunded: bool,
    currency: &'a str,
    customer: &'a str,
    payment_intent: &'a str,
    metadata: &'a Metadata,
    status: &'static str,
    created: i64,
    livemode: bool,
}

/// `charge.refunded`: an intent of which so much has gone back altogether.
pub(crate) fn charge_refunded(intent: &PaymentIntent, refunded: i64, now: Timestamp) -> Result<Event, ApiError> {
    let charge = Charge {
        id: &intent.latest_charge,
        object: "charge",
        amount: intent.amount,
        amount_refunded: refunded,
        refunded: refunded == intent.amount,
        currency: &intent.currency,
        customer: &intent.customer,
        payment_intent: &intent.id,
        metadata: &intent.metadata,
        status: "succeeded",
        created: intent.created,
        livemode: false,
    };
    event("charge.refunded", &charge, now)
}

/// A dispute that begins now.
pub(crate) fn dispute_of(intent: &PaymentIntent, now: Timestamp) -> Dispute {
    Dispute {
        id: new_id("dp_"),
        object: "dispute".to_owned(),
        amount: intent.amount_received,
        currency: intent.currency.clone(),
        payment_intent: intent.id.clone(),
        charge: intent.latest_charge.clone(),
        reason: "fraudulent".to_owned(),
        status: DisputeStatus::NeedsResponse,
        metadata: intent.metadata.clone(),
        created: now.as_second(),
        livemode: false,
    }
}
