//! Usage that comes late: the period is rated again as a whole, less all that was billed for it.

use serde_json::{Value, json};

use crate::story::{act, plan, scenario, told, totals, with};

/// A price of 0.10 a call, with other fields over it.
fn calls(fields: Value) -> Value {
    let price = json!({ "key": "calls", "kind": "usage", "timing": "arrears", "meter": "calls",
        "model": { "type": "per_unit", "unit_amount": "0.10" } });
    with(price, fields)
}

fn meter(fields: Value) -> Value {
    with(json!({ "key": "calls", "aggregation": "sum", "value_property": "value" }), fields)
}

/// A subscription since January, and its usage.
fn story(plan: Value, mut timeline: Vec<Value>, until: &str) -> Value {
    timeline.insert(0, act("2024-01-01", "subscribe", json!({ "subscription": "s1", "plan": "p" })));
    with(scenario(vec![plan], timeline, until), json!({ "meters": [meter(json!({}))] }))
}

fn usage(at: &str, received_at: &str, value: &str, region: &str) -> Value {
    let properties = json!({ "value": value, "region": region });
    let usage = json!({ "subscription": "s1", "meter": "calls", "properties": properties });
    act(at, "usage", with(usage, json!({ "received_at": format!("{received_at}T00:00:00Z") })))
}

#[test]
fn what_a_minimum_added_to_groups_is_taken_up_first() {
    let price = calls(json!({ "group_by": ["region"], "min_amount_minor": 10000 }));
    let told = told(&story(
        plan("p", "month", vec![price]),
        vec![
            usage("2024-01-10", "2024-01-10", "300", "eu"),
            usage("2024-01-10", "2024-01-10", "200", "us"),
            usage("2024-01-11", "2024-02-10", "100", "us"),
            usage("2024-01-12", "2024-03-10", "900", "eu"),
        ],
        "2024-04-01",
    ));
    // 30 + 20 + 50 missing; 10 later, so that 40 are missing; 90 more, so that nothing is. Each month has its own minimum.
    assert_eq!(totals(&told), [10_000, 10_000, 10_000 + 5_000]);
}

#[test]
fn what_a_commitment_added_is_given_back_as_far_as_it_is_missing_no_more() {
    let body = with(plan("p", "month", vec![calls(json!({}))]), json!({ "minimum_commitment_minor": 10000 }));
    let told = told(&story(
        body,
        vec![
            usage("2024-01-10", "2024-01-10", "600", "eu"),
            usage("2024-01-11", "2024-02-10", "300", "eu"),
            usage("2024-01-12", "2024-03-10", "500", "eu"),
        ],
        "2024-04-01",
    ));
    // 60 + 40 missing; 30 late less 30 of the 40; 50 late less the other 10. Later months' commitments are whole.
    assert_eq!(totals(&told), [10_000, 10_000, 10_000 + 4_000]);
}

#[test]
fn late_usage_counts_towards_the_commitment_that_is_under_way() {
    let price = calls(json!({ "interval": "month" }));
    let body = with(plan("p", "year", vec![price]), json!({ "minimum_commitment_minor": 10000 }));
    let told = told(&story(body, vec![usage("2024-01-10", "2024-03-10", "600", "eu")], "2025-01-01"));
    assert_eq!(totals(&told), [6_000, 4_000], "the year lacks what no month has used, late or not");
}

#[test]
fn a_draft_takes_what_comes_late_once_also_when_the_next_period_ends_before_it() {
    let story = story(
        plan("p", "day", vec![calls(json!({}))]),
        vec![
            usage("2024-01-01", "2024-01-01", "10", "eu"),
            usage("2024-01-01", "2024-01-03", "20", "eu"),
            usage("2024-01-01", "2024-01-09", "1000", "eu"),
        ],
        "2024-01-12",
    );
    let story = with(story, json!({ "customer": { "currency": "usd", "invoice_grace_days": 5 } }));
    let told = told(&story);
    // The first day is a draft from the 2nd to the 7th; another day ends at the very moment at which the second event comes.
    assert_eq!(totals(&told), [300, 10_000]);
}

#[test]
fn a_draft_whose_usage_is_corrected_away_ends_without_lines() {
    let event = |id: &str, value: &str, rest: Value| {
        let usage = json!({ "subscription": "s1", "meter": "calls", "id": id, "properties": { "value": value } });
        act("2024-01-10", "usage", with(usage, rest))
    };
    let away = json!({ "replaces": "one", "received_at": "2024-02-02T00:00:00Z" });
    let timeline = vec![event("one", "10", json!({})), event("two", "0", away)];
    let story = story(plan("p", "month", vec![calls(json!({}))]), timeline, "2024-02-10");
    let told = told(&with(story, json!({ "customer": { "currency": "usd", "invoice_grace_days": 5 } })));
    assert_eq!(totals(&told), [0]);
    assert!(told.invoices[0].lines.is_empty());
}
