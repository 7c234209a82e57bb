//! What the gateway tells us: every order of its events, and every repetition, ends in one state.

use billing::{Actor, Inbound, NewRefund, Received, Wanted};
use jiff::Timestamp;
use ring::hmac;
use serde_json::{Value, json};
use store::{GatewayEventRecord, GatewayEventResult, Invoice, PaymentAttempt, Refund};

use crate::{
    pipeline::Repeat,
    servers::Servers,
    world::{TENANT, WALL, World},
};

const SECRET: &str = "whsec_1";

fn sign(body: &str, at: Timestamp) -> String {
    let seconds = at.as_second();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

impl World {
    async fn told(&self, event: &Value) -> Received {
        let body = event.to_string();
        let signature = sign(&body, WALL);
        let inbound = Inbound { tenant: TENANT, signature: &signature, body: body.as_bytes() };
        billing::receive_webhook(&self.billing, inbound, Some(SECRET), WALL).await.unwrap()
    }

    /// Tells of an event and settles everything that is not settled.
    async fn tell(&self, event: &Value) {
        self.told(event).await;
        self.settle_events().await;
    }

    async fn settle_events(&self) {
        let until = WALL + jiff::SignedDuration::from_hours(1);
        for record in self.billing.store.due::<GatewayEventRecord>(until, None, 100).await.unwrap() {
            billing::process_gateway_event(&self.billing, (TENANT, &record.id), WALL).await.unwrap();
        }
    }

    async fn result(&self, event: &Value) -> Option<GatewayEventResult> {
        let id = store::gateway_event_id(TENANT, event["id"].as_str().unwrap());
        self.billing.store.find::<GatewayEventRecord>(TENANT, &id).await.unwrap().unwrap().result
    }
}

/// What the gateway says of an attempt, one event for each thing that happens to it.
struct Story {
    invoice: String,
    attempt: PaymentAttempt,
}

impl Story {
    fn intent(&self, status: &str, more: &Value) -> Value {
        let mut intent = json!({
            "id": format!("pi_{}", self.attempt.id), "object": "payment_intent", "amount": self.attempt.amount.minor(),
            "currency": "usd", "status": status, "created": 1, "last_payment_error": null,
            "metadata": { "attempt": self.attempt.id, "invoice": self.invoice, "tenant": TENANT },
        });
        for (name, value) in more.as_object().unwrap() {
            intent[name] = value.clone();
        }
        intent
    }

    fn event(&self, kind: &str, object: Value) -> Value {
        json!({ "id": format!("evt_{kind}_{}", self.attempt.id), "type": kind, "data": { "object": object } })
    }

    fn events(&self, refund: &str) -> [Value; 5] {
        let error = json!({ "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds" });
        let payment = format!("pi_{}", self.attempt.id);
        [
            self.event("payment_intent.created", self.intent("processing", &json!({}))),
            self.event(
                "payment_intent.payment_failed",
                self.intent("requires_payment_method", &json!({ "last_payment_error": error })),
            ),
            self.event("payment_intent.succeeded", self.intent("succeeded", &json!({}))),
            self.event(
                "refund.updated",
                json!({
                    "id": format!("re_at_gateway_{refund}"), "amount": 500, "currency": "usd", "status": "succeeded",
                    "payment_intent": payment, "metadata": { "refund": refund, "tenant": TENANT },
                }),
            ),
            self.event(
                "charge.dispute.created",
                json!({
                    "id": format!("dp_{}", self.attempt.id), "payment_intent": payment, "amount": 2_000,
                    "currency": "usd", "status": "needs_response", "reason": "fraudulent",
                }),
            ),
        ]
    }
}

/// An open invoice with a pending payment of which the gateway has not answered.
async fn story(world: &World, name: &str) -> Story {
    world.customer(&format!("cus_{name}"), "pm_sandbox_ok").await;
    let lines = serde_json::from_value::<Vec<domain::OneOffLineSpec>>(json!([{ "key": "a", "unit_amount": "20.00" }]));
    let lines = lines.unwrap().into_iter().map(|line| line.try_into().unwrap()).collect();
    let new = billing::NewOneOffInvoice { customer: format!("cus_{name}"), lines };
    let (store, actor, time) = (&world.billing.store, Actor::system(TENANT), world.time().await);
    let id = format!("inv_{name}");
    let change = billing::create_one_off_invoice(store, &actor, &time, (&id, &new)).await.unwrap();
    let invoice: Invoice = world.billing.commit(change).await.unwrap();
    let wanted = Wanted { invoice: invoice.id.clone(), amount_minor: None, payment_method: None };
    let change = billing::open_payment(store, &actor, &time, &wanted).await.unwrap();
    let attempt = world.billing.commit(change).await.unwrap();
    Story { invoice: invoice.id, attempt }
}

/// Every order of five things.
fn orders() -> Vec<Vec<usize>> {
    let mut orders = vec![Vec::new()];
    for _ in 0..5 {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..5)
                    .filter(|next| !order.contains(next))
                    .map(|next| [&order[..], &[next]].concat())
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    orders
}

/// Where payment, invoice and refund stand, without names of their own.
async fn end_of(world: &World, story: &Story, refund: &str) -> String {
    let store = &world.billing.store;
    let attempt: PaymentAttempt = store.find(TENANT, &story.attempt.id).await.unwrap().unwrap();
    let invoice: Invoice = store.find(TENANT, &story.invoice).await.unwrap().unwrap();
    let refund: Option<Refund> = store.find(TENANT, refund).await.unwrap();
    let dispute = attempt.dispute.map(|dispute| (dispute.amount_minor, dispute.state));
    format!(
        "{:?} {:?} {:?} paid {} back {} | {:?} {} {:?} {:?} {:?} | {:?}",
        attempt.state,
        attempt.failure,
        dispute,
        attempt.amount.minor(),
        attempt.refunded_minor,
        invoice.status,
        invoice.paid_minor,
        invoice.dunning,
        invoice.open_attempt,
        invoice.due.at,
        refund.map(|refund| refund.state),
    )
}

/// 120 orders, every second one with each event told twice, every third with the whole story told again.
#[tokio::test(flavor = "multi_thread")]
async fn every_order_of_events_ends_in_one_state() {
    let servers = Servers::start();
    let world = servers.world("orders").await;
    world.set_up().await;
    let mut ends = Vec::new();
    for (number, order) in orders().into_iter().enumerate() {
        let story = story(&world, &format!("o{number}")).await;
        let refund = format!("re_o{number}");
        let events = story.events(&refund);
        let mut told: Vec<usize> = order.clone();
        if number % 2 == 1 {
            told = order.iter().flat_map(|event| [*event, *event]).collect();
        }
        if number % 3 == 2 {
            told.extend(order.iter().rev());
        }
        for event in told {
            // We ask for a refund as soon as we can, which is before the gateway tells of it.
            ask_for_refund(&world, &story, &refund).await;
            world.tell(&events[event]).await;
        }
        ask_for_refund(&world, &story, &refund).await;
        world.settle_events().await;
        ends.push((end_of(&world, &story, &refund).await, order));
    }
    assert_eq!(ends.len(), 120);
    let (expected, _) = &ends[0];
    assert!(expected.contains("Succeeded None") && expected.contains("Paid 2000 None"), "{expected}");
    for (end, order) in &ends {
        assert_eq!(end, expected, "{order:?}");
    }
}

async fn ask_for_refund(world: &World, story: &Story, id: &str) {
    let new = NewRefund { payment: story.attempt.id.clone(), amount_minor: Some(500), reason: "test".to_owned() };
    if world.billing.store.find::<Refund>(TENANT, id).await.unwrap().is_some() {
        return;
    }
    let (store, actor, time) = (&world.billing.store, Actor::system(TENANT), world.time().await);
    if let Ok(change) = billing::create_refund(store, &actor, &time, (id, &new)).await {
        world.billing.commit(change).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_contradicts_our_records_moves_nothing() {
    let servers = Servers::start();
    let world = servers.world("contradicts").await;
    world.set_up().await;
    let story = story(&world, "one").await;
    let succeeded = |id: &str, more: Value| {
        let mut event = story.event("payment_intent.succeeded", story.intent("succeeded", &more));
        event["id"] = id.into();
        event
    };
    let foreign = json!({ "metadata": { "attempt": story.attempt.id, "tenant": "ten_other" } });
    let nobodys = json!({ "metadata": { "attempt": "pay_nobodys", "tenant": TENANT } });
    for (event, expected) in [
        (succeeded("evt_amount", json!({ "amount": 1_999 })), GatewayEventResult::Contradicts),
        (succeeded("evt_currency", json!({ "currency": "eur" })), GatewayEventResult::Contradicts),
        (succeeded("evt_nobodys", nobodys), GatewayEventResult::Contradicts),
        (succeeded("evt_foreign", foreign), GatewayEventResult::Ignored),
        (json!({ "id": "evt_new", "type": "new.thing", "data": { "object": {} } }), GatewayEventResult::Ignored),
    ] {
        world.tell(&event).await;
        assert_eq!(world.result(&event).await, Some(expected), "{event}");
    }
    let open: Invoice = world.invoice(&story.invoice).await;
    assert_eq!((open.status.as_str(), open.paid_minor), ("open", 0));
    let reported = world.all::<store::Event>().await;
    assert_eq!(reported.iter().filter(|event| event.event_type == "gateway.contradicts").count(), 3);

    let event = succeeded("evt_good", json!({}));
    assert_eq!((world.told(&event).await, world.told(&event).await), (Received::New, Received::Known));
    let body = event.to_string();
    for signature in ["", "t=1,v1=00", &sign("other", WALL), &sign(&body, WALL + jiff::SignedDuration::from_secs(301))]
    {
        let inbound = Inbound { tenant: TENANT, signature, body: body.as_bytes() };
        let received = billing::receive_webhook(&world.billing, inbound, Some(SECRET), WALL).await.unwrap();
        assert!(matches!(received, Received::Refused(_)), "{signature}");
    }
    let inbound = Inbound { tenant: TENANT, signature: &sign(&body, WALL), body: body.as_bytes() };
    let unset = billing::receive_webhook(&world.billing, inbound, None, WALL).await.unwrap();
    assert!(matches!(unset, Received::Refused(_)), "without a secret nobody is believed");
    world.tell(&event).await;
    world.drive_alone(WALL, Repeat::Once).await;
    assert_eq!(world.invoice(&story.invoice).await.status.as_str(), "paid");
    assert!(world.gateway.charges().await.is_empty(), "it is not charged again");
}
