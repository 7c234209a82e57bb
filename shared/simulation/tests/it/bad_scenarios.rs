//! Bad scenarios: one line, which names the exact place.

use serde_json::{Value, json};
use simulation::{MAX_SCENARIO_BYTES, Scenario};

/// A scenario in which nothing is wrong; the stories below break one thing each.
fn good() -> Value {
    json!({
        "customer": { "currency": "usd", "timezone": "America/Bogota",
                      "tax_rates": [{ "name": "VAT", "percent": "20" }], "tax_rounding": "line", "invoice_grace_days": 3 },
        "meters": [{ "key": "api_calls", "aggregation": "sum", "value_property": "value" }],
        "coupons": [
            { "key": "welcome", "percent_off": "10", "duration": "once" },
            { "key": "five", "amount_off_minor": 500, "duration": "forever", "applies_to": ["seats"] },
        ],
        "plans": [{
            "key": "pro", "name": "Pro", "currency": "usd", "interval": "month",
            "prices": [
                { "key": "seats", "kind": "licensed", "timing": "advance",
                  "model": { "type": "per_unit", "unit_amount": "10.00" } },
                { "key": "calls", "kind": "usage", "meter": "api_calls", "timing": "arrears",
                  "model": { "type": "graduated", "tiers": [
                      { "up_to": "1000", "unit_amount": "0.01", "flat_amount": "0" },
                      { "up_to": "2000", "unit_amount": "0.008" },
                      { "up_to": null, "unit_amount": "0.005" },
                  ] } },
            ],
        }],
        "timeline": [
            { "at": "2024-01-31T05:00:00Z", "do": "subscribe", "subscription": "s1", "plan": "pro",
              "billing_cycle": "anniversary", "quantities": { "seats": "5" }, "coupons": ["welcome"] },
            { "at": "2024-02-03T10:00:00Z", "do": "usage", "subscription": "s1", "meter": "api_calls", "id": "evt-1",
              "properties": { "value": "1200" }, "received_at": "2024-02-04T10:00:00Z" },
            { "at": "2024-02-05T00:00:00Z", "do": "change", "subscription": "s1", "quantities": { "seats": "7" }, "when": "now" },
            { "at": "2024-02-06T00:00:00Z", "do": "pause", "subscription": "s1" },
            { "at": "2024-02-07T00:00:00Z", "do": "resume", "subscription": "s1" },
            { "at": "2024-02-08T00:00:00Z", "do": "apply_coupon", "subscription": "s1", "coupon": "five" },
            { "at": "2024-02-09T00:00:00Z", "do": "credit_balance", "amount_minor": 2000 },
            { "at": "2024-02-10T00:00:00Z", "do": "top_up_wallet", "amount_minor": 5000, "applies_to": ["calls"],
              "expires_at": "2025-01-01T00:00:00Z" },
            { "at": "2024-02-11T00:00:00Z", "do": "one_off", "lines": [
                { "key": "setup", "unit_amount": "100.00", "tax_rates": [{ "name": "VAT", "percent": "7" }] } ] },
            { "at": "2024-02-12T00:00:00Z", "do": "credit_note", "invoice": 1, "lines": [{ "line": 1, "amount_minor": 100 }],
              "outcome": "refund" },
            { "at": "2024-02-13T00:00:00Z", "do": "credit_note", "invoice": 1, "all": true },
            { "at": "2024-02-14T00:00:00Z", "do": "pay", "invoice": 2, "outcome": "declined" },
            { "at": "2024-02-15T00:00:00Z", "do": "void", "invoice": 2 },
            { "at": "2024-02-16T00:00:00Z", "do": "finalize", "invoice": 3 },
            { "at": "2024-05-01T00:00:00Z", "do": "cancel", "subscription": "s1", "when": "period_end" },
        ],
        "until": "2024-06-30T00:00:00Z",
    })
}

fn error(json: &[u8]) -> String {
    let line = Scenario::parse(json).expect_err("a bad scenario").to_string();
    assert!(!line.contains(['\n', '\r']), "{line}");
    line
}

/// The error after the value at a pointer is another one; an object's member is added if it is not there.
fn with(pointer: &str, value: Value) -> String {
    let mut scenario = good();
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
    let parent = scenario.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
    match parent {
        Value::Array(elements) => elements[last.parse::<usize>().expect("an index")] = value,
        _ => parent[last] = value,
    }
    error(scenario.to_string().as_bytes())
}

/// The error after the member at a pointer is taken away.
fn without(pointer: &str) -> String {
    let mut scenario = good();
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
    let parent = scenario.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
    parent.remove(last).expect("a member");
    error(scenario.to_string().as_bytes())
}

#[test]
fn the_good_one_is_good() {
    assert!(
        Scenario::parse(good().to_string().as_bytes()).is_ok(),
        "{:?}",
        Scenario::parse(good().to_string().as_bytes())
    );
    let least = br#"{ "customer": { "currency": "jpy" }, "until": "2024-01-01T00:00:00Z" }"#;
    assert!(Scenario::parse(least).is_ok());
}

#[test]
fn what_is_no_json_is_named_by_its_position() {
    for (json, start) in [
        (&b""[..], "scenario is not JSON: EOF while parsing a value at line 1 column 0"),
        (b" ", "scenario is not JSON: EOF"),
        (b"{", "scenario is not JSON: EOF while parsing an object"),
        (b"{} {}", "scenario is not JSON: trailing characters at line 1 column 4"),
        (b"{,}", "scenario is not JSON: key must be a string"),
        (b"[1e999]", "scenario is not JSON: number out of range"),
        (b"\"\xff\"", "scenario is not JSON: invalid unicode"),
        (b"[]", "scenario must be an object"),
        (b"null", "scenario must be an object"),
        (b"{}", "customer is required"),
    ] {
        let line = error(json);
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn what_nests_too_deep_is_refused() {
    for open in ["[", "{\"a\":"] {
        let line = error(open.repeat(100_000).as_bytes());
        assert!(line.len() < 600, "{line}");
    }
    let line = error("{\"a\":".repeat(200).as_bytes());
    assert!(line.starts_with("scenario is not JSON: recursion limit exceeded"), "{line}");
}

#[test]
fn a_scenario_is_at_most_five_mebibytes_long() {
    let mut json = good().to_string();
    json.push_str(&" ".repeat(MAX_SCENARIO_BYTES - json.len()));
    assert!(Scenario::parse(json.as_bytes()).is_ok());
    json.push(' ');
    assert_eq!(error(json.as_bytes()), "scenario must be at most 5242880 bytes long");
}

#[test]
fn a_key_is_given_once() {
    let json = good().to_string();
    let twice = json.replace(r#""timezone""#, r#""currency":"eur","timezone""#);
    assert_eq!(error(twice.as_bytes()), "customer.currency is given twice");
    let twice = json.replace(r#""up_to":null"#, r#""up_to":"1","up_to":null"#);
    assert_eq!(error(twice.as_bytes()), "plans[0].prices[1].model.tiers[2].up_to is given twice");
}

#[test]
fn unknown_fields_are_named() {
    for (pointer, path) in [
        ("/nonsense", "nonsense"),
        ("/customer/nmae", "customer.nmae"),
        ("/customer/tax_rates/0/country", "customer.tax_rates[0].country"),
        ("/meters/0/unit", "meters[0].unit"),
        ("/coupons/1/off", "coupons[1].off"),
        ("/plans/0/colour", "plans[0].colour"),
        ("/plans/0/prices/1/modle", "plans[0].prices[1].modle"),
        ("/plans/0/prices/1/model/tiers/2/upto", "plans[0].prices[1].model.tiers[2].upto"),
        ("/timeline/8/lines/0/price", "timeline[8].lines[0].price"),
        ("/timeline/9/lines/0/tax_minor", "timeline[9].lines[0].tax_minor"),
        ("/customer/with space", "customer[\"with space\"]"),
        ("/customer/line\nbreak", "customer[\"line\\nbreak\"]"),
    ] {
        assert_eq!(with(pointer, json!(1)), format!("{path} is not a known field"));
    }
    for (entry, field, line) in [
        (0, "when", "timeline[0].when means nothing for `subscribe`"),
        (2, "coupon", "timeline[2].coupon means nothing for `change`"),
        (3, "plan", "timeline[3].plan means nothing for `pause`"),
        (6, "subscription", "timeline[6].subscription means nothing for `credit_balance`"),
        (14, "received_at", "timeline[14].received_at means nothing for `cancel`"),
    ] {
        assert_eq!(with(&format!("/timeline/{entry}/{field}"), json!("x")), line);
    }
}

#[test]
fn missing_fields_are_named() {
    for (pointer, path) in [
        ("/customer", "customer"),
        ("/until", "until"),
        ("/customer/currency", "customer.currency"),
        ("/customer/tax_rates/0/percent", "customer.tax_rates[0].percent"),
        ("/meters/0/key", "meters[0].key"),
        ("/plans/0/prices", "plans[0].prices"),
        ("/plans/0/prices/0/model", "plans[0].prices[0].model"),
        ("/plans/0/prices/0/model/type", "plans[0].prices[0].model.type"),
        ("/plans/0/prices/0/model/unit_amount", "plans[0].prices[0].model.unit_amount"),
        ("/plans/0/prices/1/model/tiers/1/up_to", "plans[0].prices[1].model.tiers[1].up_to"),
        ("/timeline/0/at", "timeline[0].at"),
        ("/timeline/0/do", "timeline[0].do"),
        ("/timeline/0/plan", "timeline[0].plan"),
        ("/timeline/1/properties", "timeline[1].properties"),
        ("/timeline/8/lines/0/unit_amount", "timeline[8].lines[0].unit_amount"),
        ("/timeline/11/outcome", "timeline[11].outcome"),
        ("/timeline/14/when", "timeline[14].when"),
    ] {
        let line = without(pointer);
        assert!(line.starts_with(&format!("{path} is required")), "{line}");
    }
    assert_eq!(without("/meters/0/value_property").split_once(' ').expect("words").0, "meters[0].value_property");
}

#[test]
fn values_of_the_wrong_type_are_named() {
    for (pointer, value, line) in [
        ("/customer", json!(["usd"]), "customer must be an object"),
        ("/customer", json!(null), "customer must be an object"),
        ("/customer/timezone", json!(5), "customer.timezone must be a string, not a number"),
        ("/customer/tax_rates", json!({}), "customer.tax_rates must be a list"),
        ("/customer/tax_rates/0", json!("VAT"), "customer.tax_rates[0] must be an object"),
        ("/customer/tax_rates/0/percent", json!(20), "customer.tax_rates[0].percent must be a string, not a number"),
        (
            "/customer/invoice_grace_days",
            json!("3"),
            "customer.invoice_grace_days must be a whole number from 0 to 65535",
        ),
        ("/plans", json!("pro"), "plans must be a list"),
        ("/plans/0", json!(1), "plans[0] must be an object"),
        ("/plans/0", json!(["pro", null, "usd"]), "plans[0] must not be a list: a list holds no lists"),
        (
            "/plans/0/prices/0/model/unit_amount",
            json!(10.5),
            "plans[0].prices[0].model.unit_amount must be a string, not a number",
        ),
        (
            "/plans/0/prices/1/model/tiers/2/unit_amount",
            json!(0.01),
            "plans[0].prices[1].model.tiers[2].unit_amount must be a string, not a number",
        ),
        (
            "/plans/0/prices/1/model/tiers/0/up_to",
            json!(1000),
            "plans[0].prices[1].model.tiers[0].up_to must be a string, not a number",
        ),
        ("/timeline", json!(null), "timeline must be a list"),
        ("/timeline/3", json!("pause"), "timeline[3] must be an object"),
        ("/timeline/0/do", json!(1), "timeline[0].do must be a string"),
        ("/timeline/0/at", json!(1706677200), "timeline[0].at must be a string, not a number"),
        ("/timeline/0/quantities/seats", json!(5), "timeline[0].quantities.seats must be a string, not a number"),
        ("/timeline/0/quantities", json!([5]), "timeline[0].quantities must be an object"),
        ("/timeline/1/properties/value", json!(1200), "timeline[1].properties.value must be a string, not a number"),
        ("/timeline/6/amount_minor", json!("20.00"), "timeline[6].amount_minor must be a whole number"),
        ("/timeline/6/amount_minor", json!(20.5), "timeline[6].amount_minor must be a whole number"),
        ("/timeline/9/invoice", json!(0), "timeline[9].invoice must be a whole number from 1"),
        ("/timeline/9/invoice", json!(-1), "timeline[9].invoice must be a whole number from 1"),
        ("/timeline/10/all", json!("true"), "timeline[10].all must be true or false"),
    ] {
        assert_eq!(with(pointer, value), line);
    }
}

#[test]
fn words_that_mean_nothing_are_named() {
    for (pointer, value, start) in [
        ("/timeline/0/do", "buy", "timeline[0].do must be one of `subscribe`, `change`, "),
        ("/timeline/0/billing_cycle", "monthly", "timeline[0].billing_cycle must be `anniversary` or `calendar`"),
        ("/timeline/2/when", "later", "timeline[2].when must be `now` or `period_end`"),
        ("/timeline/11/outcome", "refund", "timeline[11].outcome must be `succeeded` or `declined`"),
        ("/timeline/9/outcome", "declined", "timeline[9].outcome must be `balance` or `refund`"),
        ("/customer/tax_rounding", "up", "customer.tax_rounding must be `invoice` or `line`"),
        ("/customer/currency", "USD", "customer.currency `USD` is not a currency"),
        ("/customer/currency", "zzz", "customer.currency `zzz` is not a currency"),
        ("/plans/0/currency", "dollars", "plans[0].currency `dollars` is not a currency"),
        ("/customer/timezone", "Mars/Olympus", "customer.timezone `Mars/Olympus` is not an IANA time zone"),
        ("/plans/0/interval", "fortnight", "plans[0].interval must be "),
        ("/plans/0/prices/0/kind", "seat", "plans[0].prices[0].kind must be one of "),
        ("/plans/0/prices/1/model/type", "tiered", "plans[0].prices[1].model.type must be one of "),
        ("/meters/0/aggregation", "mean", "meters[0].aggregation must be "),
        ("/timeline/0/at", "2024-01-31", "timeline[0].at must be an instant such as 2024-01-31T05:00:00Z"),
        ("/timeline/1/received_at", "soon", "timeline[1].received_at must be an instant"),
        ("/until", "2024-06-31T00:00:00Z", "until must be an instant"),
        ("/until", "2999-01-01T00:00:00Z", "until must be in the years 1970 to 2199"),
        ("/until", "2124-03-01T00:00:00Z", "until must be within a hundred years of the first entry"),
        ("/timeline/0/quantities/seats", "1e3", "timeline[0].quantities.seats must be a decimal number"),
        (
            "/timeline/0/quantities/seats",
            "9999999999999999999",
            "timeline[0].quantities.seats must be a decimal number",
        ),
    ] {
        let line = with(pointer, json!(value));
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn rules_of_prices_are_named_by_their_place() {
    for (pointer, value, line) in [
        (
            "/plans/0/prices/1/model/tiers/1/up_to",
            json!("1000"),
            "plans[0].prices[1].model.tiers[1].up_to must be above 1000",
        ),
        (
            "/plans/0/prices/1/model/tiers/1/up_to",
            json!(null),
            "plans[0].prices[1].model.tiers[1].up_to may be null in the last tier only",
        ),
        (
            "/plans/0/prices/1/model/tiers/2/up_to",
            json!("3000"),
            "plans[0].prices[1].model.tiers[2].up_to must be null in the last tier",
        ),
        (
            "/plans/0/prices/1/model/tiers/0/unit_amount",
            json!("-1"),
            "plans[0].prices[1].model.tiers[0].unit_amount must not be negative",
        ),
        (
            "/plans/0/prices/0/model/unit_amount",
            json!("-0.01"),
            "plans[0].prices[0].model.unit_amount must not be negative",
        ),
        ("/plans/0/prices/1/model/tiers", json!([]), "plans[0].prices[1].model.tiers must be 1 to 100 tiers"),
        ("/plans/0/prices/1/key", json!("seats"), "plans[0].prices[1].key `seats` is used twice"),
        ("/plans/0/prices", json!([]), "plans[0].prices must be 1 to 100 prices"),
        (
            "/customer/tax_rates/0/percent",
            json!("120"),
            "customer.tax_rates[0].percent must be between 0 and 100, with at most 6 digits after the point",
        ),
    ] {
        assert_eq!(with(pointer, value), line);
    }
    assert!(with("/plans/0/interval_count", json!(1000)).starts_with("plans[0].interval_count must be "));
}

#[test]
fn numbers_keep_to_their_limits() {
    for (pointer, value, path) in [
        ("/customer/invoice_grace_days", json!(91), "customer.invoice_grace_days"),
        ("/timeline/0/anchor_day", json!(0), "timeline[0].anchor_day"),
        ("/timeline/0/anchor_day", json!(32), "timeline[0].anchor_day"),
        ("/timeline/0/trial_days", json!(40_000), "timeline[0].trial_days"),
        ("/timeline/0/trial_days", json!(-1), "timeline[0].trial_days"),
        ("/timeline/0/end_at", json!("2024-01-31T05:00:00Z"), "timeline[0].end_at"),
        ("/timeline/1/received_at", json!("2024-02-03T09:59:59Z"), "timeline[1].received_at"),
        ("/timeline/6/amount_minor", json!(0), "timeline[6].amount_minor"),
        ("/timeline/6/amount_minor", json!(-5), "timeline[6].amount_minor"),
        ("/timeline/7/amount_minor", json!(1_000_000_000_000_000_i64), "timeline[7].amount_minor"),
        ("/timeline/7/expires_at", json!("2024-02-10T00:00:00Z"), "timeline[7].expires_at"),
        ("/timeline/8/lines", json!([]), "timeline[8].lines"),
        ("/timeline/8/lines/0/unit_amount", json!("-1"), "timeline[8].lines[0].unit_amount"),
        ("/timeline/8/lines/0/quantity", json!("-1"), "timeline[8].lines[0].quantity"),
        ("/timeline/8/lines/0/description", json!("two\nlines"), "timeline[8].lines[0].description"),
        ("/timeline/9/lines/0/amount_minor", json!(-100), "timeline[9].lines[0].amount_minor"),
        (
            "/timeline/9/lines",
            json!([{ "line": 1, "amount_minor": 1 }, { "line": 1, "amount_minor": 1 }]),
            "timeline[9].lines[1].line",
        ),
        ("/timeline/10/all", json!(false), "timeline[10].lines"),
        ("/timeline/9/all", json!(true), "timeline[9].lines"),
        ("/timeline/0/subscription", json!("a\u{1b}[31m"), "timeline[0].subscription"),
    ] {
        let line = with(pointer, value);
        assert!(
            line.starts_with(&format!("{path} must ")) || line.contains("twice") || line.contains("means nothing"),
            "{line}"
        );
        assert_eq!(line.split_once(' ').expect("words").0, path);
    }
    let no_change = json!({ "at": "2024-02-05T00:00:00Z", "do": "change", "subscription": "s1" });
    assert_eq!(with("/timeline/2", no_change), "timeline[2] must have a plan or quantities to change to");
}

#[test]
fn what_is_named_exists_by_then() {
    for (pointer, value, line) in [
        ("/plans/0/currency", "eur", "plans[0].currency must be the customer's, usd"),
        ("/plans/0/prices/1/meter", "lines", "plans[0].prices[1].meter `lines` is no meter"),
        ("/coupons/1/applies_to/0", "chairs", "coupons[1].applies_to[0] is no price of the scenario: `chairs`"),
        ("/timeline/0/plan", "free", "timeline[0].plan is no plan of the scenario: `free`"),
        ("/timeline/0/coupons/0", "ten", "timeline[0].coupons[0] is no coupon of the scenario: `ten`"),
        ("/timeline/1/meter", "lines", "timeline[1].meter is no meter of the scenario: `lines`"),
        ("/timeline/1/subscription", "s2", "timeline[1].subscription `s2` has not been subscribed by then"),
        ("/timeline/2/plan", "free", "timeline[2].plan is no plan of the scenario: `free`"),
        ("/timeline/2/at", "2024-01-31T04:59:59Z", "timeline[2].subscription `s1` has not been subscribed by then"),
        ("/timeline/5/coupon", "ten", "timeline[5].coupon is no coupon of the scenario: `ten`"),
        ("/timeline/7/applies_to/0", "chairs", "timeline[7].applies_to[0] is no price of the scenario: `chairs`"),
        ("/timeline/14/subscription", "s2", "timeline[14].subscription `s2` has not been subscribed by then"),
    ] {
        assert_eq!(with(pointer, json!(value)), line);
    }
    let again = json!({ "at": "2024-02-06T00:00:00Z", "do": "subscribe", "subscription": "s1", "plan": "pro" });
    assert_eq!(with("/timeline/3", again), "timeline[3].subscription `s1` is subscribed already");
    let mut twice = good();
    let meter = good()["meters"][0].clone();
    twice["meters"] = json!([meter, meter]);
    assert_eq!(error(twice.to_string().as_bytes()), "meters[1].key `api_calls` is used twice");
}

#[test]
fn usage_may_be_there_before_its_subscription() {
    let mut early = good();
    early["timeline"][1]["at"] = json!("2024-01-01T00:00:00Z");
    early["timeline"][1]["received_at"] = json!(null);
    assert!(Scenario::parse(early.to_string().as_bytes()).is_ok());
}

#[test]
fn long_and_hostile_text_stays_one_short_line() {
    for line in [
        with("/customer/currency", json!("x\n\u{1b}[31m".repeat(10_000))),
        with("/timeline/0/plan", json!("x\n".repeat(10_000))),
        with(&format!("/customer/{}", "k".repeat(10_000)), json!(1)),
    ] {
        assert!(line.chars().count() < 500 && !line.contains('\u{1b}'), "{line}");
    }
}
