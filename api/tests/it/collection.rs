//! How invoices are collected, what is sent, and what can be changed of a subscription besides what it bills.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Platform};

async fn patch(client: &Client<'_>, path: &str, body: &Value) -> Answer {
    Answer::of(client.request(Method::PATCH, path).json(body)).await
}

async fn newest_invoice(client: &Client<'_>) -> Value {
    client.get("/v1/invoices?limit=1").await.ok()["data"][0].clone()
}

#[tokio::test]
async fn what_is_sent_is_due_later_and_not_charged() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await;
    client.catalogue().await;
    let customer = json!({ "name": "Ada", "email": "ada@customers.example", "payment_method": "pm_1" });
    let customer = client.create("/v1/customers", &customer).await;
    let body = json!({ "customer": customer, "plan": "pro", "collection": "send_invoice", "net_days": 14,
        "metadata": { "a": "1" } });
    let made = client.post("/v1/subscriptions", &body).await.ok();
    assert_eq!((&made["collection"], &made["net_days"]), (&json!("send_invoice"), &json!(14)));
    let invoice = newest_invoice(&client).await;
    assert_eq!((&invoice["collection"], &invoice["due_at"]), (&json!("send_invoice"), &json!("2026-08-15T12:00:00Z")));
    assert_eq!((&invoice["status"], &invoice["next_payment_attempt_at"]), (&json!("open"), &json!(null)));

    let path = format!("/v1/subscriptions/{}", made["id"].as_str().expect("an id"));
    let change =
        json!({ "collection": "charge_automatically", "proration": "none", "metadata": { "a": null, "b": "2" } });
    let changed = patch(&client, &path, &change).await.ok();
    assert_eq!((&changed["collection"], changed.get("net_days")), (&json!("charge_automatically"), None));
    assert_eq!((&changed["proration"], &changed["metadata"]), (&json!("none"), &json!({ "b": "2" })));
    assert_eq!(client.get(&path).await.ok(), changed);
    // The subscription's own way of proration: nothing is credited.
    client.post(&format!("{path}/cancel"), &json!({ "when": "now" })).await.ok();
    assert_eq!(newest_invoice(&client).await["id"], invoice["id"]);
    patch(&client, &path, &json!({ "collection": "send_invoice" })).await.problem(409, "invalid_state");
    patch(&client, &path, &json!({ "metadata": { "c": "3" } })).await.ok();

    for (body, pointer) in [
        (json!({ "net_days": 5 }), "/net_days"),
        (json!({ "collection": "charge_automatically", "net_days": 5 }), "/net_days"),
        (json!({ "collection": "send_invoice", "net_days": 366 }), "/net_days"),
    ] {
        let problem = patch(&client, &path, &body).await.problem(422, "rule_violated");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let stale = client.request(Method::PATCH, &path).header("if-match", "\"r1\"").json(&json!({}));
    Answer::of(stale).await.problem(412, "precondition_failed");
}

#[tokio::test]
async fn an_invoice_is_mailed_again_each_time_it_is_asked_for() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let customer = client.customer("ada").await;
    let body = json!({ "customer": customer, "lines": [{ "key": "setup", "unit_amount": "10" }] });
    let invoice = client.create("/v1/invoices", &body).await;
    let mails = async || platform.traces(&client.tenant).await.get("notifications").map_or(0, Vec::len);
    let before = mails().await;
    let path = format!("/v1/invoices/{invoice}/send");
    for _ in 0..2 {
        assert_eq!(client.post(&path, &json!({})).await.ok()["status"], "open");
    }
    client.post_with_key(&path, "once", &json!({})).await.ok();
    client.post_with_key(&path, "once", &json!({})).await.ok();
    assert_eq!(mails().await, before + 3);
    client.post("/v1/invoices/inv_none/send", &json!({})).await.problem(404, "not_found");
}
