//! Worked examples of every model.

use serde_json::{Value, json};

use super::*;
use crate::Money;

fn model(body: Value) -> PriceModel {
    serde_json::from_value(body).unwrap()
}

/// A model of tiers of (`up_to`, `unit_amount`, `flat_amount`), the last one open-ended.
fn tiered(name: &str, tiers: &[(&str, &str, &str)]) -> PriceModel {
    let last = tiers.len() - 1;
    let tier = |(index, (up_to, unit, flat)): (usize, &(&str, &str, &str))| json!({ "up_to": (index < last).then_some(*up_to), "unit_amount": unit, "flat_amount": flat });
    model(json!({ "type": name, "tiers": tiers.iter().enumerate().map(tier).collect::<Vec<_>>() }))
}

fn exact(text: &str) -> Exact {
    text.parse().unwrap()
}

fn totals(model: &PriceModel, quantities: &[&str]) -> Vec<String> {
    let total = |quantity: &&str| rate(model, &Rated::quantity(exact(quantity))).amount.to_string();
    quantities.iter().map(total).collect()
}

/// What events of these values cost, and the sum that explains it. Only the frozen summary is rated.
fn events(model: &PriceModel, values: &[&str]) -> (String, String) {
    let values: Vec<Exact> = values.iter().map(|value| exact(value)).collect();
    let charged_events = ChargedEvents::of(model, values.iter()).unwrap();
    let frozen = serde_json::to_string(&charged_events).unwrap();
    let rated = Rated { quantity: values.into_iter().sum(), charged_events: serde_json::from_str(&frozen).unwrap() };
    explained(&rate(model, &rated))
}

fn explained(rating: &Rating) -> (String, String) {
    assert_eq!(rating.amount, rating.steps.iter().map(Step::amount).sum());
    let steps: Vec<String> = rating.steps.iter().map(Step::to_string).collect();
    (rating.amount.to_string(), steps.join(" + "))
}

fn explain(model: &PriceModel, quantity: &str) -> String {
    explained(&rate(model, &Rated::quantity(exact(quantity)))).1
}

#[test]
fn each_unit_costs_what_its_tier_says() {
    // Worked examples price-002, price-008, price-019.
    let model = tiered("graduated", &[("5", "7", "0"), ("10", "6.5", "0"), ("", "6", "0")]);
    assert_eq!(totals(&model, &["1", "5", "6", "20", "25"]), ["7", "35", "41.5", "127.5", "157.5"]);
    let model = tiered("graduated", &[("100", "1", "0"), ("200", "0.5", "0"), ("", "0.1", "0")]);
    assert_eq!(totals(&model, &["100", "200", "250", "100.5"]), ["100", "150", "155", "100.25"]);
    assert_eq!(explain(&model, "250"), "100 x 1 + 100 x 0.5 + 50 x 0.1");
    assert_eq!(totals(&tiered("graduated", &[("5", "2", "0"), ("", "1", "0")]), &["13"]), ["18"]);
}

/// "Flat amounts of graduated tiers are charged on entering a tier, the first one also at quantity 0."
#[test]
fn flat_amounts_are_charged_on_entering_a_tier_the_first_also_at_zero() {
    // Worked example price-007.
    let model = tiered("graduated", &[("10", "10", "2"), ("20", "5", "3"), ("", "5", "3")]);
    assert_eq!(totals(&model, &["0", "1", "10", "11", "12", "21"]), ["2", "12", "102", "110", "115", "163"]);
    assert_eq!(totals(&model, &["-7", "10.5"]), ["2", "107.5"]);
    assert_eq!(explain(&model, "11"), "10 x 10 + 2 flat + 1 x 5 + 3 flat");
    // Worked example price-014: the next ten units after twelve cost the rest.
    let model = tiered("graduated", &[("5", "0", "100"), ("10", "0", "50"), ("15", "5", "0"), ("", "1", "0")]);
    assert_eq!(totals(&model, &["12", "22"]), ["160", "182"]);
}

/// "A quantity past a tier's end is in the next one: 100.5 units are past a tier that ends at 100."
#[test]
fn volume_prices_the_whole_quantity_at_the_tier_it_reaches() {
    // Worked example price-001.
    let model = tiered("volume", &[("5", "7", "0"), ("10", "6.5", "0"), ("", "6", "0")]);
    assert_eq!(totals(&model, &["1", "5", "6", "20", "25"]), ["7", "35", "39", "120", "150"]);
    let model = tiered("volume", &[("100", "1", "10"), ("", "0.5", "20.00")]);
    assert_eq!(totals(&model, &["0", "100", "100.5", "-1"]), ["10", "110", "70.25", "10"]);
    assert_eq!(explain(&model, "100.5"), "100.5 x 0.5 + 20.00 flat");
}

#[test]
fn packages_are_rounded_up_after_the_free_units() {
    // Worked examples price-003, price-005.
    let hours = model(json!({ "type": "package", "package_size": "60", "package_amount": "10" }));
    assert_eq!(totals(&hours, &["150", "120", "120.001", "0", "-5"]), ["30", "20", "30", "0", "0"]);
    let free = json!({ "type": "package", "package_size": "100", "package_amount": "5.00", "free_units": "100" });
    let free = model(free);
    assert_eq!(totals(&free, &["0", "100", "100.1", "200", "201", "301"]), ["0", "0", "5", "5", "10", "15"]);
    assert_eq!(explain(&free, "301"), "3 packages of 100 x 5.00");
    assert_eq!(explain(&free, "101"), "1 package of 100 x 5.00");
    // A third of a package is one, whatever a decimal makes of it.
    let thirds = model(json!({ "type": "package", "package_size": "0.3", "package_amount": "1" }));
    assert_eq!(totals(&thirds, &["0.9", "1/3", "1"]), ["3", "2", "4"]);
}

#[test]
fn a_flat_price_ignores_the_quantity_and_a_negative_one_rates_as_zero() {
    let flat = model(json!({ "type": "flat", "amount": "49.00" }));
    assert_eq!(totals(&flat, &["0", "1", "7"]), ["49", "49", "49"]);
    assert_eq!(explain(&flat, "7"), "1 x 49.00");
    let per_unit = model(json!({ "type": "per_unit", "unit_amount": "0.10" }));
    assert_eq!(totals(&per_unit, &["7", "-7", "0.5"]), ["0.7", "0", "0.05"]);
}

#[test]
fn a_dynamic_price_multiplies_the_cost() {
    // Worked example price-016.
    let model = model(json!({ "type": "dynamic", "multiplier": "1.33333" }));
    assert_eq!(totals(&model, &["10", "-1"]), ["13.3333", "0"]);
    assert_eq!(rate(&model, &Rated::quantity(exact("10"))).amount.in_minor(2).round_half_up(), Ok(1333));
    assert_eq!(explain(&model, "10"), "10 x 1.33333");
}

#[test]
fn amounts_are_rounded_to_the_currencys_minor_unit() {
    // Worked example cur-001.
    let rounded = |amount: &str, code: &str| {
        let flat = model(json!({ "type": "flat", "amount": amount }));
        let (exact, currency) = (rate(&flat, &Rated::quantity(exact("1"))).amount, code.parse().unwrap());
        let minor = exact.in_minor(crate::Currency::exponent(currency)).round_half_up().unwrap();
        Money::new(minor, currency).major().to_string()
    };
    assert_eq!(["usd", "eur", "gbp"].map(|code| rounded("10.275", code)), ["10.28"; 3]);
    assert_eq!(["jpy", "krw", "vnd", "clp"].map(|code| rounded("1000.5", code)), ["1001"; 4]);
    assert_eq!(rounded("10.2755", "kwd"), "10.276");
}

/// Worked example price-011: 1.3% and 2.00 an event, with a free allowance.
fn with_allowance(free_events: Option<u64>, free_amount: Option<&str>) -> PriceModel {
    model(json!({ "type": "percentage", "percent": "1.3", "fixed_amount": "2.00",
        "free_events": free_events, "free_amount": free_amount }))
}

/// "An event is free only while all allowances hold, `free_amount` is deducted exactly and the event that crosses it
/// pays the fixed amount."
#[test]
fn an_event_is_free_only_while_all_allowances_hold() {
    let values = ["50", "100", "250", "400"];
    let cost = |free_events, free_amount| events(&with_allowance(free_events, free_amount), &values);
    let both = ("11.15".to_owned(), "250 free (2 events) + 1.3% of 550 + 2 events x 2.00".to_owned());
    assert_eq!(cost(Some(3), Some("250")), both);
    assert_eq!(cost(None, Some("250")), both);
    assert_eq!(cost(Some(3), None).0, "7.2");
    assert_eq!(cost(None, None), ("18.4".to_owned(), "1.3% of 800 + 4 events x 2.00".to_owned()));
    // The count is used up first: what is left of the amount is lost.
    assert_eq!(cost(Some(1), Some("250")).1, "50 free (1 event) + 1.3% of 750 + 3 events x 2.00");
    assert_eq!(cost(Some(0), Some("250")).1, "1.3% of 800 + 4 events x 2.00");
    assert_eq!(cost(Some(9), Some("800")), ("0".to_owned(), "800 free (4 events)".to_owned()));
    assert_eq!(cost(Some(9), Some("0")).1, "1.3% of 800 + 4 events x 2.00");
}

#[test]
fn an_allowance_that_is_broken_is_over() {
    let model = with_allowance(None, Some("100"));
    let charged = |values: &[&str]| events(&model, values).1;
    assert_eq!(charged(&["100", "0"]), "100 free (2 events)");
    assert_eq!(charged(&["99", "2", "0"]), "100 free (1 event) + 1.3% of 1 + 2 events x 2.00");
    // The crossing event broke it; a refund does not bring it back.
    assert_eq!(charged(&["150", "-100", "10"]), "100 free (0 events) + 1.3% of -40 + 2 events x 2.00");
}

#[test]
fn a_refund_pays_nothing_and_gives_back_what_it_took() {
    // Within the allowance it frees some of it again, and is no event of those that are free.
    assert_eq!(
        events(&with_allowance(Some(2), Some("250")), &["200", "-100", "150", "1"]).1,
        "250 free (2 events) + 1.3% of 1 + 1 event x 2.00"
    );
    // Nor is anything free once the events that are free are used up.
    assert_eq!(
        events(&with_allowance(Some(1), None), &["100", "100", "-50"]).1,
        "100 free (1 event) + 1.3% of 50 + 1 event x 2.00"
    );
    // The fees already due are reduced, never below zero.
    let (total, steps) = events(&with_allowance(None, None), &["100", "-300"]);
    assert_eq!((total.as_str(), steps.as_str()), ("0", "1.3% of -200 + 1 event x 2.00 + 0.6 to zero"));
}

/// "Per-event minimum and maximum include the fixed amount."
#[test]
fn the_least_and_the_most_of_an_event_include_its_fixed_amount() {
    let model = model(json!({ "type": "percentage", "percent": "1", "fixed_amount": "0.30", "free_amount": "10",
        "min_amount_per_event": "0.50", "max_amount_per_event": "5.00" }));
    let cost = |values: &[&str]| events(&model, values);
    assert_eq!(cost(&["10", "20"]), ("0.5".to_owned(), "10 free (1 event) + 1% of 20 + 1 event x 0.30".to_owned()));
    assert_eq!(
        cost(&["10", "19.99", "0"]),
        ("1".to_owned(), "10 free (1 event) + 2 events at the minimum x 0.50".to_owned())
    );
    assert_eq!(cost(&["480"]), ("5".to_owned(), "10 free (0 events) + 1% of 470 + 1 event x 0.30".to_owned()));
    assert_eq!(cost(&["480.01", "1000"]).1, "10 free (0 events) + 2 events at the maximum x 5.00");
    assert_eq!(cost(&["10", "100", "1", "1000"]).0, "6.8");
    assert_eq!(cost(&["10", "-5"]).0, "0");
}

#[test]
fn a_value_without_its_events_is_one_event() {
    let model = with_allowance(None, None);
    assert_eq!(totals(&model, &["0", "100", "-100"]), ["0", "3.3", "0"]);
    let flat = PriceModel::Flat { amount: Decimal::ONE };
    assert_eq!(ChargedEvents::of(&flat, [exact("1")].iter()), None);
}

#[test]
fn each_part_of_a_value_pays_its_tiers_percentage() {
    let model = model(json!({ "type": "graduated_percentage", "tiers": [
        { "up_to": "1000", "percent": "3", "flat_amount": "1" },
        { "up_to": "5000", "percent": "2" },
        { "up_to": null, "percent": "0.5", "flat_amount": "10.00" } ] }));
    let values = ["0", "1000", "1000.5", "5000", "6000", "-1"];
    assert_eq!(totals(&model, &values), ["1", "31", "31.01", "111", "126", "1"]);
    assert_eq!(explain(&model, "6000"), "3% of 1000 + 1 flat + 2% of 4000 + 0.5% of 1000 + 10.00 flat");
}
