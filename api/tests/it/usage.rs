//! Usage: batches, repeats, and events that are refused one by one.

use serde_json::{Value, json};

use crate::harness::Platform;

fn event(id: &str, customer: &str) -> Value {
    json!({ "id": id, "customer": customer, "meter": "calls", "timestamp": "2026-07-01T10:00:00.123456Z",
        "properties": { "region": "eu" } })
}

#[tokio::test]
async fn a_bad_event_never_sinks_its_batch() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.catalogue().await;
    let customer = client.customer("ada").await;
    let bob = platform.client("bob").await;
    let foreign = bob.customer("bob").await;
    let with = |id: &str, field: &str, value: Value| {
        let mut event = event(id, &customer);
        event[field] = value;
        event
    };
    let events = json!([
        event("e0", &customer),
        with("e1", "timestamp", json!("yesterday")),
        with("e2", "meter", json!("bytes")),
        event("e3", &foreign),
        with("e4", "extra", json!(1)),
        with("e5", "subscription", json!("sub_1")),
        "no event",
        event("e7", &customer),
        with("e8", "properties", json!({ "region": 7 })),
        with("", "meter", json!("calls")),
    ]);
    let body = json!({ "events": events });
    let first = client.post("/v1/usage_events", &body).await;
    assert_eq!(first.status, 202);
    let first = first.json();
    assert_eq!((&first["accepted"], &first["duplicates"]), (&json!(2), &json!(0)));
    let rejected: Vec<_> = first["rejected"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| (event["index"].as_u64().expect("a number"), event["code"].as_str().expect("text")))
        .collect();
    assert_eq!(
        rejected,
        [
            (1, "invalid_value"),
            (2, "unknown_meter"),
            (3, "unknown_customer"),
            (4, "unknown_field"),
            (5, "invalid_subject"),
            (6, "invalid_value"),
            (8, "invalid_value"),
            (9, "invalid_id"),
        ]
    );
    assert_eq!(platform.traces(&client.tenant).await["usage_events"].len(), 2);
    assert_eq!(platform.traces(&bob.tenant).await["usage_events"].len(), 0);

    // Sent again, nothing is counted twice; with a key the very answer is repeated.
    let again = client.post("/v1/usage_events", &body).await.ok();
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(2)));
    let keyed =
        client.post_with_key("/v1/usage_events", "batch-1", &json!({ "events": [event("e9", &customer)] })).await;
    let replayed =
        client.post_with_key("/v1/usage_events", "batch-1", &json!({ "events": [event("e9", &customer)] })).await;
    assert_eq!((&keyed.text, replayed.header("idempotent-replayed")), (&replayed.text, Some("true")));
    assert_eq!(keyed.json()["accepted"], 1);

    let other = client.post("/v1/usage_events", &with("e0", "properties", json!({ "region": "us" }))).await.ok();
    assert_eq!((&other["accepted"], &other["rejected"][0]["code"]), (&json!(0), &json!("id_conflict")));
}

#[tokio::test]
async fn one_event_is_a_batch_of_one() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.catalogue().await;
    let customer = client.customer("ada").await;
    let subscription = client.create("/v1/subscriptions", &json!({ "customer": customer, "plan": "pro" })).await;
    let one =
        json!({ "id": "e1", "subscription": subscription, "meter": "calls", "timestamp": "2026-07-01T10:00:00Z" });
    let accepted = client.post("/v1/usage_events", &one).await.ok();
    assert_eq!(accepted, json!({ "accepted": 1, "duplicates": 0, "rejected": [] }));
    let rejected = client.post("/v1/usage_events", &json!({ "id": "e2" })).await;
    assert_eq!(rejected.status, 202);
    assert_eq!(rejected.json()["rejected"][0]["code"], "missing_field");

    let all: Vec<_> = (0..1000).map(|number| event(&format!("b{number}"), &customer)).collect();
    assert_eq!(client.post("/v1/usage_events", &json!({ "events": all })).await.ok()["accepted"], 1000);
    let mut more = all;
    more.push(event("b1000", &customer));
    client.post("/v1/usage_events", &json!({ "events": more })).await.problem(422, "invalid_batch");
    client.post("/v1/usage_events", &json!({ "events": [] })).await.problem(422, "invalid_batch");
}
