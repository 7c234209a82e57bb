//! One key, one effect; and what many writers at once leave behind.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::Platform;

fn ada() -> Value {
    json!({ "name": "Ada", "email": "ada@customers.example", "metadata": { "account": "a1" } })
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_changes_nothing() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let first = client.post_with_key("/v1/customers", "k1", &ada()).await;
    assert_eq!(first.status, 201);
    assert_eq!(first.header("etag"), Some("\"r1\""));
    assert_eq!(first.header("idempotent-replayed"), None);
    let traces = platform.traces(&client.tenant).await;

    let again = client.post_with_key("/v1/customers", "\"k1\"", &ada()).await;
    assert_eq!((again.status, &again.text), (201, &first.text));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.header("content-type"), Some("application/json"));

    let mut other = ada();
    other["name"] = json!("Bob");
    client.post_with_key("/v1/customers", "k1", &other).await.problem(422, "idempotency_key_reused");
    assert_eq!(platform.traces(&client.tenant).await, traces);

    // The key is this caller's on this route alone.
    let meter = json!({ "key": "calls", "aggregation": "count" });
    assert_eq!(client.post_with_key("/v1/meters", "k1", &meter).await.status, 201);
    let stranger = platform.client("bob").await;
    let answer = stranger.post_with_key("/v1/customers", "k1", &ada()).await;
    assert_eq!((answer.status, answer.header("idempotent-replayed")), (201, None));
}

#[tokio::test]
async fn fifty_posts_at_once_with_one_key_have_one_effect() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let body = ada();
    let answers = join_all((0..50).map(|_| client.post_with_key("/v1/customers", "once", &body))).await;
    let mut bodies = BTreeSet::new();
    for answer in &answers {
        match answer.status {
            201 => drop(bodies.insert(answer.text.clone())),
            _ => drop(answer.problem(409, "idempotency_key_in_flight")),
        }
    }
    assert_eq!(bodies.len(), 1, "{answers:?}");
    let traces = platform.traces(&client.tenant).await;
    let customer = &traces["customers"][..];
    assert_eq!(customer.len(), 1);
    let customer = customer[0]["_id"].as_str().expect("an id");
    let about = |rows: &[Value]| rows.iter().filter(|row| row["subject"] == customer).count();
    assert_eq!((about(&traces["events"]), about(&traces["audit_entries"])), (1, 1));
}

#[tokio::test]
async fn a_refused_write_gives_its_key_back() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let traces = platform.traces(&client.tenant).await;
    let subscription = json!({ "customer": "cus_none", "plan": "pro" });
    let refused = client.post_with_key("/v1/subscriptions", "k1", &subscription).await;
    refused.problem(422, "unknown_customer");
    assert_eq!(platform.traces(&client.tenant).await, traces);

    client.catalogue().await;
    let customer = client.customer("ada").await;
    let subscription = json!({ "customer": customer, "plan": "pro" });
    assert_eq!(client.post_with_key("/v1/subscriptions", "k1", &subscription).await.status, 201);
}

#[tokio::test]
async fn a_name_that_many_want_at_once_goes_to_one() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let meter = json!({ "key": "calls", "aggregation": "count" });
    let answers = join_all((0..8).map(|_| client.post("/v1/meters", &meter))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.problem(409, "key_taken");
    }
    assert_eq!(platform.traces(&client.tenant).await["meters"].len(), 1);
}

#[tokio::test]
async fn subscriptions_at_once_get_invoice_numbers_without_gaps() {
    const MANY: usize = 16;
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.catalogue().await;
    let names: Vec<_> = (0..MANY).map(|number| format!("customer{number}")).collect();
    let customers = join_all(names.iter().map(|name| client.customer(name))).await;
    let subscriptions =
        join_all(customers.iter().map(async |customer| {
            client.post("/v1/subscriptions", &json!({ "customer": customer, "plan": "pro" })).await
        }))
        .await;
    for answer in &subscriptions {
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let invoices = client.get("/v1/invoices?limit=100").await.ok();
    let invoices = invoices["data"].as_array().expect("a list");
    let numbers: BTreeSet<_> = invoices.iter().map(|invoice| invoice["number"].as_str().expect("text")).collect();
    let expected: Vec<_> = (1..=MANY).map(|number| format!("INV-{number:06}")).collect();
    assert_eq!(numbers.into_iter().collect::<Vec<_>>(), expected);
}
