//! Billing runs: steered over HTTP, and what became of each subscription.

use serde_json::{Value, json};

use crate::{
    harness::{Client, Platform},
    wallets::run_billing,
};

async fn subscriber(client: &Client<'_>, plan: &str, name: &str) -> String {
    let customer = client.customer(name).await;
    let body = json!({ "customer": customer, "plan": plan, "start_at": "2026-05-15T00:00:00Z" });
    client.create("/v1/subscriptions", &body).await
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().expect("a list").iter().map(|row| row["id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn a_run_is_steered_and_refuses_what_its_state_does_not_allow() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let run = client.create("/v1/billing_runs", &json!({})).await;
    let act = async |act: &str| client.post(&format!("/v1/billing_runs/{run}/{act}"), &json!({})).await;
    act("resume").await.problem(409, "invalid_state");
    act("retry_failed").await.problem(409, "nothing_failed");
    let paused = act("pause").await;
    assert_eq!(paused.status, 200);
    assert!(paused.header("etag").is_some());
    assert_eq!(paused.json()["state"], "paused");
    act("pause").await.problem(409, "invalid_state");
    act("retry_failed").await.problem(409, "invalid_state");
    assert_eq!(act("resume").await.ok()["state"], "planning");
    assert_eq!(act("cancel").await.ok()["state"], "cancelled");
    act("resume").await.problem(409, "invalid_state");
    client.post("/v1/billing_runs/run_none/pause", &json!({})).await.problem(404, "not_found");
    let bob = platform.client("bob").await;
    bob.post(&format!("/v1/billing_runs/{run}/pause"), &json!({})).await.problem(404, "not_found");
}

#[tokio::test]
async fn the_items_of_a_run_are_its_invoices_and_its_failures() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await;
    let plan = client.catalogue().await;
    for name in ["one", "two", "three"] {
        subscriber(&client, &plan, name).await;
    }
    run_billing(&client).await;
    let runs = client.get("/v1/billing_runs").await.ok();
    let run = ids(&runs)[0].to_owned();
    let items = async |query: &str| client.get(&format!("/v1/billing_runs/{run}/items{query}")).await;
    let all = items("").await.ok();
    let (billed, rows) = (ids(&all), all["data"].as_array().expect("a list"));
    assert_eq!((billed.len(), &all["has_more"]), (6, &json!(false)), "June and July of each");
    for row in rows {
        assert_eq!(
            (&row["object"], &row["state"], &row["code"]),
            (&json!("billing_run_item"), &json!("open"), &json!(null))
        );
        assert_eq!(row["id"], row["invoice"]);
    }
    let page = items("?limit=4&state=open").await.ok();
    let rest = items(&format!("?limit=4&state=open&starting_after={}", ids(&page)[3])).await.ok();
    assert_eq!((&page["has_more"], &rest["has_more"]), (&json!(true), &json!(false)));
    assert_eq!([ids(&page), ids(&rest)].concat(), billed);
    client.post(&format!("/v1/invoices/{}/void", billed[0]), &json!({})).await.ok();
    assert_eq!(ids(&items("?state=void").await.ok()), [billed[0]]);
    assert_eq!(ids(&items("?state=open").await.ok()), billed[1..]);
    for empty in ["?state=paid", "?state=payment_failed", "?state=failed", "?state=draft", "?state=uncollectible"] {
        assert_eq!(ids(&items(empty).await.ok()), [""; 0], "{empty}");
    }
    items("?state=lost").await.problem(400, "invalid_query");
    let bob = platform.client("bob").await;
    bob.get(&format!("/v1/billing_runs/{run}/items")).await.problem(404, "not_found");
}
