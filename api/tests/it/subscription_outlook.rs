//! What a subscription will be billed, and what was used so far: the same as is billed then, and without any effect.

use serde_json::{Value, json};

use crate::harness::{Client, Platform};

/// Calls by region at 0.10, of which a month costs 1.00 at most; and storage by the year.
async fn subscribed(client: &Client<'_>) -> (String, String) {
    client.create("/v1/test_clocks", &json!({ "now": "2026-06-16T12:00:00Z" })).await;
    client.create("/v1/meters", &json!({ "key": "calls", "aggregation": "count" })).await;
    client.create("/v1/meters", &json!({ "key": "bytes", "aggregation": "max", "value_property": "bytes" })).await;
    let per_unit = |amount: &str| json!({ "type": "per_unit", "unit_amount": amount });
    let plan = json!({
        "key": "pro", "currency": "usd", "interval": "year",
        "prices": [
            { "key": "base", "kind": "fixed", "timing": "advance", "interval": "month",
              "model": { "type": "flat", "amount": "20.00" } },
            { "key": "calls", "kind": "usage", "meter": "calls", "timing": "arrears", "interval": "month",
              "group_by": ["region"], "max_amount_minor": 100, "model": per_unit("0.10") },
            { "key": "bytes", "kind": "usage", "meter": "bytes", "timing": "arrears", "model": per_unit("0.01") },
        ],
    });
    client.create("/v1/plans", &plan).await;
    let body = json!({ "name": "Ada", "email": "ada@customers.example",
        "tax_rates": [{ "name": "VAT", "percent": "10" }] });
    let customer = client.create("/v1/customers", &body).await;
    let body = json!({ "customer": customer, "plan": "pro", "start_at": "2026-06-01T00:00:00Z" });
    (client.create("/v1/subscriptions", &body).await, customer)
}

fn rows(usage: &Value) -> Vec<String> {
    let row = |row: &Value| {
        let region = row["group"]["region"].as_str().unwrap_or("-");
        let [price, quantity] = ["price", "quantity"].map(|field| row[field].as_str().expect("text"));
        format!("{price} {region} {quantity} {} until {}", row["amount_minor"], row["window"]["end"])
    };
    usage["data"].as_array().expect("a list").iter().map(row).collect()
}

#[tokio::test]
async fn what_is_to_come_is_what_is_billed_then() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let (id, customer) = subscribed(&client).await;
    let path = |what: &str| format!("/v1/subscriptions/{id}/{what}");
    let usage = client.get(&path("usage")).await.ok();
    assert_eq!((&usage["object"], &usage["has_more"]), (&json!("list"), &json!(false)));
    assert_eq!(rows(&usage), [r#"calls - 0 0 until "2026-07-01""#, r#"bytes - 0 0 until "2027-06-01""#]);

    let event = |number: usize, region: &str| {
        json!({ "id": format!("c{number}"), "customer": customer, "meter": "calls", "properties": { "region": region },
            "timestamp": "2026-06-10T10:00:00Z" })
    };
    let mut events: Vec<Value> = (0..8).map(|number| event(number, "eu")).collect();
    events.extend((8..13).map(|number| event(number, "us")));
    events.push(json!({ "id": "b1", "customer": customer, "meter": "bytes", "properties": { "bytes": "250.5" },
        "timestamp": "2026-06-10T10:00:00Z" }));
    assert_eq!(client.post("/v1/usage_events", &json!({ "events": events })).await.ok()["accepted"], 14);
    let traces = platform.traces(&client.tenant).await;
    let usage = client.get(&path("usage")).await.ok();
    // The maximum is that of the whole month, and used up in order.
    let expected = [
        r#"calls eu 8 80 until "2026-07-01""#,
        r#"calls us 5 20 until "2026-07-01""#,
        r#"bytes - 250.5 251 until "2027-06-01""#,
    ];
    assert_eq!(rows(&usage), expected);
    let first = &usage["data"][0];
    assert_eq!((&first["meter"], &first["currency"]), (&json!("calls"), &json!("usd")));
    assert_eq!((&first["from"], &first["to"]), (&json!("2026-06-01T00:00:00Z"), &json!("2026-06-16T12:00:00Z")));

    let upcoming = client.get(&path("upcoming_invoice")).await.ok();
    assert_eq!((&upcoming["boundary"], &upcoming["reason"]), (&json!("2026-07-01"), &json!("period")));
    assert_eq!((&upcoming["subtotal_minor"], &upcoming["total_minor"]), (&json!(2100), &json!(2310)));
    assert_eq!(platform.traces(&client.tenant).await, traces);

    client.advance("2026-07-01T00:00:00Z").await;
    client.post(&path("pause"), &json!({})).await.ok();
    let invoice = client.get("/v1/invoices").await.ok()["data"][0].clone();
    for field in ["lines", "reason", "issued_at", "period", "tax_minor", "total_minor"] {
        assert_eq!(invoice[field], upcoming[field], "{field}");
    }

    // Paused, what was billed in advance comes back; over, there is no invoice at all.
    let upcoming = client.get(&path("upcoming_invoice")).await.ok();
    assert_eq!((&upcoming["subtotal_minor"], &upcoming["total_minor"]), (&json!(-2000), &json!(0)));
    assert_eq!(upcoming["credited_minor"], 2200);
    client.post(&path("cancel"), &json!({ "when": "now" })).await.ok();
    client.get(&path("upcoming_invoice")).await.problem(404, "not_found");
    assert_eq!(client.get(&path("usage")).await.ok()["data"], json!([]));
}

#[tokio::test]
async fn a_free_trial_has_no_usage_to_show() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-06-10T12:00:00Z" })).await;
    client.catalogue().await;
    let customer = client.customer("ada").await;
    let body = json!({ "customer": customer, "plan": "pro", "trial_days": 14, "start_at": "2026-06-01T00:00:00Z" });
    let id = client.create("/v1/subscriptions", &body).await;
    assert_eq!(client.get(&format!("/v1/subscriptions/{id}/usage")).await.ok()["data"], json!([]));
    let upcoming = client.get(&format!("/v1/subscriptions/{id}/upcoming_invoice")).await.ok();
    assert_eq!((&upcoming["boundary"], &upcoming["total_minor"]), (&json!("2026-06-15"), &json!(2000)));

    // A month that turns within a trial bills nothing.
    let body = json!({ "customer": client.customer("bob").await, "plan": "pro", "trial_days": 40,
        "billing_cycle": "calendar" });
    let id = client.create("/v1/subscriptions", &body).await;
    let upcoming = client.get(&format!("/v1/subscriptions/{id}/upcoming_invoice")).await.ok();
    assert_eq!((&upcoming["boundary"], &upcoming["lines"]), (&json!("2026-07-01"), &json!([])));
    assert_eq!((&upcoming["reason"], &upcoming["total_minor"]), (&json!("period"), &json!(0)));
}

#[tokio::test]
async fn a_preview_says_what_a_creation_bills() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-06-16T12:00:00Z" })).await;
    client.catalogue().await;
    client.create("/v1/coupons", &json!({ "key": "ten", "percent_off": "10", "duration": "once" })).await;
    let body = json!({ "name": "Ada", "email": "ada@customers.example", "timezone": "Asia/Tokyo",
        "tax_rates": [{ "name": "VAT", "percent": "10" }] });
    let customer = client.create("/v1/customers", &body).await;
    let traces = platform.traces(&client.tenant).await;
    let mut body = json!({ "customer": customer, "plan": "pro", "billing_cycle": "calendar", "coupons": ["ten"] });
    let preview = client.post("/v1/invoices/preview", &body).await.ok();
    // Half of 20.00, less a tenth, and tax on the rest.
    assert_eq!((&preview["subtotal_minor"], &preview["total_minor"]), (&json!(1000), &json!(990)));
    assert_eq!((&preview["customer"], &preview["subscription"]), (&json!(customer), &json!(null)));

    let mut prospect = json!({ "currency": "usd", "timezone": "Asia/Tokyo",
        "tax_rates": [{ "name": "VAT", "percent": "10" }], "plan": "pro", "billing_cycle": "calendar",
        "coupons": ["ten"] });
    let other = client.post("/v1/invoices/preview", &prospect).await.ok();
    assert_eq!((&other["customer"], &other["lines"]), (&json!(null), &preview["lines"]));
    prospect["currency"] = json!("eur");
    let problem = client.post("/v1/invoices/preview", &prospect).await.problem(422, "currency_mismatch");
    assert_eq!(problem["errors"][0]["pointer"], "/plan");
    prospect["customer"] = json!(customer);
    let problem = client.post("/v1/invoices/preview", &prospect).await.problem(422, "rule_violated");
    assert_eq!(problem["errors"][0]["pointer"], "/currency");
    assert_eq!(platform.traces(&client.tenant).await, traces);

    client.create("/v1/subscriptions", &body).await;
    let invoice = client.get("/v1/invoices").await.ok()["data"][0].clone();
    for field in ["lines", "reason", "issued_at", "period", "discount_minor", "tax_minor", "total_minor"] {
        assert_eq!(invoice[field], preview[field], "{field}");
    }
    body["customer"] = json!("cus_none");
    client.post("/v1/invoices/preview", &body).await.problem(422, "unknown_customer");
}
