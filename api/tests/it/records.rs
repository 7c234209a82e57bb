//! What is recorded of changes: events and audit entries, found by what they are about, and an unbroken chain.

use serde_json::{Value, json};

use crate::harness::{Client, Platform};

async fn rows(client: &Client<'_>, path: &str) -> Vec<Value> {
    client.get(path).await.ok()["data"].as_array().expect("a list").clone()
}

async fn types(client: &Client<'_>, path: &str) -> Vec<String> {
    rows(client, path).await.iter().map(|row| row["type"].as_str().expect("a type").to_owned()).collect()
}

#[tokio::test]
async fn events_are_found_by_type_by_object_and_by_time() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.catalogue().await;
    let customer = client.customer("ada").await;
    let body = json!({ "customer": customer, "plan": "pro" });
    let request = client.request(reqwest::Method::POST, "/v1/subscriptions").header("request-id", "req_mine");
    let created = crate::harness::Answer::of(request.json(&body)).await.ok();
    let subscription = created["id"].as_str().expect("an id");

    let mut of_customer = types(&client, &format!("/v1/events?related={customer}")).await;
    of_customer.sort();
    assert_eq!(of_customer, ["customer.created", "invoice.generated", "subscription.created"]);
    let path = format!("/v1/events?related={subscription}&type=subscription.created");
    let found = rows(&client, &path).await;
    let [event] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&event["subject"], &event["revision"]), (&json!(subscription), &json!(1)));
    assert_eq!((&event["object"], &event["request_id"]), (&json!("event"), &json!("req_mine")));
    assert_eq!(event["data"]["customer"], json!(customer));
    let id = event["id"].as_str().expect("an id");
    assert_eq!(&client.get(&format!("/v1/events/{id}")).await.ok(), event);

    let created = event["created"].as_str().expect("an instant");
    let since = types(&client, &format!("/v1/events?created[gte]={created}")).await;
    assert!(since.contains(&"subscription.created".to_owned()) && !since.contains(&"tenant.created".to_owned()));
    client.get("/v1/events?type=customer.exploded").await.problem(400, "invalid_query");
    let bob = platform.client("bob").await;
    bob.get(&format!("/v1/events/{id}")).await.problem(404, "not_found");
    assert_eq!(types(&bob, &format!("/v1/events?related={customer}")).await, [""; 0]);
}

#[tokio::test]
async fn who_did_what_is_sealed_and_verified() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.catalogue().await;
    let customer = client.customer("ada").await;
    let adjust = json!({ "amount_minor": 500, "reason": "goodwill" });
    client.post(&format!("/v1/customers/{customer}/balance_adjustments"), &adjust).await.ok();
    client.post("/v1/queues/payments/pause", &json!({ "reason": "maintenance" })).await.ok();

    let found = rows(&client, &format!("/v1/audit_entries?subject={customer}")).await;
    let [adjusted, created] = &found[..] else { panic!("{found:?}") };
    assert_eq!(
        (&adjusted["action"], &created["action"]),
        (&json!("customer.balance_adjusted"), &json!("customer.created"))
    );
    assert_eq!(
        (&adjusted["before"]["balance_minor"], &adjusted["after"]["balance_after_minor"]),
        (&json!(0), &json!(500))
    );
    assert_eq!((&created["before"], &created["seal"]), (&Value::Null, &Value::Null));
    assert!(adjusted["request_id"].as_str().is_some_and(|id| id.starts_with("req_")), "{adjusted}");
    let actor = adjusted["actor"].as_str().expect("an actor");
    let paused = rows(&client, &format!("/v1/audit_entries?actor={actor}&action=queue.paused")).await;
    assert_eq!(paused.len(), 1, "acts of operators are recorded as well");

    let before = client.get("/v1/audit_entries/verify").await.ok();
    assert_eq!((&before["valid"], &before["sealed"], &before["head"]), (&json!(true), &json!(0), &Value::Null));
    let billing = &platform.app.billing;
    billing::seal_audit(billing, &client.tenant, platform.app.clock.now()).await.expect("a seal");
    let after = client.get("/v1/audit_entries/verify").await.ok();
    assert_eq!((&after["valid"], &after["unsealed"], &after["sealed"]), (&json!(true), &json!(0), &before["unsealed"]));
    let id = created["id"].as_str().expect("an id");
    let sealed = client.get(&format!("/v1/audit_entries/{id}")).await.ok();
    assert_eq!(sealed["seal"]["hash"].as_str().map(str::len), Some(64), "{sealed}");
}
