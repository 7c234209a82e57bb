//! What it costs to tell a story: `cargo bench -p simulation`.

use divan::{Bencher, black_box};
use serde_json::{Value, json};
use simulation::{Scenario, simulate};

fn main() {
    divan::main();
}

/// Ten years of months, the first one included.
const INVOICES: usize = 121;

/// Ten years of a monthly plan: a fee and seats in advance, graduated usage in arrears, reported so many times a month.
fn ten_years(events_a_month: usize) -> Vec<u8> {
    let mut timeline = vec![json!({
        "at": "2014-01-31T05:00:00Z", "do": "subscribe", "subscription": "s1", "plan": "pro", "quantities": { "seats": "5" },
    })];
    for month in 0..INVOICES - 1 {
        timeline.extend((0..events_a_month).map(|number| event(month, number)));
    }
    let scenario = json!({
        "customer": { "currency": "usd", "timezone": "America/Bogota", "tax_rates": [{ "name": "VAT", "percent": "19" }] },
        "meters": [{ "key": "calls", "aggregation": "sum", "value_property": "value" }],
        "plans": [{ "key": "pro", "currency": "usd", "interval": "month", "prices": [
            { "key": "base", "kind": "fixed", "timing": "advance", "model": { "type": "flat", "amount": "49.00" } },
            { "key": "seats", "kind": "licensed", "timing": "advance",
              "model": { "type": "per_unit", "unit_amount": "10.00" } },
            { "key": "calls", "kind": "usage", "meter": "calls", "timing": "arrears",
              "model": { "type": "graduated", "tiers": [
                  { "up_to": "1000", "unit_amount": "0.01" }, { "up_to": null, "unit_amount": "0.005" } ] } },
        ] }],
        "timeline": timeline,
        "until": "2024-01-31T05:00:00Z",
    });
    scenario.to_string().into_bytes()
}

/// An event on one of the first 28 days of a month.
fn event(month: usize, number: usize) -> Value {
    let (year, month, day) = (2014 + (month + 1) / 12, (month + 1) % 12 + 1, number % 28 + 1);
    json!({ "at": format!("{year}-{month:02}-{day:02}T12:00:00Z"), "do": "usage", "subscription": "s1", "meter": "calls",
            "properties": { "value": "12.5" } })
}

fn scenario(events_a_month: usize) -> Scenario {
    let scenario = Scenario::parse(&ten_years(events_a_month)).expect("a scenario");
    assert_eq!(simulate(&scenario).expect("a story").invoices.len(), INVOICES);
    scenario
}

#[divan::bench(args = [0, 10, 100])]
fn ten_years_of_months(bencher: Bencher<'_, '_>, events_a_month: usize) {
    let scenario = scenario(events_a_month);
    bencher.bench_local(|| simulate(black_box(&scenario)));
}

#[divan::bench(args = [0, 10, 100])]
fn reading_them(bencher: Bencher<'_, '_>, events_a_month: usize) {
    let json = ten_years(events_a_month);
    bencher.bench_local(|| Scenario::parse(black_box(&json)));
}
