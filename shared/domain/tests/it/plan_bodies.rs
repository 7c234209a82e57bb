//! The bodies of plans: what is accepted, and how what is not is named.

use domain::{Interval, Meter, Plan, PlanSpec, SpecError, TrialUsage};
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
    expected["trial_days"] = json!(0);
    expected["trial_usage"] = json!("free");
    expected["minimum_commitment_minor"] = json!(0);
    for tier in expected["prices"][1]["model"]["tiers"].as_array_mut().unwrap() {
        tier["flat_amount"] = json!("0");
    }
    assert_eq!(serde_json::to_value(&plan).unwrap(), expected);
    assert_eq!(plan.meters().collect::<Vec<_>>(), ["lines"]);
    assert_eq!(plan.describe(&plan.prices()[0]), "Dev, Base");
}

/// "The last tier is open-ended (`up_to: null`), the others ascend without gaps."
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
    for (interval, longest) in [("day", 3650), ("week", 520), ("quarter", 40), ("year", 10)] {
        let mut longest_period = with("/interval", json!(interval));
        longest_period["interval_count"] = json!(longest);
        assert!(Plan::try_from(serde_json::from_value::<PlanSpec>(longest_period.clone()).unwrap()).is_ok());
        longest_period["interval_count"] = json!(longest + 1);
        assert_eq!(violation(longest_period), format!("interval_count must be between 1 and {longest}"));
    }
}

#[test]
fn what_is_no_plan_at_all_is_refused() {
    let cases = [
        (with("/prices/0/model", json!({ "type": "flat", "amount": 20 })), "invalid type: integer `20`"),
        (with("/prices/0/model", json!({ "type": "flat", "amount": "1e3" })), "must be a decimal number"),
        (with("/prices/0/model", json!({ "type": "free" })), "unknown variant `free`"),
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

/// A body with one price of usage with these fields besides.
fn usage(fields: Value) -> Value {
    let mut body = with(
        "/prices",
        json!([{ "key": "calls", "kind": "usage", "meter": "calls", "timing": "arrears",
        "model": { "type": "per_unit", "unit_amount": "1" } }]),
    );
    let price = body["prices"][0].as_object_mut().unwrap();
    price.extend(fields.as_object().unwrap().clone());
    body
}

fn model(model: Value) -> Value {
    usage(json!({ "model": model }))
}

#[test]
fn every_model_is_written_as_it_was_read_with_its_defaults() {
    let models = [
        json!({ "type": "flat", "amount": "49.00" }),
        json!({ "type": "per_unit", "unit_amount": "0.10" }),
        json!({ "type": "graduated", "tiers": [
            { "up_to": "10", "unit_amount": "1", "flat_amount": "2" }, { "up_to": null, "unit_amount": "0", "flat_amount": "0" } ] }),
        json!({ "type": "volume", "tiers": [{ "up_to": null, "unit_amount": "1", "flat_amount": "0.5" }] }),
        json!({ "type": "package", "package_size": "100", "package_amount": "5", "free_units": "100" }),
        json!({ "type": "percentage", "percent": "1.3", "fixed_amount": "2", "free_events": 3, "free_amount": "250",
            "min_amount_per_event": "0", "max_amount_per_event": "10.00" }),
        json!({ "type": "graduated_percentage", "tiers": [{ "up_to": null, "percent": "1000", "flat_amount": "0" }] }),
        json!({ "type": "dynamic", "multiplier": "1.33333" }),
    ];
    for written in models {
        let plan: Plan = serde_json::from_value(model(written.clone())).unwrap();
        assert_eq!(serde_json::to_value(&plan.prices()[0].model).unwrap(), written);
        assert_eq!(serde_json::to_value(&plan).unwrap()["prices"][0]["model"], written);
        assert_eq!(serde_json::from_value::<Plan>(serde_json::to_value(&plan).unwrap()).unwrap(), plan);
    }
    let least = json!({ "type": "percentage", "percent": "1", "free_events": null, "free_amount": null });
    let plan: Plan = serde_json::from_value(model(least)).unwrap();
    let full = json!({ "type": "percentage", "percent": "1", "fixed_amount": "0" });
    assert_eq!(serde_json::to_value(plan.spec()).unwrap()["prices"][0]["model"], full);
}

#[test]
fn what_does_not_fit_a_model_is_named_by_path() {
    let tiers = |name: &str, tier: Value| json!({ "type": name, "tiers": [{ "up_to": "1" }, tier] });
    let cases = [
        (json!({ "type": "flat" }), "amount is required"),
        (json!({ "type": "flat", "amount": "1", "free_units": "1" }), "free_units means nothing for a flat model"),
        (json!({ "type": "flat", "amount": "1", "tiers": [] }), "tiers means nothing for a flat model"),
        (json!({ "type": "per_unit" }), "unit_amount is required"),
        (json!({ "type": "graduated" }), "tiers is required"),
        (tiers("volume", json!({ "up_to": "1" })), "tiers[1].up_to must be null in the last tier"),
        (
            tiers("graduated", json!({ "up_to": null, "percent": "1" })),
            "tiers[1].percent means nothing in a tier of units",
        ),
        (json!({ "type": "volume", "tiers": [{ "up_to": "0" }, { "up_to": null }] }), "tiers[0].up_to must be above 0"),
        (json!({ "type": "package", "package_amount": "1" }), "package_size is required"),
        (json!({ "type": "package", "package_size": "0", "package_amount": "1" }), "package_size must be above 0"),
        (json!({ "type": "package", "package_size": "1" }), "package_amount is required"),
        (
            json!({ "type": "package", "package_size": "1", "package_amount": "1", "free_units": "-1" }),
            "free_units must not be negative",
        ),
        (json!({ "type": "percentage" }), "percent is required"),
        (
            json!({ "type": "percentage", "percent": "1000.1" }),
            "percent must be between 0 and 1000, with at most 6 digits after the point",
        ),
        (
            json!({ "type": "percentage", "percent": "0.0000001" }),
            "percent must be between 0 and 1000, with at most 6 digits after the point",
        ),
        (
            json!({ "type": "percentage", "percent": "1", "min_amount_per_event": "2", "max_amount_per_event": "1" }),
            "min_amount_per_event must not be above max_amount_per_event",
        ),
        (tiers("graduated_percentage", json!({ "up_to": null })), "tiers[0].percent is required"),
        (
            json!({ "type": "graduated_percentage", "tiers": [{ "up_to": null, "percent": "1", "unit_amount": "1" }] }),
            "tiers[0].unit_amount means nothing for a graduated_percentage model",
        ),
        (json!({ "type": "dynamic" }), "multiplier is required"),
        (json!({ "type": "dynamic", "multiplier": "-1" }), "multiplier must not be negative"),
    ];
    for (body, expected) in cases {
        assert_eq!(violation(model(body)), format!("prices[0].model.{expected}"));
    }
}

#[test]
fn what_cannot_be_read_is_named_by_path() {
    let percentage = |field: &str, value: Value| {
        let mut body = json!({ "type": "percentage", "percent": "1" });
        body[field] = value;
        model(body)
    };
    let tier = "prices[1].model.tiers[2]";
    let cases = [
        (with("/prices/1/model/tiers/2/up_to", json!(5)), format!("{tier}.up_to"), "invalid type: integer `5`"),
        (with("/prices/1/model/tiers/2/unit_amount", json!("1e3")), format!("{tier}.unit_amount"), "must be a decimal"),
        (
            with("/prices/1/model/tiers/2", json!({ "up_to": null, "amount": "1" })),
            format!("{tier}.amount"),
            "unknown field `amount`",
        ),
        (with("/prices/1/model/tiers", json!("many")), "prices[1].model.tiers".to_owned(), "invalid type: string"),
        (with("/prices/0/model/type", json!("free")), "prices[0].model.type".to_owned(), "unknown variant `free`"),
        (
            with("/prices/0/model", json!({ "type": "flat", "price": "1" })),
            "prices[0].model.price".to_owned(),
            "unknown field `price`",
        ),
        (percentage("free_events", json!(2.5)), "prices[0].model.free_events".to_owned(), "expected a whole number"),
        (percentage("percent", json!(1)), "prices[0].model.percent".to_owned(), "invalid type: integer `1`"),
        (
            usage(json!({ "filters": [{ "property": "region", "value": "eu" }] })),
            "prices[0].filters[0].value".to_owned(),
            "unknown field `value`",
        ),
        (
            usage(json!({ "tax_rates": [{ "name": "VAT", "percent": 20 }] })),
            "prices[0].tax_rates[0].percent".to_owned(),
            "invalid type: integer `20`",
        ),
        (usage(json!({ "interval": "hour" })), "prices[0].interval".to_owned(), "unknown variant `hour`"),
    ];
    for (body, path, rule) in cases {
        let error = serde_path_to_error::deserialize::<_, PlanSpec>(body).unwrap_err();
        assert_eq!(error.path().to_string(), path);
        assert!(error.inner().to_string().contains(rule), "{error}");
    }
    let counted: PlanSpec = serde_json::from_value(percentage("free_events", json!("3"))).unwrap();
    assert_eq!(counted.prices[0].model.free_events, Some(3));
}

#[test]
fn a_price_has_its_own_limits() {
    let cases = [
        (
            usage(json!({ "filters": [{ "property": " ", "values": ["a"] }] })),
            "filters[0].property must be one line of",
        ),
        (usage(json!({ "filters": [{ "property": "a", "values": [] }] })), "filters[0].values must be 1 to 100 values"),
        (
            usage(json!({ "filters": [{ "property": "a", "values": ["1"] }, { "property": "a", "values": ["1"] }] })),
            "filters[1].property `a` is used twice",
        ),
        (usage(json!({ "group_by": ["a", "b", "c", "d"] })), "group_by must be at most 3 properties"),
        (usage(json!({ "group_by": ["a", "a"] })), "group_by[1] `a` is used twice"),
        (
            usage(json!({ "tax_rates": [{ "name": "VAT", "percent": "101" }] })),
            "tax_rates[0].percent must be between 0 and 100",
        ),
        (usage(json!({ "interval": "quarter" })), "interval must not be longer than the plan's period"),
        (
            usage(json!({ "kind": "fixed", "meter": null, "group_by": ["a"] })),
            "group_by means nothing unless the kind is usage",
        ),
        (
            usage(json!({ "kind": "licensed", "meter": null, "filters": [{ "property": "a", "values": ["1"] }] })),
            "filters means nothing unless the kind is usage",
        ),
        (
            usage(json!({ "kind": "fixed", "meter": null, "model": { "type": "percentage", "percent": "1" } })),
            "model.type must be another unless the kind is usage",
        ),
    ];
    for (body, expected) in cases {
        let error = violation(body);
        assert!(error.starts_with(&format!("prices[0].{expected}")), "{error}");
    }
    let full = json!({ "interval": "month", "filters": [{ "property": "region", "values": ["eu", "us"] }],
        "group_by": ["model", "region"], "tax_rates": [], "min_amount_minor": null, "max_amount_minor": null });
    let plan: Plan = serde_json::from_value(usage(full)).unwrap();
    let price = plan.price("calls").unwrap();
    assert_eq!(
        (price.group_by.len(), price.filters[0].values.len(), price.tax_rates.as_deref()),
        (2, 2, Some(&[][..]))
    );
    assert_eq!(plan.price("base"), None);
}

#[test]
fn a_prices_own_period_fits_into_the_plans() {
    let fits = |own: &str, interval: &str, count: u16| {
        let mut body = usage(json!({ "interval": own }));
        (body["interval"], body["interval_count"]) = (json!(interval), json!(count));
        let plan = Plan::try_from(serde_json::from_value::<PlanSpec>(body).unwrap());
        plan.map(|plan| plan.prices()[0].every(&plan).interval)
    };
    assert_eq!(fits("month", "year", 1), Ok(Interval::Month));
    assert_eq!(fits("month", "month", 1), Ok(Interval::Month));
    assert_eq!(fits("quarter", "month", 3), Ok(Interval::Quarter));
    assert_eq!(fits("week", "month", 1), Ok(Interval::Week));
    assert_eq!(fits("month", "day", 31), Ok(Interval::Month));
    for (own, interval, count) in
        [("month", "day", 30), ("month", "week", 4), ("year", "quarter", 3), ("week", "day", 6)]
    {
        let error = fits(own, interval, count).unwrap_err();
        assert_eq!(error.path, "prices[0].interval", "{own} in {count} {interval}");
    }
}

#[test]
fn a_trial_and_a_commitment_belong_to_the_plan() {
    let plan: Plan = serde_json::from_value(body()).unwrap();
    let terms = |plan: &Plan| (plan.trial_days(), plan.trial_usage(), plan.minimum_commitment_minor());
    assert_eq!(terms(&plan), (0, TrialUsage::Free, 0));
    let mut trial = body();
    trial["trial_days"] = json!(14);
    trial["trial_usage"] = json!("billed");
    trial["minimum_commitment_minor"] = json!(100_000);
    let plan: Plan = serde_json::from_value(trial.clone()).unwrap();
    assert_eq!(terms(&plan), (14, TrialUsage::Billed, 100_000));
    trial["minimum_commitment_minor"] = json!(-1);
    assert_eq!(violation(trial.clone()), "minimum_commitment_minor must not be negative");
    trial["trial_days"] = json!(3651);
    assert_eq!(violation(trial), "trial_days must be between 0 and 3650");
}

#[test]
fn a_percentage_is_of_a_sum() {
    let meter = |aggregation: &str, property: Option<&str>| -> Meter {
        let body = json!({ "key": "calls", "aggregation": aggregation, "value_property": property });
        serde_json::from_value(body).unwrap()
    };
    let (count, sum) = (meter("count", None), meter("sum", Some("value")));
    let check = |body: Value, meter: Option<&Meter>| {
        let plan: Plan = serde_json::from_value(body).unwrap();
        plan.check_meters(|_| meter).map_err(|SpecError { path, rule }| format!("{path} {rule}"))
    };
    let percentage = || model(json!({ "type": "percentage", "percent": "1" }));
    assert_eq!(check(percentage(), Some(&sum)), Ok(()));
    let rule = "prices[0].meter `calls` is no sum, and a percentage model is of a sum's value";
    assert_eq!(check(percentage(), Some(&count)), Err(rule.to_owned()));
    let tiers = json!({ "type": "graduated_percentage", "tiers": [{ "up_to": null, "percent": "1" }] });
    assert!(check(model(tiers), Some(&count)).is_err());
    assert_eq!(check(usage(json!({})), Some(&count)), Ok(()));
    assert_eq!(check(model(json!({ "type": "dynamic", "multiplier": "1" })), Some(&sum)), Ok(()));
    assert_eq!(check(body(), None), Err("prices[1].meter `lines` is no meter".to_owned()));
}
