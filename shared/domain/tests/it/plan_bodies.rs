//! The bodies of plans: what is accepted, and how what is not is named.

use domain::{Plan, PlanSpec};
use serde_json::{Value, json};

fn body() -> Value {
    json!({
        "key": "dev", "name": "Dev", "currency": "usd", "interval": "month",
        "prices": [
            { "key": "base", "kind": "fixed", "timing": "advance", "model": { "type": "flat", "amount": "20.00" } },
            { "key": "lines", "kind": "usage", "meter": "lines", "timing": "arrears", "max_amount_minor": 50000,
              "model": { "type": "graduated", "tiers": [
                { "up_to": "1000", "unit_amount": "0" },
                { "up_to": "10000", "unit_amount": "0.01" },
                { "up_to": null, "unit_amount": "0.002" } ] } },
        ],
    })
}

/// The body with one value replaced.
fn with(pointer: &str, value: Value) -> Value {
    let mut body = body();
    *body.pointer_mut(pointer).unwrap() = value;
    body
}

/// The violation of a rule.
fn violation(body: Value) -> String {
    let spec: PlanSpec = serde_json::from_value(body).unwrap();
    Plan::try_from(spec).unwrap_err().to_string()
}

#[test]
fn a_plan_is_written_as_it_was_read() {
    let plan: Plan = serde_json::from_value(body()).unwrap();
    let mut expected = body();
    expected["interval_count"] = json!(1);
    for tier in expected["prices"][1]["model"]["tiers"].as_array_mut().unwrap() {
        tier["flat_amount"] = json!("0");
    }
    assert_eq!(serde_json::to_value(&plan).unwrap(), expected);
    assert_eq!(plan.meters().collect::<Vec<_>>(), ["lines"]);
    assert_eq!(plan.describe(&plan.prices()[0]), "Dev, Base");
}

#[test]
fn violated_rules_are_named_by_path() {
    let tiers = "/prices/1/model/tiers";
    let cases = [
        (with("/key", json!("Dev")), "key must be 1 to 64 lower-case letters, digits, `_` or `-`"),
        (with("/name", json!("")), "name must be one line of 1 to 200 characters"),
        (with("/prices", json!([])), "prices must be 1 to 100 prices"),
        (with("/prices/1/key", json!("base")), "prices[1].key `base` is used twice"),
        (with("/prices/0/kind", json!("usage")), "prices[0].meter is required for usage"),
        (with("/prices/1/kind", json!("licensed")), "prices[1].meter means nothing unless the kind is usage"),
        (
            with("/prices/1/timing", json!("advance")),
            "prices[1].timing must be arrears: usage is known after its period",
        ),
        (with("/prices/1/max_amount_minor", json!(-1)), "prices[1].max_amount_minor must not be negative"),
        (with("/prices/0/model/amount", json!("-1")), "prices[0].model.amount must not be negative"),
        (with(tiers, json!([])), "prices[1].model.tiers must be 1 to 100 tiers"),
        (with(&format!("{tiers}/1/up_to"), json!("1000")), "prices[1].model.tiers[1].up_to must be above 1000"),
        (
            with(&format!("{tiers}/1/up_to"), Value::Null),
            "prices[1].model.tiers[1].up_to may be null in the last tier only",
        ),
        (
            with(&format!("{tiers}/2/up_to"), json!("20000")),
            "prices[1].model.tiers[2].up_to must be null in the last tier",
        ),
        (
            with(&format!("{tiers}/2/unit_amount"), json!("-0.1")),
            "prices[1].model.tiers[2].unit_amount must not be negative",
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(violation(body), expected);
    }
    let mut reversed = with("/prices/1/max_amount_minor", json!(1));
    reversed["prices"][1]["min_amount_minor"] = json!(2);
    assert_eq!(violation(reversed), "prices[1].min_amount_minor must not be above max_amount_minor");
    let mut long = body();
    long["interval_count"] = json!(121);
    assert_eq!(violation(long), "interval_count must be between 1 and 120");
}

#[test]
fn what_is_no_plan_at_all_is_refused() {
    let cases = [
        (with("/prices/0/model", json!({ "type": "flat", "amount": "1", "tiers": [] })), "unknown field `tiers`"),
        (with("/prices/0/model", json!({ "type": "flat", "amount": 20 })), "invalid type: integer `20`"),
        (with("/prices/0/model", json!({ "type": "flat", "amount": "1e3" })), "must be a decimal number"),
        (with("/prices/0/model", json!({ "type": "dynamic" })), "unknown variant `dynamic`"),
        (with("/currency", json!("USD")), "use a lower-case ISO 4217 code"),
        (with("/interval", json!("fortnight")), "unknown variant `fortnight`"),
        (with("/prices/1/model/tiers/0", json!({ "unit_amount": "1" })), "missing field `up_to`"),
    ];
    for (body, expected) in cases {
        let error = serde_json::from_value::<PlanSpec>(body).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let mut unknown = body();
    unknown["trial"] = json!(14);
    assert!(serde_json::from_value::<PlanSpec>(unknown).unwrap_err().to_string().contains("unknown field `trial`"));
    let mut never = body();
    never["interval_count"] = json!(0);
    assert!(serde_json::from_value::<PlanSpec>(never).unwrap_err().to_string().contains("nonzero"));
}
