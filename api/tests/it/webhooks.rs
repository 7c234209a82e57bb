//! Webhooks over HTTP: endpoints with secrets that are shown once, deliveries with their log, and sending again.

use gateways::webhook::sign;
use reqwest::Method;
use serde_json::{Value, json};
use services::{WebhookReceiver, WebhookReply};

use crate::harness::{Answer, Client, Platform};

const URL: &str = "/v1/webhook_endpoints";

/// Carries out what the workers would: dispatch, deliveries to subscribers, and one attempt of every webhook that is due.
async fn work(client: &Client<'_>) {
    let (billing, tenant) = (&client.platform.app.billing, client.tenant.as_str());
    let wall = client.platform.app.clock.now();
    while billing::dispatch_events(billing, tenant, wall).await.expect("dispatched") == billing::Progress::More {}
    for due in billing.store.due::<store::EventDelivery>(wall, None, 100).await.expect("deliveries") {
        billing::deliver_event(billing, (tenant, &due.id), wall).await.expect("delivered");
    }
    for due in billing.store.due::<store::WebhookDelivery>(wall, None, 100).await.expect("webhooks") {
        billing::deliver_webhook(billing, (tenant, &due.id), wall).await.expect("attempted");
    }
}

async fn patch(client: &Client<'_>, path: &str, body: &Value) -> Answer {
    Answer::of(client.request(Method::PATCH, path).json(body)).await
}

async fn deliveries(client: &Client<'_>, query: &str) -> Vec<Value> {
    let list = client.get(&format!("/v1/webhook_deliveries?{query}")).await.ok();
    list["data"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_hears_of_what_it_wants_and_its_secret_is_shown_once() {
    let platform = Platform::start().await;
    let client = platform.client("hooks").await;
    let receiver = WebhookReceiver::start().expect("a receiver");
    let body = json!({ "url": receiver.url(), "events": ["customer.*"], "description": "ERP" });
    let endpoint = client.post(URL, &body).await.ok();
    let secret = endpoint["secret"].as_str().expect("a secret").to_owned();
    assert_eq!((&endpoint["state"], &endpoint["url"]), (&json!("enabled"), &json!(receiver.url())));
    let path = format!("{URL}/{}", endpoint["id"].as_str().expect("an id"));
    for shown in [client.get(&path).await.ok(), client.get(URL).await.ok()] {
        assert!(!shown.to_string().contains("whsec_"), "{shown}");
    }

    let customer = client.create("/v1/customers", &json!({ "name": "Ada", "email": "ada@customers.example" })).await;
    receiver.answer(WebhookReply { body: "later".to_owned(), ..WebhookReply::status(503) });
    work(&client).await;
    let [delivery] = &deliveries(&client, "state=pending&event_type=customer.created").await[..] else { panic!("one") };
    let attempt = &delivery["attempts"][0];
    assert_eq!((&attempt["status"], &attempt["detail"]), (&json!(503), &json!("later")));
    assert!(delivery["next_attempt_at"].is_string(), "{delivery}");
    assert!(delivery["body"].as_str().expect("a body").contains(&customer));
    let webhook = receiver.received().remove(0);
    let seconds = webhook.header("webhook-timestamp").expect("a timestamp").parse().expect("seconds");
    let id = delivery["id"].as_str().expect("an id");
    assert_eq!(webhook.header("webhook-id"), Some(id));
    assert_eq!(webhook.header("webhook-signature"), sign(&[&secret], (id, seconds), &webhook.body).ok().as_deref());

    // Rotated: shown once more, and both sign.
    let rotated = client.post(&format!("{path}/rotate_secret"), &json!({})).await.ok();
    assert!(rotated["secret"] != secret && rotated["previous_secret_until"].is_string(), "{rotated}");
    receiver.answer(WebhookReply::status(200));
    let test = client.post(&format!("{path}/test"), &json!({})).await;
    assert_eq!((test.status, &test.json()["event_type"]), (202, &json!("webhook_endpoint.test")));
    work(&client).await;
    let webhook = receiver.received().pop().expect("the test");
    assert_eq!(webhook.header("webhook-signature").expect("signatures").split(' ').count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_sent_again_one_by_one_or_all_of_a_time() {
    let platform = Platform::start().await;
    let client = platform.client("again").await;
    let receiver = WebhookReceiver::start().expect("a receiver");
    let endpoint = client.create(URL, &json!({ "url": receiver.url(), "events": ["customer.created"] })).await;
    for name in ["ada", "bob", "eve"] {
        client.create("/v1/customers", &json!({ "name": name, "email": format!("{name}@customers.example") })).await;
    }
    work(&client).await;
    let sent = deliveries(&client, &format!("endpoint={endpoint}&state=delivered")).await;
    assert_eq!((sent.len(), receiver.received().len()), (3, 3));
    let one = sent[0]["id"].as_str().expect("an id");
    let replay = format!("/v1/webhook_deliveries/{one}/replay");
    assert_eq!(client.post(&replay, &json!({})).await.status, 202);
    assert_eq!(client.post(&replay, &json!({})).await.status, 409, "it is under way");
    work(&client).await;
    assert_eq!(receiver.received().pop().expect("again").header("webhook-id"), Some(one));

    let range = json!({ "gte": "2020-01-01T00:00:00Z", "lt": "2100-01-01T00:00:00Z" });
    let request = json!({ "endpoint": endpoint, "created": range, "state": "delivered", "reason": "lost our disk" });
    let operation = client.post("/v1/webhook_deliveries/replay", &request).await;
    assert_eq!(operation.status, 202);
    let id = operation.json()["id"].as_str().expect("an id").to_owned();
    let (billing, wall) = (&platform.app.billing, platform.app.clock.now());
    while billing::advance_operation(billing, (&client.tenant, &id), wall).await.expect("a step")
        != billing::Advance::Completed
    {}
    let done = client.get(&format!("/v1/operations/{id}")).await.ok();
    assert_eq!((&done["kind"], &done["done"], &done["expected"]), (&json!("replay_webhooks"), &json!(3), &json!(3)));
    work(&client).await;
    assert_eq!(receiver.received().len(), 7);

    for (field, value, pointer) in [
        ("endpoint", json!("whe_none"), "/endpoint"),
        ("state", json!("pending"), "/state"),
        ("created", json!({ "gte": "2020-01-01T00:00:00Z", "lt": "2020-01-01T00:00:00Z" }), "/created"),
    ] {
        let mut bad = request.clone();
        bad[field] = value;
        let refused = client.post("/v1/webhook_deliveries/replay", &bad).await;
        assert_eq!((refused.status, &refused.json()["errors"][0]["pointer"]), (422, &json!(pointer)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_change_are_switched_off_and_deleted() {
    let platform = Platform::start().await;
    let client = platform.client("change").await;
    let receiver = WebhookReceiver::start().expect("a receiver");
    let id = client.create(URL, &json!({ "url": receiver.url() })).await;
    let path = format!("{URL}/{id}");
    let changed = patch(&client, &path, &json!({ "enabled": false, "events": ["invoice.paid"] })).await.ok();
    assert_eq!((&changed["state"], &changed["events"]), (&json!("disabled"), &json!(["invoice.paid"])));
    assert_eq!(client.post(&format!("{path}/test"), &json!({})).await.status, 409, "nothing is sent to it");
    patch(&client, &path, &json!({ "enabled": true, "events": ["*"] })).await.ok();
    client.create("/v1/customers", &json!({ "name": "Ada", "email": "ada@customers.example" })).await;
    Answer::of(client.request(Method::DELETE, &path)).await.ok();
    assert_eq!(client.get(&path).await.status, 404);
    work(&client).await;
    assert_eq!(receiver.received().len(), 0);

    for (body, pointer) in [
        (json!({ "url": "http://169.254.169.254/" }), "/url"),
        (json!({ "url": "https://user@hooks.example/" }), "/url"),
        (json!({ "url": "ftp://hooks.example/" }), "/url"),
        (json!({ "url": "https://hooks.example/", "events": ["invoice.lost"] }), "/events"),
    ] {
        let refused = client.post(URL, &body).await;
        assert_eq!((refused.status, &refused.json()["errors"][0]["pointer"]), (422, &json!(pointer)), "{body}");
    }
    for _ in 0..10 {
        client.create(URL, &json!({ "url": "https://hooks.example/" })).await;
    }
    assert_eq!(client.post(URL, &json!({ "url": "https://hooks.example/" })).await.status, 409, "ten at most");
}
