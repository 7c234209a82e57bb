//! Customers: what can be changed of them, and what deleting one leaves.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Platform};

async fn patch(client: &Client<'_>, path: &str, body: &Value) -> Answer {
    Answer::of(client.request(Method::PATCH, path).json(body)).await
}

async fn delete(client: &Client<'_>, path: &str) -> Answer {
    Answer::of(client.request(Method::DELETE, path)).await
}

#[tokio::test]
async fn a_change_sets_what_it_names_and_leaves_the_rest() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let vat = client.create("/v1/tax_rates", &json!({ "name": "VAT", "percent": "19" })).await;
    let address = json!({ "line1": "1 Main St", "line2": null, "postal_code": "1000", "city": "Berlin", "state": null,
        "country": "DE" });
    let body = json!({ "name": "Babbage", "email": "b@customers.example", "address": address,
        "tax_rates": [vat, { "name": "City", "percent": "1.5" }], "metadata": { "a": "1", "b": "2" },
        "payment_method": "pm_1" });
    let made = client.post("/v1/customers", &body).await.ok();
    assert_eq!(made["address"], address);
    let rates = json!([{ "name": "VAT", "percent": "19" }, { "name": "City", "percent": "1.5" }]);
    assert_eq!(made["tax_rates"], rates);
    let path = format!("/v1/customers/{}", made["id"].as_str().expect("an id"));

    let change = json!({ "name": "Analytical", "timezone": "Europe/Berlin", "payment_method": null,
        "metadata": { "a": null, "c": "3" } });
    let answer = patch(&client, &path, &change).await;
    assert_eq!(answer.header("etag"), Some("\"r2\""));
    let changed = answer.ok();
    let mut expected = made.clone();
    for (field, value) in [
        ("name", json!("Analytical")),
        ("timezone", json!("Europe/Berlin")),
        ("payment_method", json!(null)),
        ("metadata", json!({ "b": "2", "c": "3" })),
    ] {
        expected[field] = value;
    }
    assert_eq!(changed, expected);
    assert_eq!(client.get(&path).await.ok(), expected);

    let attached = client.post(&format!("{path}/payment_methods"), &json!({ "token": "pm_2" })).await.ok();
    assert_eq!(attached["payment_method"], "pm_2");

    patch(&client, &path, &json!({ "currency": "eur" })).await.problem(400, "invalid_body");
    for (body, pointer) in [
        (json!({ "email": "nobody" }), "/email"),
        (json!({ "address": { "country": "Germany" } }), "/address/country"),
        (json!({ "tax_rates": ["txr_none"] }), "/tax_rates/0"),
        (json!({ "invoice_grace_days": 61 }), "/invoice_grace_days"),
    ] {
        let problem = patch(&client, &path, &body).await.problem(422, "rule_violated");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    client.post(&format!("/v1/tax_rates/{vat}/archive"), &json!({})).await.ok();
    let problem = patch(&client, &path, &json!({ "tax_rates": [vat] })).await.problem(422, "rule_violated");
    assert_eq!(problem["errors"][0]["code"], "tax_rate_archived", "{problem}");
    assert_eq!(client.get(&path).await.ok()["tax_rates"], rates, "whoever has it keeps it");
}

#[tokio::test]
async fn a_change_of_something_else_than_was_read_is_refused() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let path = format!("/v1/customers/{}", client.customer("ada").await);
    let at = async |method: Method, tag: &str| {
        let request = client.request(method, &path).header("if-match", tag);
        Answer::of(request.json(&json!({ "name": "Other" }))).await
    };
    at(Method::PATCH, "\"r2\"").await.problem(412, "precondition_failed");
    at(Method::PATCH, "\"r1\"").await.ok();
    at(Method::PATCH, "\"r1\"").await.problem(412, "precondition_failed");
    at(Method::DELETE, "\"r1\"").await.problem(412, "precondition_failed");
    at(Method::PATCH, "\"r1\", \"r2\"").await.ok();
    at(Method::PATCH, "*").await.ok();
    assert_eq!(client.get(&path).await.header("etag"), Some("\"r4\""));
    let writes = (0..6).map(|_| at(Method::PATCH, "\"r4\""));
    let answers = futures::future::join_all(writes).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.status == 412).count(), 5);
}

#[tokio::test]
async fn deleting_a_customer_leaves_its_invoices_and_nobody_s_name() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await;
    let plan = client.catalogue().await;
    let customer = client.customer("secret").await;
    let path = format!("/v1/customers/{customer}");
    let sub = client.create("/v1/subscriptions", &json!({ "customer": customer, "plan": plan })).await;
    let invoices = client.get("/v1/invoices").await.ok()["data"].clone();
    delete(&client, &path).await.problem(409, "open_invoices");
    delete(&client, &format!("{path}?force=maybe")).await.problem(400, "invalid_query");

    let gone = delete(&client, &format!("{path}?force=true")).await.ok();
    assert!(gone["deleted_at"].is_string(), "{gone}");
    assert_eq!((&gone["email"], &gone["payment_method"], &gone["metadata"]), (&json!(""), &json!(null), &json!({})));
    assert!(!gone.to_string().contains("secret"), "{gone}");
    assert_eq!(client.get(&path).await.ok(), gone);
    assert_eq!(client.get("/v1/customers").await.ok()["data"], json!([]));
    let ended = client.get(&format!("/v1/subscriptions/{sub}")).await.ok();
    assert_eq!((&ended["status"], &ended["next_billing_at"]), (&json!("cancelled"), &json!(null)));
    let mut left = client.get("/v1/invoices").await.ok()["data"].clone();
    assert_eq!(left[0]["status"], "uncollectible");
    left[0]["status"] = json!("open");
    left[0]["amount_remaining_minor"] = invoices[0]["amount_remaining_minor"].clone();
    assert_eq!(left, invoices, "what they say stays");

    delete(&client, &path).await.problem(409, "customer_deleted");
    patch(&client, &path, &json!({ "name": "Back" })).await.problem(409, "customer_deleted");
    for (path, body) in [
        ("/v1/subscriptions", json!({ "customer": customer, "plan": plan })),
        ("/v1/wallets", json!({ "customer": customer, "amount_minor": 1 })),
        ("/v1/invoices", json!({ "customer": customer, "lines": [{ "key": "a", "unit_amount": "1" }] })),
    ] {
        client.post(path, &body).await.problem(422, "unknown_customer");
    }
    let bob = platform.client("bob").await;
    delete(&bob, &path).await.problem(404, "not_found");
}
