//! Bad input to every endpoint: a clear problem, and no trace in the database.
//!
//! The endpoints are those of the document, so a new one without a case here fails.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    contract::operations,
    harness::{Answer, Client, Platform, plan},
    writes::{Write, concrete, writes},
};

async fn refused(
    client: &Client<'_>,
    (method, path, body): (&Method, &str, &Value),
    (status, code): (u16, &str),
) -> Value {
    let request = client.request(method.clone(), path).header("idempotency-key", "bad-1").json(body);
    Answer::of(request).await.problem(status, code)
}

#[tokio::test]
async fn a_body_that_does_not_fit_leaves_no_trace() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.catalogue().await;
    let customer = client.customer("ada").await;
    let traces = platform.traces(&client.tenant).await;
    let writes = writes(&customer);
    let listed: BTreeSet<_> = writes.iter().map(|write| (write.method.to_string(), write.path.to_owned())).collect();
    let takes_body = operations().into_iter().filter(|operation| operation.of_the_gateway() && operation.takes_body);
    assert_eq!(listed, takes_body.map(|operation| (operation.method.to_string(), operation.path)).collect());
    for Write { method, path, body, field } in &writes {
        let path = &*concrete(path);
        let mut unknown = body.clone();
        unknown["colour"] = json!("blue");
        let problem = refused(&client, (method, path, &unknown), (400, "invalid_body")).await;
        assert_eq!(problem["errors"][0]["pointer"], "/colour", "{path}: {problem}");
        if !field.is_empty() {
            let mut wrong = body.clone();
            wrong[field] = json!({ "a": [7] });
            let problem = refused(&client, (method, path, &wrong), (400, "invalid_body")).await;
            let pointer = problem["errors"][0]["pointer"].as_str().expect("text").to_owned();
            assert!(pointer.starts_with(&format!("/{field}")), "{path}: {problem}");
        }
        let mut operator = body.clone();
        operator["$where"] = json!("1");
        refused(&client, (method, path, &operator), (400, "invalid_body")).await;

        let broken = client.request(method.clone(), path).header("content-type", "application/json").body("{");
        Answer::of(broken).await.problem(400, "malformed_json");
        Answer::of(client.request(method.clone(), path).form(&[("name", "x")]))
            .await
            .problem(415, "unsupported_media_type");
        let query = client.request(method.clone(), &format!("{path}?dry=1")).json(body);
        Answer::of(query).await.problem(400, "invalid_query");
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
        let problem = refused(&client, (&Method::POST, path, &body), (status, code)).await;
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let meter = json!({ "key": "calls", "aggregation": "count" });
    refused(&client, (&Method::POST, "/v1/meters", &meter), (409, "key_taken")).await;
    refused(&client, (&Method::POST, "/v1/plans", &plan()), (409, "key_taken")).await;
    assert_eq!(platform.traces(&client.tenant).await, traces);
}

fn with(body: &Value, field: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[field] = value;
    body
}
