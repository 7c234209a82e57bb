//! Meters, plans and coupons: everything that can be said in them, and what is wrong with them, by its place.

use serde_json::{Value, json};

use crate::harness::{Client, Platform};

fn tier(up_to: Option<&str>, unit_amount: &str) -> Value {
    json!({ "up_to": up_to, "unit_amount": unit_amount, "flat_amount": "0" })
}

/// A price of usage by a model.
fn usage(key: &str, model: Value) -> Value {
    json!({ "key": key, "kind": "usage", "timing": "arrears", "meter": "bytes", "model": model })
}

/// A plan with every model and every field.
fn everything() -> Value {
    let percent_tiers = json!([{ "up_to": "100", "percent": "2", "flat_amount": "0.50" },
        { "up_to": null, "percent": "1", "flat_amount": "0" }]);
    let mut grouped = usage(
        "package",
        json!({ "type": "package", "package_size": "1000", "package_amount": "5",
        "free_units": "100" }),
    );
    grouped["interval"] = json!("month");
    grouped["filters"] = json!([{ "property": "tier", "values": ["gold", "silver"] }]);
    grouped["group_by"] = json!(["region"]);
    grouped["tax_rates"] = json!([{ "name": "VAT", "percent": "7" }]);
    grouped["min_amount_minor"] = json!(100);
    grouped["max_amount_minor"] = json!(5000);
    json!({
        "key": "all", "name": "All", "currency": "usd", "interval": "quarter", "interval_count": 2, "trial_days": 14,
        "trial_usage": "billed", "minimum_commitment_minor": 10000,
        "prices": [
            { "key": "base", "kind": "fixed", "timing": "advance", "tax_rates": [],
              "model": { "type": "flat", "amount": "49.00" } },
            { "key": "seats", "kind": "licensed", "timing": "arrears",
              "model": { "type": "volume", "tiers": [tier(Some("10"), "9"), tier(None, "8")] } },
            usage("each", json!({ "type": "per_unit", "unit_amount": "0.10" })),
            usage("steps", json!({ "type": "graduated", "tiers": [tier(Some("10"), "9"), tier(None, "8")] })),
            grouped,
            usage("fee", json!({ "type": "percentage", "percent": "2.9", "fixed_amount": "0.30", "free_events": 10,
                "free_amount": "100", "min_amount_per_event": "0.50", "max_amount_per_event": "20" })),
            usage("fees", json!({ "type": "graduated_percentage", "tiers": percent_tiers })),
            usage("cost", json!({ "type": "dynamic", "multiplier": "1.2" })),
        ],
    })
}

/// The same body with another value at a pointer; behind the end of a list it is appended.
fn with(body: &Value, pointer: &str, value: Value) -> Value {
    let mut body = body.clone();
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
    match (body.pointer_mut(parent).expect("its parent"), field.parse::<usize>()) {
        (Value::Array(items), Ok(index)) if index < items.len() => items[index] = value,
        (Value::Array(items), _) => items.push(value),
        (object, _) => object[field] = value,
    }
    body
}

async fn refused(client: &Client<'_>, path: &str, body: &Value, pointer: &str) {
    let problem = client.post(path, body).await.problem(422, "rule_violated");
    assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
}

#[tokio::test]
async fn what_is_written_is_what_is_read() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    for aggregation in ["sum", "max", "latest", "unique_count", "weighted_sum"] {
        let meter = json!({ "key": aggregation, "name": "M", "aggregation": aggregation, "value_property": "v",
            "filters": [{ "property": "region", "values": ["eu"] }], "recurring": true, "late_policy": "ignore" });
        let shown = client.post("/v1/meters", &meter).await.ok();
        assert_contains(&shown, &meter);
    }
    client.create("/v1/meters", &json!({ "key": "bytes", "aggregation": "sum", "value_property": "v" })).await;

    let plan = client.post("/v1/plans", &everything()).await.ok();
    assert_contains(&plan, &everything());
    let id = plan["id"].as_str().expect("an id");
    assert_eq!(client.get(&format!("/v1/plans/{id}")).await.ok(), plan);

    let coupon = json!({ "key": "five", "name": "Five", "amount_off_minor": 500, "currency": "usd",
        "duration": "repeating", "duration_periods": 3, "applies_to": ["base"], "applies_to_plans": ["all"] });
    let shown = client.post("/v1/coupons", &coupon).await.ok();
    assert_contains(&shown, &coupon);
    assert!(shown["id"].as_str().expect("an id").starts_with("cpn_"), "{shown}");
    let answer = client.get(&format!("/v1/coupons/{}", shown["id"].as_str().expect("an id"))).await;
    assert_eq!(answer.header("etag"), Some("\"r1\""));
    assert_eq!(answer.ok(), shown);
    assert_eq!(client.get("/v1/coupons").await.ok()["data"], json!([shown]));
    client.post("/v1/coupons", &coupon).await.problem(409, "key_taken");
}

/// Every field of `written` is in `shown`.
#[track_caller]
fn assert_contains(shown: &Value, written: &Value) {
    for (field, value) in written.as_object().expect("an object") {
        assert_eq!(&shown[field], value, "{field}");
    }
}

#[tokio::test]
async fn a_broken_rule_is_named_down_to_its_field() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/meters", &json!({ "key": "bytes", "aggregation": "sum", "value_property": "v" })).await;
    client.create("/v1/meters", &json!({ "key": "peak", "aggregation": "max", "value_property": "v" })).await;
    let plan = everything();
    for (pointer, value) in [
        ("/prices/3/model/tiers/0/up_to", json!(null)),
        ("/prices/3/model/tiers/1/up_to", json!("5")),
        ("/prices/1/model/tiers/1/unit_amount", json!("-1")),
        ("/prices/6/model/tiers/1/percent", json!("1001")),
        ("/prices/0/model/unit_amount", json!("1")),
        ("/prices/4/model/package_size", json!("0")),
        ("/prices/4/filters/0/values", json!([])),
        ("/prices/4/group_by/1", json!("region")),
        ("/prices/4/tax_rates/0/percent", json!("101")),
        ("/prices/4/interval", json!("year")),
        ("/prices/2/timing", json!("advance")),
        ("/prices/2/meter", json!("bits")),
        // A percentage is of a sum's value.
        ("/prices/5/meter", json!("peak")),
        ("/trial_days", json!(4000)),
        ("/minimum_commitment_minor", json!(-1)),
        ("/interval_count", json!(41)),
    ] {
        refused(&client, "/v1/plans", &with(&plan, pointer, value), pointer).await;
    }
    let meter = json!({ "key": "m", "aggregation": "max", "filters": [{ "property": "p", "values": ["v"] }] });
    refused(&client, "/v1/meters", &meter, "/value_property").await;
    let meter = with(&with(&meter, "/value_property", json!("v")), "/filters/0/property", json!(" "));
    refused(&client, "/v1/meters", &meter, "/filters/0/property").await;
    let coupon = json!({ "key": "c", "percent_off": "10", "duration": "once", "applies_to": ["a"] });
    for (pointer, value) in [
        ("/percent_off", json!("100.1")),
        ("/amount_off_minor", json!(1)),
        ("/duration_periods", json!(2)),
        ("/applies_to/0", json!("A")),
    ] {
        refused(&client, "/v1/coupons", &with(&coupon, pointer, value), pointer).await;
    }
    let traces = platform.traces(&client.tenant).await;
    assert_eq!((traces["plans"].len(), traces["coupons"].len(), traces["meters"].len()), (0, 0, 2));

    let unknown = with(&plan, "/prices/3/model/tiers/1/colour", json!("blue"));
    let problem = client.post("/v1/plans", &unknown).await.problem(400, "invalid_body");
    assert_eq!(problem["errors"][0]["pointer"], "/prices/3/model/tiers/1/colour", "{problem}");
    let number = with(&plan, "/prices/3/model/tiers/1/unit_amount", json!(8));
    let problem = client.post("/v1/plans", &number).await.problem(400, "invalid_body");
    assert_eq!(problem["errors"][0]["pointer"], "/prices/3/model/tiers/1/unit_amount", "{problem}");
}
