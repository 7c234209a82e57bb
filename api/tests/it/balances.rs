//! Balances: every change has an entry, whoever makes it, and a balance pays what comes next.

use billing::{Actor, When, cancel_subscription};
use serde_json::{Value, json};

use crate::harness::{Client, Platform};

pub(crate) async fn balance(client: &Client<'_>, customer: &str) -> Value {
    client.get(&format!("/v1/customers/{customer}/balance")).await.ok()["balance_minor"].clone()
}

pub(crate) async fn adjust(client: &Client<'_>, customer: &str, amount_minor: i64) -> Value {
    let body = json!({ "amount_minor": amount_minor, "reason": "goodwill" });
    client.post(&format!("/v1/customers/{customer}/balance_adjustments"), &body).await.ok()
}

/// "kind amount after" of every change, newest first.
pub(crate) async fn entries(client: &Client<'_>, customer: &str) -> Vec<String> {
    let list = client.get(&format!("/v1/customers/{customer}/balance_entries")).await.ok();
    let text = |entry: &Value| {
        format!("{} {} {}", entry["kind"].as_str().expect("text"), entry["amount_minor"], entry["balance_after_minor"])
    };
    list["data"].as_array().expect("a list").iter().map(text).collect()
}

#[tokio::test]
async fn an_adjustment_says_who_and_why() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let customer = client.customer("ada").await;
    assert_eq!(balance(&client, &customer).await, 0);

    let entry = adjust(&client, &customer, 1_500).await;
    assert_eq!((&entry["object"], &entry["kind"]), (&json!("balance_entry"), &json!("adjustment")));
    assert_eq!((&entry["reason"], &entry["source"]), (&json!("goodwill"), &json!(null)));
    assert!(entry["actor"].as_str().is_some_and(|id| id.starts_with("usr_")), "{entry}");
    assert_eq!(adjust(&client, &customer, -2_000).await["balance_after_minor"], -500);
    assert_eq!(balance(&client, &customer).await, -500);
    assert_eq!(client.get(&format!("/v1/customers/{customer}")).await.ok()["balance_minor"], -500);
    assert_eq!(entries(&client, &customer).await, ["adjustment -2000 -500", "adjustment 1500 1500"]);

    let path = format!("/v1/customers/{customer}/balance_adjustments");
    for (amount, code) in
        [(0, "amount_zero"), (1_000_000_000_001, "amount_out_of_range"), (i64::MIN, "amount_out_of_range")]
    {
        let problem = client.post(&path, &json!({ "amount_minor": amount, "reason": "r" })).await.problem(422, code);
        assert_eq!(problem["errors"][0]["pointer"], "/amount_minor");
    }
    client.post(&path, &json!({ "amount_minor": 1, "reason": " " })).await.problem(422, "reason_required");
    client.post(&path, &json!({ "amount_minor": "1", "reason": "r" })).await.problem(400, "invalid_body");
    let unknown = "/v1/customers/cus_none/balance_adjustments";
    client.post(unknown, &json!({ "amount_minor": 1, "reason": "r" })).await.problem(404, "not_found");
    let bob = platform.client("bob").await;
    bob.post(&path, &json!({ "amount_minor": 1, "reason": "r" })).await.problem(404, "not_found");
    assert_eq!(balance(&client, &customer).await, -500);
}

#[tokio::test]
async fn adjustments_at_once_all_count() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let customer = client.customer("ada").await;
    let adjustments = (1..=8).map(|amount| adjust(&client, &customer, amount * 100));
    futures::future::join_all(adjustments).await;
    assert_eq!(balance(&client, &customer).await, 3_600);
    let entries = entries(&client, &customer).await;
    assert_eq!(entries.len(), 8);
    assert!(entries[0].ends_with(" 3600"), "{entries:?}");
}

#[tokio::test]
async fn a_total_below_zero_goes_to_the_balance_and_pays_the_next_invoice() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await;
    client.catalogue().await;
    let customer = client.customer("ada").await;
    let body = json!({ "customer": customer, "plan": "pro", "start_at": "2026-08-01T00:00:00Z" });
    let subscription = client.create("/v1/subscriptions", &body).await;

    let billing = &platform.app.billing;
    let time = billing::TenantTime::read(&billing.store, &client.tenant, platform.app.clock.now()).await.expect("time");
    let actor = Actor::system(&client.tenant);
    let cancel = (subscription.as_str(), When::Now, None);
    let cancelled = cancel_subscription(&billing.store, &actor, &time, cancel).await.expect("a change");
    billing.commit(cancelled).await.expect("committed");

    // 20.00 for 31 days, of which one was used.
    let credit = client.get("/v1/invoices?status=paid").await.ok()["data"][0].clone();
    assert_eq!((&credit["reason"], &credit["total_minor"]), (&json!("cancel"), &json!(0)));
    assert_eq!((&credit["credited_minor"], &credit["amount_due_minor"]), (&json!(1_935), &json!(0)));
    assert!(credit["paid_at"].is_string(), "{credit}");
    assert_eq!(entries(&client, &customer).await, ["invoice_issued 1935 1935"]);
    let void = format!("/v1/invoices/{}/void", credit["id"].as_str().expect("an id"));
    client.post(&void, &json!({})).await.problem(409, "invalid_state");

    let one_off = json!({ "customer": customer, "lines": [{ "key": "setup", "unit_amount": "25.00" }] });
    let next = client.post("/v1/invoices", &one_off).await.ok();
    assert_eq!((&next["credit_applied_minor"], &next["amount_due_minor"]), (&json!(1_935), &json!(565)));
    assert_eq!(entries(&client, &customer).await, ["invoice_issued -1935 0", "invoice_issued 1935 1935"]);
}
