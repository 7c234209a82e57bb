//! What usage comes to: price models, meters, commitments over usage.

use serde_json::{Value, json};

use crate::story::{
    amounts_of, at, briefs, customer, fixed, invoice, lines_of, plan, scenario, subscribe, told, totals, usage,
    usage_price, users, with,
};

/// What quantities cost by a model, each in a month of its own subscription; an amount of nothing at quantity 0 is no line.
fn costs(model: Value, quantities: &[&str]) -> Vec<i64> {
    let plan = plan("p", "month", vec![usage_price("use", model)]);
    amounts_of(&told(&scenario(vec![plan], users("2024-01-01", "p", quantities), "2024-02-01")), "use")
}

/// Tiers of (last unit, price of one, flat amount).
fn tiers(model: &str, tiers: &[(Option<&str>, &str, &str)]) -> Value {
    let tier = |(up_to, unit_amount, flat_amount): &(Option<&str>, &str, &str)| json!({ "up_to": up_to, "unit_amount": unit_amount, "flat_amount": flat_amount });
    json!({ "type": model, "tiers": tiers.iter().map(tier).collect::<Vec<_>>() })
}

const TABLE: [(Option<&str>, &str, &str); 3] = [(Some("5"), "7", "0"), (Some("10"), "6.5", "0"), (None, "6", "0")];
const QUANTITIES: [&str; 5] = ["1", "5", "6", "20", "25"];

/// Volume: all units at the price of the tier they reach.
#[test]
fn price_001_volume() {
    assert_eq!(costs(tiers("volume", &TABLE), &QUANTITIES), [700, 3_500, 3_900, 12_000, 15_000]);
}

/// Graduated: each unit at its own tier's price.
#[test]
fn price_002_graduated() {
    assert_eq!(costs(tiers("graduated", &TABLE), &QUANTITIES), [700, 3_500, 4_150, 12_750, 15_750]);
}

/// 150 minutes are three hours begun.
#[test]
fn price_003_a_package_begun_is_a_package() {
    assert_eq!(costs(json!({ "type": "package", "package_size": "60", "package_amount": "10" }), &["150"]), [3_000]);
}

/// 101 units beyond the free ones are two packages.
#[test]
fn price_005_free_units_come_before_packages() {
    let model = json!({ "type": "package", "package_size": "100", "package_amount": "5", "free_units": "100" });
    assert_eq!(costs(model, &["201"]), [1_000]);
}

/// Flat amounts are charged on entering a tier, the first one even for nothing.
#[test]
fn price_007_flat_amounts_of_tiers() {
    let model = tiers("graduated", &[(Some("10"), "10", "2"), (Some("20"), "5", "3"), (None, "5", "3")]);
    assert_eq!(costs(model, &["0", "1", "10", "11", "12", "21"]), [200, 1_200, 10_200, 11_000, 11_500, 16_300]);
}

/// 250 units cross two tiers.
#[test]
fn price_008_graduated_over_three_tiers() {
    let model = tiers("graduated", &[(Some("100"), "1", "0"), (Some("200"), "0.5", "0"), (None, "0.1", "0")]);
    assert_eq!(costs(model, &["100", "200", "250"]), [10_000, 15_000, 15_500]);
}

/// 1.3 % and 2.00 per event of 50, 100, 250 and 400. An event is free only while all allowances hold; the one that crosses
/// `free_amount` pays the percentage of what is beyond it, and the fixed amount.
#[test]
fn price_011_a_percentage_with_allowances() {
    for (free_events, free_amount, total) in
        [(Some(3), Some("250"), 1_115), (None, Some("250"), 1_115), (Some(3), None, 720), (None, None, 1_840)]
    {
        let model = json!({ "type": "percentage", "percent": "1.3", "fixed_amount": "2",
                            "free_events": free_events, "free_amount": free_amount });
        let plan = plan("p", "month", vec![usage_price("use", model)]);
        let events = ["50", "100", "250", "400"].iter().zip(2..);
        let events = events.map(|(value, day)| usage(&format!("2024-01-{day:02}"), value));
        let timeline = [subscribe("2024-01-01", "p")].into_iter().chain(events).collect();
        let output = told(&scenario(vec![plan], timeline, "2024-02-01"));
        assert_eq!(totals(&output), [total], "{free_events:?}, {free_amount:?}");
    }
}

/// 22 units in one go cost as much as 12, and 10 more that are reported when these have been billed.
#[test]
fn price_014_usage_rated_in_two_steps_costs_what_it_costs_in_one() {
    let model = tiers(
        "graduated",
        &[(Some("5"), "0", "100"), (Some("10"), "0", "50"), (Some("15"), "5", "0"), (None, "1", "0")],
    );
    assert_eq!(costs(model.clone(), &["22"]), [18_200]);
    let plan = plan("p", "month", vec![usage_price("use", model)]);
    let late = with(usage("2024-01-20", "10"), json!({ "received_at": at("2024-02-10") }));
    let timeline = vec![subscribe("2024-01-01", "p"), usage("2024-01-10", "12"), late];
    let output = told(&scenario(vec![plan], timeline, "2024-03-01"));
    assert_eq!(briefs(&output, 1), ["use usage 2024-01-01..2024-02-01 16000"]);
    // February's own usage is nothing, and enters the first tier.
    assert_eq!(
        briefs(&output, 2),
        ["use adjustment 2024-01-01..2024-02-01 2200", "use usage 2024-02-01..2024-03-01 10000"]
    );
}

/// The meter's value is the cost.
#[test]
fn price_016_dynamic() {
    assert_eq!(costs(json!({ "type": "dynamic", "multiplier": "1.33333" }), &["10"]), [1_333]);
}

/// The second invoice has the first month's videos and the second month's fee.
#[test]
fn price_019_a_fee_in_advance_and_usage_in_arrears_on_one_invoice() {
    let model = tiers("graduated", &[(Some("5"), "2", "0"), (None, "1", "0")]);
    let plan = plan("p", "month", vec![fixed("base", "advance", "30.00"), usage_price("videos", model)]);
    let output = told(&scenario(vec![plan], users("2024-01-01", "p", &["13"]), "2024-02-01"));
    assert_eq!(
        briefs(&output, 2),
        ["base fixed 2024-02-01..2024-03-01 3000", "videos usage 2024-01-01..2024-02-01 1800"]
    );
    assert_eq!(totals(&output), [3_000, 4_800]);
}

/// 2, 5, 6, 2, 0 and 10 units hold for 1, 1/2, 1/2, 2, 1 and 1/2 hours: 16.5 of the month's 744 hours.
#[test]
fn meter_001_a_weighted_sum_is_an_average_over_time() {
    let meters = json!([{ "key": "units", "aggregation": "weighted_sum", "value_property": "value" }]);
    let plan = plan("p", "month", vec![usage_price("use", json!({ "type": "per_unit", "unit_amount": "1000" }))]);
    let changes = [
        ("00:00", "2"),
        ("01:00", "3"),
        ("01:30", "1"),
        ("02:00", "-4"),
        ("04:00", "-2"),
        ("05:00", "10"),
        ("05:30", "-10"),
    ];
    let events = changes.map(|(time, value)| usage(&format!("2023-08-01T{time}:00Z"), value));
    let timeline = [vec![subscribe("2023-08-01", "p")], events.to_vec()].concat();
    let output = told(&with(scenario(vec![plan], timeline, "2023-09-01"), json!({ "meters": meters })));
    let line = lines_of(&output, "use")[0];
    assert_eq!(line.quantity, "0.022177419355", "0.02218 to five digits");
    assert_eq!(line.amount_minor, 2_218);
}

/// The last value counts, not the largest.
#[test]
fn meter_003_the_latest_value() {
    let meters = json!([{ "key": "units", "aggregation": "latest", "value_property": "value" }]);
    let plan = plan("p", "month", vec![usage_price("use", json!({ "type": "per_unit", "unit_amount": "1" }))]);
    // Reported in another order than they happened in.
    let events = [("2024-01-02", "5"), ("2024-01-04", "6"), ("2024-01-03", "7")].map(|(day, value)| usage(day, value));
    let timeline = [vec![subscribe("2024-01-01", "p")], events.to_vec()].concat();
    let output = told(&with(scenario(vec![plan], timeline, "2024-02-01"), json!({ "meters": meters })));
    assert_eq!((lines_of(&output, "use")[0].quantity.as_str(), totals(&output)), ("6", vec![600]));
}

/// What is missing to the commitment is a line; when nothing is, there is none.
#[test]
fn commit_003_a_true_up_appears_when_something_is_missing() {
    let use_price = usage_price("use", json!({ "type": "per_unit", "unit_amount": "1" }));
    let plan = with(plan("p", "month", vec![use_price]), json!({ "minimum_commitment_minor": 100_000 }));
    let output = told(&scenario(vec![plan], users("2024-01-01", "p", &["800", "1300"]), "2024-02-01"));
    assert_eq!(
        briefs(&output, 1),
        ["use usage 2024-01-01..2024-02-01 80000", "- commitment 2024-01-01..2024-02-01 20000"]
    );
    assert_eq!(briefs(&output, 2), ["use usage 2024-01-01..2024-02-01 130000"]);
    assert_eq!((invoice(&output, 1).subtotal_minor, invoice(&output, 2).subtotal_minor), (100_000, 130_000));
}

/// Half away from zero, at the currency's own exponent.
#[test]
fn cur_001_currencies_round_at_their_own_exponent() {
    for (currency, amount, minor) in
        [("usd", "10.275", 1_028), ("jpy", "1000.5", 1_001), ("krw", "1000.5", 1_001), ("clp", "1000.5", 1_001)]
    {
        let plan = with(plan("p", "month", vec![fixed("base", "advance", amount)]), json!({ "currency": currency }));
        let story = scenario(vec![plan], vec![subscribe("2024-01-01", "p")], "2024-01-02");
        assert_eq!(totals(&told(&with(story, json!({ "customer": customer(currency) })))), [minor], "{currency}");
    }
}
