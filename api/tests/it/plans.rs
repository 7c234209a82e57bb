//! Plans over time: versions, the end of their sale, and taxes, coupons and metadata of the catalogue.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Platform};

async fn patch(client: &Client<'_>, path: &str, body: &Value) -> Answer {
    Answer::of(client.request(Method::PATCH, path).json(body)).await
}

fn flat(amount: &str) -> Value {
    json!([{ "key": "base", "kind": "fixed", "timing": "advance", "model": { "type": "flat", "amount": amount } }])
}

async fn events(client: &Client<'_>) -> Vec<String> {
    let traces = client.platform.traces(&client.tenant).await;
    let types = traces["events"].iter().map(|event| event["type"].as_str().expect("a type").to_owned());
    let mut names: Vec<String> = types.filter(|name| name.starts_with("plan.")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_change_is_a_new_version_and_subscriptions_stay_on_theirs() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await;
    let body = json!({ "key": "p", "name": "P", "currency": "usd", "interval": "month", "prices": flat("10.00"),
        "metadata": { "tier": "1" } });
    let first = client.post("/v1/plans", &body).await.ok();
    let path = format!("/v1/plans/{}", first["id"].as_str().expect("an id"));
    let old = client.customer("old").await;
    let new = client.customer("new").await;
    let kept = client.create("/v1/subscriptions", &json!({ "customer": old, "plan": "p" })).await;

    let second = patch(&client, &path, &json!({ "prices": flat("12.00"), "metadata": { "tier": "2" } })).await.ok();
    let mut expected = first.clone();
    expected["version"] = json!(2);
    expected["prices"] = second["prices"].clone();
    expected["metadata"] = json!({ "tier": "2" });
    assert_eq!(second, expected);
    assert_eq!(second["prices"][0]["model"]["amount"], "12.00");
    assert_eq!(client.get(&path).await.ok(), second);
    assert_eq!(client.get(&format!("{path}?version=2")).await.ok(), second);
    let shown = client.get(&format!("{path}?version=1")).await.ok();
    assert_eq!((&shown["version"], &shown["prices"]), (&json!(1), &first["prices"]));
    client.get(&format!("{path}?version=3")).await.problem(404, "not_found");
    assert_eq!(client.get("/v1/plans").await.ok()["data"], json!([second]));

    let bought = client.create("/v1/subscriptions", &json!({ "customer": new, "plan": first["id"] })).await;
    let version = async |id: &str| client.get(&format!("/v1/subscriptions/{id}")).await.ok()["plan_version"].clone();
    assert_eq!((version(&kept).await, version(&bought).await), (json!(1), json!(2)));
    client.post(&format!("/v1/subscriptions/{kept}/change"), &json!({ "plan": "p", "when": "now" })).await.ok();
    assert_eq!(version(&kept).await, 2);

    let problem = patch(&client, &path, &json!({ "prices": [] })).await.problem(422, "rule_violated");
    assert_eq!(problem["errors"][0]["pointer"], "/prices");
    patch(&client, &path, &json!({ "key": "q" })).await.problem(400, "invalid_body");
    patch(&client, &path, &json!({ "metadata": { "tier": null } })).await.ok();
    assert_eq!(client.get(&path).await.ok()["version"], 2, "metadata makes no version");
    assert_eq!(events(&client).await, ["plan.created", "plan.updated", "plan.updated"]);
}

#[tokio::test]
async fn a_deprecated_plan_is_for_those_who_have_it() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await;
    for (key, amount) in [("p", "10.00"), ("q", "20.00")] {
        let body = json!({ "key": key, "currency": "usd", "interval": "month", "prices": flat(amount) });
        client.create("/v1/plans", &body).await;
    }
    let plan = client.get("/v1/plans").await.ok()["data"][1]["id"].as_str().expect("an id").to_owned();
    let customer = client.customer("ada").await;
    let subscription = client.create("/v1/subscriptions", &json!({ "customer": customer, "plan": "p" })).await;
    let change = format!("/v1/subscriptions/{subscription}/change");

    for _ in 0..2 {
        let shown = client.post(&format!("/v1/plans/{plan}/deprecate"), &json!({})).await.ok();
        assert!(shown["deprecated_at"].is_string(), "{shown}");
    }
    assert_eq!(events(&client).await, ["plan.created", "plan.created", "plan.deprecated"]);
    let body = json!({ "customer": customer, "plan": "p" });
    client.post("/v1/subscriptions", &body).await.problem(409, "plan_deprecated");
    client.post("/v1/invoices/preview", &body).await.problem(409, "plan_deprecated");
    client.post(&change, &json!({ "plan": "p", "when": "now" })).await.ok();
    client.post(&change, &json!({ "plan": "q", "when": "now" })).await.ok();
    client.post(&change, &json!({ "plan": "p", "when": "now" })).await.problem(409, "plan_deprecated");
}

#[tokio::test]
async fn prices_name_tax_rates_and_an_archived_coupon_is_kept_by_who_has_it() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await;
    let rate = json!({ "name": "VAT", "percent": "19", "metadata": { "country": "de" } });
    let shown = client.post("/v1/tax_rates", &rate).await.ok();
    let id = shown["id"].as_str().expect("an id");
    assert!(id.starts_with("txr_") && shown["object"] == "tax_rate", "{shown}");
    assert_eq!((&shown["percent"], &shown["metadata"]), (&json!("19"), &rate["metadata"]));
    assert_eq!(client.get(&format!("/v1/tax_rates/{id}")).await.ok(), shown);
    assert_eq!(client.get("/v1/tax_rates").await.ok()["data"], json!([shown]));
    let problem = client.post("/v1/tax_rates", &json!({ "name": "V", "percent": "101" })).await;
    assert_eq!(problem.problem(422, "rule_violated")["errors"][0]["pointer"], "/percent");

    let mut prices = flat("10.00");
    prices[0]["tax_rates"] = json!([id, { "name": "City", "percent": "1" }]);
    let plan = json!({ "key": "p", "currency": "usd", "interval": "month", "prices": prices });
    let made = client.post("/v1/plans", &plan).await.ok();
    let resolved = json!([{ "name": "VAT", "percent": "19" }, { "name": "City", "percent": "1" }]);
    assert_eq!(made["prices"][0]["tax_rates"], resolved);
    let mut unknown = plan.clone();
    unknown["prices"][0]["tax_rates"][0] = json!("txr_none");
    let problem = client.post("/v1/plans", &unknown).await.problem(422, "rule_violated");
    assert_eq!(problem["errors"][0]["pointer"], "/prices/0/tax_rates/0", "{problem}");
    unknown["prices"][0]["tax_rates"][0] = json!({ "name": "VAT", "percent": "1", "colour": "blue" });
    let problem = client.post("/v1/plans", &unknown).await.problem(400, "invalid_body");
    assert_eq!(problem["errors"][0]["pointer"], "/prices/0/tax_rates/0/colour", "{problem}");

    let coupon = json!({ "key": "c", "percent_off": "10", "duration": "forever", "metadata": { "campaign": "x" } });
    let coupon = client.post("/v1/coupons", &coupon).await.ok();
    assert_eq!(coupon["metadata"]["campaign"], "x");
    let (ada, bob) = (client.customer("ada").await, client.customer("bob").await);
    let body = |customer: &str| json!({ "customer": customer, "plan": "p", "coupons": ["c"] });
    let kept = client.create("/v1/subscriptions", &body(&ada)).await;
    let path = format!("/v1/coupons/{}", coupon["id"].as_str().expect("an id"));
    let archived = client.post(&format!("{path}/archive"), &json!({})).await.ok();
    assert!(archived["archived_at"].is_string(), "{archived}");
    let problem = client.post("/v1/subscriptions", &body(&bob)).await.problem(422, "coupon_archived");
    assert_eq!(problem["errors"][0]["pointer"], "/coupons/0");
    assert_eq!(client.get(&format!("/v1/subscriptions/{kept}")).await.ok()["coupons"][0]["coupon"], "c");
    for metadata in [json!({ "k".repeat(41): "" }), json!({ "k": "v".repeat(501) })] {
        let meter = json!({ "key": "m", "aggregation": "count", "metadata": metadata });
        client.post("/v1/meters", &meter).await.problem(422, "rule_violated");
    }
    let meter = json!({ "key": "m", "aggregation": "count", "metadata": { "k": 1 } });
    let problem = client.post("/v1/meters", &meter).await.problem(400, "invalid_body");
    assert_eq!(problem["errors"][0]["pointer"], "/metadata/k", "{problem}");
}
