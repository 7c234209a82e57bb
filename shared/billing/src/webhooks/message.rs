//! What a webhook says, and the delivery that carries it.

use jiff::Timestamp;
use queue::{NewJob, QueueError};
use serde_json::{Map, Value, json};
use store::{DeliveryState, Due, Event, WebhookDelivery, WebhookEndpoint, webhook_delivery_id};

use crate::jobs::DeliverWebhook;

/// Standard Webhooks asks for less than 20 kB: receivers bound what they read.
const MAX_BODY_BYTES: usize = 20_000;

/// The delivery of an event to an endpoint, due at once.
pub(crate) fn delivery_of(event: &Event, endpoint: &WebhookEndpoint, wall: Timestamp) -> WebhookDelivery {
    let facts = event.data.as_object().cloned().unwrap_or_default();
    WebhookDelivery {
        event: Some(event.id.clone()),
        ..delivery((&event.id, &event.event_type), endpoint, body(event, facts), wall)
    }
}

/// A delivery that only shows whether the endpoint works. `cause` makes its id its own.
pub(super) fn test_delivery(cause: &str, endpoint: &WebhookEndpoint, wall: Timestamp) -> WebhookDelivery {
    const TYPE: &str = "webhook_endpoint.test";
    let body = json!({ "type": TYPE, "timestamp": wall, "data": { "id": endpoint.id } }).to_string();
    delivery((cause, TYPE), endpoint, body, wall)
}

/// The job that carries a delivery out.
pub(crate) fn job(delivery: &WebhookDelivery) -> Result<NewJob, QueueError> {
    NewJob::of(&DeliverWebhook { tenant: delivery.tenant.clone(), delivery: delivery.id.clone() })
}

fn delivery(
    (cause, event_type): (&str, &str),
    endpoint: &WebhookEndpoint,
    body: String,
    wall: Timestamp,
) -> WebhookDelivery {
    WebhookDelivery {
        id: webhook_delivery_id(&endpoint.id, cause),
        tenant: endpoint.tenant.clone(),
        revision: 1,
        created: wall,
        endpoint: endpoint.id.clone(),
        event: None,
        event_type: event_type.to_owned(),
        body,
        state: DeliveryState::Pending,
        tries: 0,
        attempts: Vec::new(),
        delivered_at: None,
        expires_at: None,
        due: Due::at(wall),
    }
}

/// `{ type, timestamp, data }`; the data are the event's facts and the id of the object that they are about. Facts that would
/// make it too long are left out, which the data say: the object has them.
fn body(event: &Event, mut facts: Map<String, Value>) -> String {
    facts.insert("id".to_owned(), event.subject.clone().into());
    let write = |data: Value| json!({ "type": event.event_type, "timestamp": event.created, "data": data }).to_string();
    let whole = write(facts.into());
    if whole.len() < MAX_BODY_BYTES {
        return whole;
    }
    write(json!({ "id": event.subject, "truncated": true }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(data: Value) -> Event {
        bson::deserialize_from_document(bson::doc! {
            "_id": "evt_inv_1_2_invoice.paid", "tenant": "ten_1", "type": "invoice.paid", "subject": "inv_1",
            "created": "2026-08-01T12:00:00Z".parse::<Timestamp>().unwrap(), "revision": 2_i64, "related": ["inv_1"],
            "data": bson::serialize_to_bson(&data).unwrap(),
        })
        .unwrap()
    }

    fn body_of(data: Value) -> String {
        let event = event(data);
        body(&event, event.data.as_object().cloned().unwrap_or_default())
    }

    #[test]
    fn a_webhook_says_what_happened_to_which_object() {
        assert_eq!(
            body_of(json!({ "amount_minor": 500 })),
            r#"{"data":{"amount_minor":500,"id":"inv_1"},"timestamp":"2026-08-01T12:00:00Z","type":"invoice.paid"}"#
        );
    }

    #[test]
    fn it_stays_below_twenty_kilobytes_whatever_happened() {
        let body = body_of(json!({ "note": "x".repeat(30_000) }));
        assert!(body.contains(r#""truncated":true"#) && body.contains("inv_1"), "{body}");
    }
}
