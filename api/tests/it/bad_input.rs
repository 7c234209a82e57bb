//! Bad input to every endpoint: a clear problem, and no trace in the database.
//!
//! The endpoints are those of the document, so a new one without a case here fails.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Platform, plan};

/// Each route that takes a body, one that is right, and a field of it whose type can be wrong, if it has any.
fn writes(customer: &str) -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("/v1/customers", json!({ "name": "Ada", "email": "ada@customers.example" }), "name"),
        ("/v1/meters", json!({ "key": "bytes", "aggregation": "count" }), "aggregation"),
        (
            "/v1/plans",
            {
                let mut plan = plan();
                plan["key"] = json!("max");
                plan
            },
            "prices",
        ),
        ("/v1/subscriptions", json!({ "customer": customer, "plan": "pro" }), "start_at"),
        ("/v1/coupons", json!({ "key": "ten", "percent_off": "10", "duration": "once" }), "applies_to"),
        ("/v1/subscriptions/{id}/change", json!({ "plan": "pro" }), "quantities"),
        // These take no field, so this one is unknown.
        ("/v1/subscriptions/{id}/pause", json!({}), "at"),
        ("/v1/subscriptions/{id}/resume", json!({}), "at"),
        ("/v1/subscriptions/{id}/cancel", json!({ "when": "now" }), "when"),
        ("/v1/subscriptions/{id}/apply_coupon", json!({ "coupon": "ten" }), "coupon"),
        ("/v1/invoices/preview", json!({ "plan": "pro" }), "quantities"),
        ("/v1/simulations", json!({ "customer": { "currency": "usd" }, "until": "2024-01-01T00:00:00Z" }), "customer"),
        ("/v1/usage_events", json!({ "events": [] }), "events"),
        ("/v1/billing_runs", json!({}), "as_of"),
        ("/v1/test_clocks", json!({ "now": "2026-08-01T12:00:00Z" }), "now"),
        ("/v1/customers/{id}/balance_adjustments", json!({ "amount_minor": 1, "reason": "r" }), "amount_minor"),
        ("/v1/wallets", json!({ "customer": customer, "amount_minor": 1 }), "amount_minor"),
        ("/v1/invoices", json!({ "customer": customer, "lines": [{ "key": "a", "unit_amount": "1" }] }), "lines"),
        ("/v1/invoices/{id}/void", json!({}), ""),
        ("/v1/invoices/{id}/mark_uncollectible", json!({}), ""),
        ("/v1/invoices/{id}/finalize", json!({}), ""),
        ("/v1/credit_notes", json!({ "invoice": "inv_none", "all": true, "reason": "r" }), "lines"),
        ("/v1/queues/{name}/pause", json!({ "reason": "r" }), "reason"),
        ("/v1/queues/{name}/resume", json!({ "job": "charge" }), "job"),
        ("/v1/queues/{name}/limits", json!({ "key": "smtp", "concurrency": 1 }), "concurrency"),
        ("/v1/dead_letters/{id}/retry", json!({ "reason": "r" }), "reason"),
        ("/v1/dead_letters/{id}/discard", json!({ "reason": "r" }), "reason"),
        ("/v1/dead_letters/retry", json!({ "filter": {}, "reason": "r" }), "filter"),
        ("/v1/dead_letters/discard", json!({ "filter": {}, "reason": "r" }), "filter"),
    ]
}

/// A path of the document with a queue that there is and an id that there is not.
fn concrete(path: &str) -> String {
    path.replace("{name}", "payments").replace("{id}", "job_none")
}

/// Paths of the protected routes with a method.
fn documented(method: &str) -> BTreeSet<String> {
    let document: Value = serde_json::from_str(&api::openapi_json().expect("a document")).expect("JSON");
    let paths = document["paths"].as_object().expect("paths").iter();
    let protected = |item: &Value| item[method]["security"][0].get("bearer").is_some();
    paths.filter(|(_, item)| protected(item)).map(|(path, _)| path.clone()).collect()
}

async fn refused(client: &Client<'_>, (path, body): (&str, &Value), (status, code): (u16, &str)) -> Value {
    client.post_with_key(path, "bad-1", body).await.problem(status, code)
}

#[tokio::test]
async fn a_body_that_does_not_fit_leaves_no_trace() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.catalogue().await;
    let customer = client.customer("ada").await;
    let traces = platform.traces(&client.tenant).await;
    let writes = writes(&customer);
    let paths: BTreeSet<_> = writes.iter().map(|(path, ..)| (*path).to_owned()).collect();
    assert_eq!(paths, documented("post"));
    for (path, body, field) in &writes {
        let path = &*concrete(path);
        let mut unknown = body.clone();
        unknown["colour"] = json!("blue");
        let problem = refused(&client, (path, &unknown), (400, "invalid_body")).await;
        assert_eq!(problem["errors"][0]["pointer"], "/colour", "{path}: {problem}");
        if !field.is_empty() {
            let mut wrong = body.clone();
            wrong[field] = json!({ "a": [7] });
            let problem = refused(&client, (path, &wrong), (400, "invalid_body")).await;
            let pointer = problem["errors"][0]["pointer"].as_str().expect("text").to_owned();
            assert!(pointer.starts_with(&format!("/{field}")), "{path}: {problem}");
        }
        let mut operator = body.clone();
        operator["$where"] = json!("1");
        refused(&client, (path, &operator), (400, "invalid_body")).await;

        let broken = client.request(Method::POST, path).header("content-type", "application/json").body("{");
        Answer::of(broken).await.problem(400, "malformed_json");
        Answer::of(client.request(Method::POST, path).form(&[("name", "x")]))
            .await
            .problem(415, "unsupported_media_type");
        let query = client.post(&format!("{path}?dry=1"), body).await;
        query.problem(400, "invalid_query");
    }
    assert_eq!(platform.traces(&client.tenant).await, traces);
}

#[tokio::test]
async fn a_broken_rule_is_named_and_leaves_no_trace() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.catalogue().await;
    let customer = client.customer("ada").await;
    let bob = platform.client("bob").await;
    let foreign = bob.customer("bob").await;
    bob.create("/v1/meters", &json!({ "key": "bytes", "aggregation": "count" })).await;
    let traces = platform.traces(&client.tenant).await;
    let ada = json!({ "name": "Ada", "email": "ada@customers.example" });
    let subscription = json!({ "customer": customer, "plan": "pro" });
    let mut foreign_meter = plan();
    foreign_meter["key"] = json!("max");
    foreign_meter["prices"][1]["meter"] = json!("bytes");
    let mut negative = plan();
    negative["prices"][0]["model"]["amount"] = json!("-1");
    let rate = json!({ "name": "VAT", "percent": "19" });
    let cases = [
        ("/v1/customers", with(&ada, "email", json!("ada")), 422, "rule_violated", "/email"),
        ("/v1/customers", with(&ada, "name", json!(" ")), 422, "rule_violated", "/name"),
        ("/v1/customers", with(&ada, "currency", json!("doubloon")), 400, "invalid_body", "/currency"),
        ("/v1/customers", with(&ada, "timezone", json!("Mars/Olympus")), 400, "invalid_body", "/timezone"),
        ("/v1/customers", with(&ada, "tax_rates", json!(vec![rate; 11])), 422, "rule_violated", "/tax_rates"),
        (
            "/v1/customers",
            with(&ada, "tax_rates", json!([{ "name": "VAT", "percent": "101" }])),
            422,
            "rule_violated",
            "/tax_rates/0/percent",
        ),
        (
            "/v1/customers",
            with(&ada, "payment_method", json!("4242 4242 4242 4242")),
            422,
            "card_data",
            "/payment_method",
        ),
        ("/v1/meters", json!({ "key": "sum", "aggregation": "sum" }), 422, "rule_violated", "/value_property"),
        ("/v1/plans", negative, 422, "rule_violated", "/prices/0/model/amount"),
        ("/v1/plans", foreign_meter, 422, "rule_violated", "/prices/1/meter"),
        ("/v1/subscriptions", with(&subscription, "customer", json!(foreign)), 422, "unknown_customer", "/customer"),
        ("/v1/subscriptions", with(&subscription, "plan", json!("max")), 422, "unknown_plan", "/plan"),
    ];
    for (path, body, status, code, pointer) in cases {
        let problem = refused(&client, (path, &body), (status, code)).await;
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let meter = json!({ "key": "calls", "aggregation": "count" });
    refused(&client, ("/v1/meters", &meter), (409, "key_taken")).await;
    refused(&client, ("/v1/plans", &plan()), (409, "key_taken")).await;
    assert_eq!(platform.traces(&client.tenant).await, traces);
}

fn with(body: &Value, field: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[field] = value;
    body
}

#[tokio::test]
async fn nobody_gets_in_without_a_token_and_nobody_sees_another_tenant() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await;
    let plan = client.catalogue().await;
    let customer = client.customer("ada").await;
    client.create("/v1/subscriptions", &json!({ "customer": customer, "plan": plan })).await;
    client.create("/v1/billing_runs", &json!({})).await;
    let bob = platform.client("bob").await;
    let (traces, strangers) = (platform.traces(&client.tenant).await, platform.traces(&bob.tenant).await);

    for (path, body, _) in writes(&customer) {
        let path = concrete(path);
        Answer::of(platform.request(Method::POST, &path).json(&body)).await.problem(401, "unauthenticated");
        let forged = platform.request(Method::POST, &path).bearer_auth(format!("{}x", client.token)).json(&body);
        Answer::of(forged).await.problem(401, "invalid_token");
    }
    let reads = documented("get");
    for path in &reads {
        let answer = Answer::of(platform.request(Method::GET, &path.replace("{id}", &customer))).await;
        answer.problem(401, "unauthenticated");
        let list = path.split("/{id}").next().filter(|list| path.contains("{id}") && reads.contains(*list));
        let Some(list) = list else { continue };
        client.get(&path.replace("{id}", "x_unknown")).await.problem(404, "not_found");
        let rows = client.get(list).await.ok();
        // Nothing is collected here, so there are no payments to be seen.
        let id = rows["data"][0]["id"].as_str().unwrap_or("pay_none").to_owned();
        let answer = bob.get(&path.replace("{id}", &id)).await;
        answer.problem(404, "not_found");
        assert!(!answer.text.contains("Ada"), "{answer:?}");
        assert_eq!(bob.get(list).await.ok()["data"], json!([]));
    }
    assert_eq!(platform.traces(&client.tenant).await, traces);
    assert_eq!(platform.traces(&bob.tenant).await, strangers);
}
