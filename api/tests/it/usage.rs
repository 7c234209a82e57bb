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

/// A clock, the catalogue, a customer and its subscription since a start.
async fn subscriber(client: &crate::harness::Client<'_>, grace_days: u16) -> (String, String) {
    client.create("/v1/test_clocks", &json!({ "now": "2026-06-01T00:00:00Z" })).await;
    client.catalogue().await;
    let customer = json!({ "name": "Ada", "email": "ada@customers.example", "invoice_grace_days": grace_days });
    let customer = client.create("/v1/customers", &customer).await;
    let body = json!({ "customer": customer, "plan": "pro", "billing_cycle": "calendar" });
    let subscription = client.create("/v1/subscriptions", &body).await;
    (customer, subscription)
}

fn call(id: &str, subscription: &str, timestamp: &str) -> Value {
    json!({ "id": id, "subscription": subscription, "meter": "calls", "timestamp": timestamp })
}

/// "kind price quantity amount" of lines.
fn lines(lines: &Value) -> Vec<String> {
    let line = |line: &Value| {
        format!("{} {} {} {}", line["kind"], line["price"], line["quantity"], line["amount_minor"]).replace('"', "")
    };
    lines.as_array().expect("lines").iter().map(line).collect()
}

#[tokio::test]
async fn what_comes_late_is_shown_and_then_billed() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let (customer, subscription) = subscriber(&client, 0).await;
    client.post("/v1/usage_events", &call("e1", &subscription, "2026-06-20T00:00:00Z")).await.ok();
    client.advance("2026-07-02T00:00:00Z").await;
    let act = |action: &str| format!("/v1/subscriptions/{subscription}/{action}");
    client.post(&act("pause"), &json!({})).await.ok();
    client.post(&act("resume"), &json!({})).await.ok();

    let adjustment = json!({ "amount_minor": 300, "reason": "sorry" });
    client.post(&format!("/v1/customers/{customer}/balance_adjustments"), &adjustment).await.ok();
    let mut correction = call("e2", &subscription, "2026-06-21T00:00:00Z");
    correction["replaces"] = json!("e1");
    let late = json!({ "events": [correction, call("e3", &subscription, "2026-06-22T00:00:00Z"),
        call("e4", &subscription, "2026-07-01T00:00:00Z")] });
    assert_eq!(client.post("/v1/usage_events", &late).await.ok()["accepted"], 3);
    let usage = client.get(&act("usage")).await.ok();
    assert_eq!(lines(&usage["late"]), ["adjustment calls 1 10"]);
    assert_eq!((&usage["data"][0]["quantity"], &usage["data"][0]["amount_minor"]), (&json!("1"), &json!(10)));

    let upcoming = client.get(&act("upcoming_invoice")).await.ok();
    assert_eq!(lines(&upcoming["lines"]), ["fixed base 1 2000", "adjustment calls 1 10", "usage calls 1 10"]);
    let paid = ["total_minor", "credit_applied_minor", "wallet_applied_minor", "amount_due_minor"];
    assert_eq!(paid.map(|field| upcoming[field].as_i64()), [Some(2020), Some(300), Some(0), Some(1720)]);
    client.advance("2026-08-01T00:00:00Z").await;
    client.post(&act("pause"), &json!({})).await.ok();
    let invoice = client.get("/v1/invoices").await.ok()["data"][0].clone();
    assert_eq!(invoice["lines"], upcoming["lines"]);
    assert_eq!(paid.map(|field| invoice[field].as_i64()), paid.map(|field| upcoming[field].as_i64()));
    assert_eq!(client.get(&act("usage")).await.ok()["late"], json!([]));
}

#[tokio::test]
async fn a_draft_shows_what_is_known_by_now_and_is_finalised_with_it() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let (_, subscription) = subscriber(&client, 3).await;
    client.advance("2026-07-02T00:00:00Z").await;
    client.post(&format!("/v1/subscriptions/{subscription}/apply_coupon"), &json!({ "coupon": "none" })).await;
    client.create("/v1/coupons", &json!({ "key": "ten", "percent_off": "10", "duration": "once" })).await;
    client.post(&format!("/v1/subscriptions/{subscription}/apply_coupon"), &json!({ "coupon": "ten" })).await.ok();
    let draft = client.get("/v1/invoices?status=draft").await.ok()["data"][0].clone();
    assert_eq!((lines(&draft["lines"]), &draft["number"]), (vec!["fixed base 1 2000".to_owned()], &Value::Null));

    client.post("/v1/usage_events", &call("e1", &subscription, "2026-06-20T00:00:00Z")).await.ok();
    let path = format!("/v1/invoices/{}", draft["id"].as_str().expect("an id"));
    let expected = ["fixed base 1 2000", "usage calls 1 10"];
    assert_eq!(lines(&client.get(&path).await.ok()["lines"]), expected);
    assert_eq!(lines(&client.get(&format!("{path}/explain")).await.ok()["lines"]), expected);
    let finalized = client.post(&format!("{path}/finalize"), &json!({})).await.ok();
    assert_eq!(
        (lines(&finalized["lines"]), &finalized["status"]),
        (expected.map(str::to_owned).to_vec(), &json!("open"))
    );
    assert_eq!(finalized["total_minor"], 2010);
    client.post(&format!("{path}/finalize"), &json!({})).await.problem(409, "invalid_state");
}

#[tokio::test]
async fn an_event_of_a_customer_with_two_subscriptions_names_one_of_them() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let (customer, first) = subscriber(&client, 0).await;
    let body = json!({ "customer": customer, "plan": "pro", "billing_cycle": "calendar" });
    let second = client.create("/v1/subscriptions", &body).await;
    let mut named = call("e1", &first, "2026-06-20T00:00:00Z");
    named.as_object_mut().expect("an object").remove("subscription");
    named["customer"] = json!(customer);
    let refused = client.post("/v1/usage_events", &named).await.ok();
    assert_eq!(refused["rejected"][0]["code"], "ambiguous_subscription");
    client.post("/v1/usage_events", &call("e1", &second, "2026-06-20T00:00:00Z")).await.ok();
    client.advance("2026-06-25T00:00:00Z").await;
    for (subscription, amount) in [(first, 0), (second, 10)] {
        let usage = client.get(&format!("/v1/subscriptions/{subscription}/usage")).await.ok();
        assert_eq!(usage["data"][0]["amount_minor"], amount);
    }
    let mut itself = call("e2", &customer, "2026-06-20T00:00:00Z");
    itself["replaces"] = json!("e2");
    let refused = client.post("/v1/usage_events", &itself).await.ok();
    assert_eq!(refused["rejected"][0]["code"], "invalid_replaces");
}
