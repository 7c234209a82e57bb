//! Test clocks over HTTP: how far one may be advanced, and what waits while it goes on. No worker runs here, so it stays on
//! its way.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Platform};

#[tokio::test]
async fn a_clock_only_goes_forward_and_not_too_far() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let clock = client.post("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await.ok();
    assert_eq!((&clock["status"], &clock["advance"]), (&json!("ready"), &json!(null)));
    let path = format!("/v1/test_clocks/{}/advance", clock["id"].as_str().expect("an id"));
    for (to, code) in [
        ("2026-08-01T12:00:00Z", "not_later"),
        ("2026-07-01T00:00:00Z", "not_later"),
        ("2028-08-04T00:00:00Z", "too_far"),
    ] {
        let problem = client.post(&path, &json!({ "to": to })).await.problem(422, code);
        assert_eq!(problem["errors"][0]["pointer"], "/to");
    }
    let run = json!({ "as_of": "2026-08-01T12:00:00.001Z" });
    client.post("/v1/billing_runs", &run).await.problem(422, "as_of_in_future");
    client
        .post("/v1/test_clocks/clk_none/advance", &json!({ "to": "2027-01-01T00:00:00Z" }))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn what_stands_on_a_clock_waits_while_it_goes_on() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let clock = client.create("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await;
    let plan = client.catalogue().await;
    let customer = client.customer("ada").await;
    let subscription = client.create("/v1/subscriptions", &json!({ "customer": customer, "plan": plan })).await;
    let invoice = client.get("/v1/invoices").await.ok()["data"][0]["id"].as_str().expect("an id").to_owned();
    let traces = platform.traces(&client.tenant).await;

    let path = format!("/v1/test_clocks/{clock}");
    let to = json!({ "to": "2026-12-01T00:00:00Z" });
    let answer = client.post(&format!("{path}/advance"), &to).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let shown = client.get(&path).await.ok();
    assert_eq!(shown["status"], "advancing");
    let advance = json!({ "from": "2026-08-01T12:00:00Z", "to": "2026-12-01T00:00:00Z", "stops": 0 });
    assert_eq!((&shown["now"], &shown["advance"]), (&json!("2026-08-01T12:00:00Z"), &advance));
    client.post(&format!("{path}/advance"), &to).await.problem(409, "clock_advancing");

    let event = json!({ "id": "e", "customer": customer, "meter": "calls", "timestamp": "2026-08-01T12:00:00Z" });
    for (path, body) in [
        ("/v1/customers".to_owned(), json!({ "name": "Bob", "email": "bob@customers.example" })),
        ("/v1/subscriptions".to_owned(), json!({ "customer": customer, "plan": plan })),
        (format!("/v1/subscriptions/{subscription}/pause"), json!({})),
        ("/v1/usage_events".to_owned(), event),
        ("/v1/billing_runs".to_owned(), json!({})),
        ("/v1/wallets".to_owned(), json!({ "customer": customer, "amount_minor": 1 })),
        (format!("/v1/customers/{customer}/balance_adjustments"), json!({ "amount_minor": 1, "reason": "r" })),
        (format!("/v1/invoices/{invoice}/void"), json!({})),
        ("/v1/credit_notes".to_owned(), json!({ "invoice": invoice, "all": true, "reason": "r" })),
    ] {
        client.post(&path, &body).await.problem(409, "clock_advancing");
    }
    for method in [Method::PATCH, Method::DELETE] {
        let request = client.request(method, &format!("/v1/customers/{customer}"));
        Answer::of(request.json(&json!({}))).await.problem(409, "clock_advancing");
    }
    let now: Vec<(&str, Value)> =
        platform.traces(&client.tenant).await.into_iter().map(|(name, ids)| (name, json!(ids.len()))).collect();
    let before = traces.into_iter().map(|(name, ids)| (name, json!(ids.len())));
    let changed: Vec<_> = before.zip(now).filter(|(before, now)| before != now).map(|(_, now)| now.0).collect();
    assert_eq!(changed, ["audit_entries", "events"], "only the advance itself");
    client.create("/v1/meters", &json!({ "key": "bytes", "aggregation": "count" })).await;
}
