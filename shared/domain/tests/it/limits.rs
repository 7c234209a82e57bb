//! Minimum, maximum, filters and groups of prices, sentence by sentence.

use domain::ProrationBehavior;
use serde_json::{Value, json};

use crate::story::{Story, at, calls, flat, plan, seats, with};

fn limited(price: Value, least: Option<i64>, most: Option<i64>) -> Value {
    with(price, json!({ "min_amount_minor": least, "max_amount_minor": most }))
}

fn month_of(price: Value, usage: &str) -> Vec<String> {
    let mut story = Story::start(&[plan("pro", "month", &[price])], "2023-04-01", json!({}));
    story.uses("calls", "2023-04-10T00:00:00Z", usage);
    story.until("2023-05-01")
}

/// "Per price an optional minimum and maximum amount per period".
#[test]
fn a_minimum_adds_what_is_missing_and_a_maximum_ends_the_amount() {
    let price = || limited(calls("1"), Some(1_000), Some(2_000));
    assert_eq!(
        month_of(price(), "7"),
        ["calls usage 2023-04-01..2023-05-01 x7 = 700", "calls minimum 2023-04-01..2023-05-01 = 300",]
    );
    assert_eq!(month_of(price(), "10"), ["calls usage 2023-04-01..2023-05-01 x10 = 1000"]);
    assert_eq!(month_of(price(), "20.01"), ["calls usage 2023-04-01..2023-05-01 x20.01 = 2000"]);
    assert_eq!(month_of(price(), "0"), ["calls minimum 2023-04-01..2023-05-01 = 1000"]);
}

/// "Per price an optional minimum and maximum amount per period, prorated in a part."
///
/// And usage itself is not.
#[test]
fn minimum_and_maximum_are_prorated_in_a_part() {
    let bill = |least, most, usage: &str| {
        let body = plan("pro", "month", &[limited(calls("1"), least, most)]);
        let mut story = Story::start(&[body], "2023-04-16", json!({ "cycle": "calendar" }));
        story.uses("calls", "2023-04-20T00:00:00Z", usage);
        story.until("2023-05-01")
    };
    assert_eq!(bill(None, Some(2_000), "9"), ["calls usage 2023-04-16..2023-05-01 x9 15/30 = 900"]);
    assert_eq!(bill(None, Some(2_000), "11"), ["calls usage 2023-04-16..2023-05-01 x11 15/30 = 1000"]);
    assert_eq!(
        bill(Some(2_000), None, "9"),
        ["calls usage 2023-04-16..2023-05-01 x9 15/30 = 900", "calls minimum 2023-04-16..2023-05-01 15/30 = 100",]
    );
}

/// The limits of fixed and licensed prices, in advance and in arrears, and what is credited of them.
#[test]
fn limits_are_of_any_price() {
    let most = limited(seats("advance", "10.00"), None, Some(3_000));
    let least = with(limited(flat("base", "advance", "10.00"), Some(3_000), None), json!({}));
    let mut story =
        Story::start(&[plan("pro", "month", &[most, least])], "2023-04-01", json!({ "quantities": { "seats": "5" } }));
    assert_eq!(
        story.until("2023-04-01"),
        [
            "seats licensed 2023-04-01..2023-05-01 x5 = 3000",
            "base fixed 2023-04-01..2023-05-01 = 1000",
            "base minimum 2023-04-01..2023-05-01 = 2000",
        ]
    );
    assert_eq!(
        story.cancel("2023-04-20", ProrationBehavior::Day),
        [
            "seats proration 2023-04-21..2023-05-01 x5 10/30 = -1000",
            "base proration 2023-04-21..2023-05-01 10/30 = -1000",
        ]
    );
}

/// A minimum in arrears is the whole window's, also where a change of quantity cuts it.
#[test]
fn a_minimum_is_not_cut_by_a_change_of_quantity() {
    let price = limited(seats("arrears", "30.00"), Some(9_000), None);
    let mut story =
        Story::start(&[plan("pro", "month", &[price])], "2023-04-01", json!({ "quantities": { "seats": "1" } }));
    let lines = story.change("2023-04-11", json!({ "quantities": { "seats": "4" } }));
    assert_eq!(lines, ["seats licensed 2023-04-01..2023-04-11 10/30 = 1000"]);
    // 10.00 and 80.00 are 90.00.
    assert_eq!(story.until("2023-05-01"), ["seats licensed 2023-04-11..2023-05-01 x4 20/30 = 8000"]);
    let lines = story.change("2023-05-21", json!({ "quantities": { "seats": "1" } }));
    assert_eq!(lines, ["seats licensed 2023-05-01..2023-05-21 x4 20/31 = 7742"]);
    assert_eq!(
        story.until("2023-06-01"),
        ["seats licensed 2023-05-21..2023-06-01 11/31 = 1065", "seats minimum 2023-05-01..2023-06-01 = 193",]
    );
}

/// "Negative usage rates as zero."
#[test]
fn negative_usage_rates_as_zero() {
    assert_eq!(month_of(calls("1"), "-5"), ["calls usage 2023-04-01..2023-05-01 x-5 = 0"]);
}

fn two_regions(price: Value, events: &[(&str, &str)]) -> Vec<String> {
    let mut story = Story::start(&[plan("pro", "month", &[price])], "2023-04-01", json!({}));
    for (region, value) in events {
        let mut properties = vec![("value", *value)];
        properties.extend((!region.is_empty()).then_some(("region", *region)));
        story.reports("calls", at("2023-04-10"), &properties);
    }
    story.until("2023-05-01")
}

/// "A price may see only events that match its `filters`."
#[test]
fn a_price_sees_only_what_passes_its_filters() {
    let filters = json!({ "filters": [ { "property": "region", "values": ["eu", "us"] } ] });
    let events = [("eu", "1"), ("us", "2"), ("asia", "10"), ("", "100")];
    assert_eq!(two_regions(with(calls("1"), filters), &events), ["calls usage 2023-04-01..2023-05-01 x3 = 300"]);
}

/// "`group_by` gives a line per value, each rated apart."
#[test]
fn groups_are_rated_apart() {
    let tiers = json!({ "group_by": ["region"], "model": { "type": "graduated", "tiers": [
        { "up_to": "5", "unit_amount": "2", "flat_amount": "1" }, { "up_to": null, "unit_amount": "1" } ] } });
    let events = [("us", "4"), ("eu", "6"), ("us", "3"), ("", "1")];
    assert_eq!(
        two_regions(with(calls("1"), tiers), &events),
        [
            "calls usage 2023-04-01..2023-05-01 (region: ) = 300",
            "calls usage 2023-04-01..2023-05-01 x6 (region: eu) = 1200",
            "calls usage 2023-04-01..2023-05-01 x7 (region: us) = 1300",
        ]
    );
}

/// A minimum or maximum is the price's, over all its groups: the maximum is used up by the lines in order.
#[test]
fn limits_are_of_all_groups_together() {
    let price = |least, most| limited(with(calls("1"), json!({ "group_by": ["region"] })), least, most);
    let events = [("eu", "6"), ("us", "7"), ("asia", "2")];
    assert_eq!(
        two_regions(price(None, Some(1_000)), &events),
        [
            "calls usage 2023-04-01..2023-05-01 x2 (region: asia) = 200",
            "calls usage 2023-04-01..2023-05-01 x6 (region: eu) = 600",
            "calls usage 2023-04-01..2023-05-01 x7 (region: us) = 200",
        ]
    );
    assert_eq!(two_regions(price(Some(2_000), None), &events)[3], "calls minimum 2023-04-01..2023-05-01 = 500");
}
