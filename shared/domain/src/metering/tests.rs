use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;
use crate::Meter;

const HOUR: i64 = 3_600_000;

/// An event: its own time in milliseconds, its value, and where it happened.
type Given<'a> = (i64, &'a str, &'a str);

fn meter(aggregation: &str, rest: Value) -> Meter {
    let mut spec = json!({ "key": "m", "aggregation": aggregation });
    if aggregation != "count" {
        spec["value_property"] = json!("value");
    }
    for (name, value) in rest.as_object().unwrap() {
        spec[name] = value.clone();
    }
    serde_json::from_value(spec).unwrap()
}

fn instant(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

/// A window that is a full period; nothing is carried into it but what came since 0.
fn window(from: i64, to: i64) -> MeterWindow {
    let [from, to] = [from, to].map(instant);
    MeterWindow { from, to, full_from: from, full_to: to, carried_from: instant(0) }
}

fn measured(meter: &Meter, selection: Selection<'_>, window: MeterWindow, events: &[Given<'_>]) -> Vec<Measured> {
    let mut events = events.to_vec();
    events.sort_by_key(|(at, ..)| *at);
    let mut accumulator = Accumulator::new(meter, selection, window);
    for (at, value, region) in events {
        let all = [("value", value), ("region", region)].into_iter().filter(|(_, value)| !value.is_empty());
        let properties = all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        accumulator.add(EventView { id: "evt", at: instant(at), properties: &properties }).unwrap();
    }
    accumulator.finish().unwrap()
}

/// The meter's value without filters and groups.
fn value(meter: &Meter, window: MeterWindow, events: &[Given<'_>]) -> Exact {
    let mut all = measured(meter, Selection::default(), window, events);
    assert_eq!((all.len(), &all[0].group), (1, &None));
    all.remove(0).quantity
}

fn shown(meter: &Meter, (from, to): (i64, i64), events: &[Given<'_>]) -> String {
    value(meter, window(from, to), events).to_string()
}

/// "The aggregations are count, sum, max, latest (by event time), unique_count and weighted_sum, with filters."
#[test]
fn each_aggregation_has_its_value() {
    let events = [(10, "5", ""), (20, "7", ""), (30, "-2", ""), (40, "5", "")];
    let of = |aggregation: &str| shown(&meter(aggregation, json!({})), (10, 50), &events);
    assert_eq!(["count", "sum", "max", "latest", "unique_count"].map(of), ["4", "15", "7", "5", "3"]);
    // 5 for 10, 12 for 10, 10 for 10, 15 for 10.
    assert_eq!(of("weighted_sum"), "10.5");
}

#[test]
fn without_events_there_is_nothing() {
    for aggregation in ["count", "sum", "max", "latest", "unique_count", "weighted_sum"] {
        for recurring in [false, true] {
            let meter = meter(aggregation, json!({ "recurring": recurring }));
            assert_eq!(shown(&meter, (10, 50), &[]), "0", "{aggregation}");
        }
    }
    // The largest of what is below zero is not zero.
    assert_eq!(shown(&meter("max", json!({})), (10, 50), &[(10, "-5", ""), (20, "-7", "")]), "-5");
}

#[test]
fn meter_001_a_weighted_sum_is_averaged_over_the_period() {
    let start: Timestamp = "2023-08-01T00:00:00Z".parse().unwrap();
    let end: Timestamp = "2023-09-01T00:00:00Z".parse().unwrap();
    let at = |half_hours: i64| start.as_millisecond() + half_hours * HOUR / 2;
    let events = [
        (at(0), "2", ""),
        (at(2), "3", ""),
        (at(3), "1", ""),
        (at(4), "-4", ""),
        (at(8), "-2", ""),
        (at(10), "10", ""),
        (at(11), "-10", ""),
    ];
    let window = MeterWindow { from: start, to: end, full_from: start, full_to: end, carried_from: start };
    // 2 for an hour, 5 and 6 for half of one, 2 for two, 10 for half of one: 16.5 of 744 hours.
    let units = value(&meter("weighted_sum", json!({})), window, &events);
    assert_eq!(units, Exact::ratio(33, 1_488).unwrap());
    assert_eq!((units * 100_000.into()).round_half_up(), Ok(2_218));
}

#[test]
fn meter_003_the_latest_is_the_last_by_event_time() {
    let latest = meter("latest", json!({}));
    assert_eq!(shown(&latest, (10, 50), &[(10, "5", ""), (20, "7", ""), (30, "6", "")]), "6");
    assert_eq!(shown(&latest, (10, 50), &[(30, "6", ""), (10, "5", ""), (20, "7", "")]), "6");
}

/// "Periods are half-open, `[start, end)`."
#[test]
fn a_window_is_half_open() {
    let events = [(9, "1", ""), (10, "10", ""), (49, "100", ""), (50, "1000", "")];
    assert_eq!(shown(&meter("sum", json!({})), (10, 50), &events), "110");
    assert_eq!(shown(&meter("count", json!({})), (10, 50), &events), "2");
    assert_eq!(shown(&meter("count", json!({})), (10, 10), &events), "0");
}

/// "`recurring` meters carry their value into the next period."
#[test]
fn a_recurring_meter_carries_its_value_into_the_next_period() {
    let events = [(5, "5", ""), (15, "7", ""), (25, "5", "")];
    let of = |aggregation: &str, recurring: bool, range| {
        shown(&meter(aggregation, json!({ "recurring": recurring })), range, &events)
    };
    for (aggregation, carried, own) in
        [("count", "3", "1"), ("sum", "17", "5"), ("max", "7", "5"), ("latest", "5", "5"), ("unique_count", "2", "1")]
    {
        assert_eq!((of(aggregation, true, (20, 40)), of(aggregation, false, (20, 40))), (carried.into(), own.into()));
    }
    // Nothing happens any more, but what was there is.
    let quiet = |aggregation: &str| of(aggregation, true, (30, 40));
    assert_eq!(["sum", "latest", "weighted_sum"].map(quiet), ["17", "5", "17"]);
    assert_eq!(of("latest", false, (30, 40)), "0");
    // 12 for 5, 17 for 15, of 20.
    assert_eq!(of("weighted_sum", true, (20, 40)), "15.75");
    assert_eq!(of("weighted_sum", false, (20, 40)), "3.75");
}

#[test]
fn nothing_is_carried_from_before_the_start() {
    let sum = meter("sum", json!({ "recurring": true }));
    let since = MeterWindow { carried_from: instant(10), ..window(20, 40) };
    assert_eq!(value(&sum, since, &[(9, "1", ""), (10, "10", ""), (20, "100", "")]).to_string(), "110");
}

#[test]
fn only_what_passes_all_filters_counts() {
    let sum = meter("sum", json!({ "filters": [ { "property": "region", "values": ["eu", "us"] } ] }));
    let events = [(10, "1", "eu"), (20, "2", "us"), (30, "4", "asia"), (40, "8", "")];
    assert_eq!(shown(&sum, (0, 50), &events), "3");
    let filters: Vec<PropertyFilter> =
        serde_json::from_value(json!([ { "property": "region", "values": ["us", "asia"] } ])).unwrap();
    let selection = Selection { filters: &filters, ..Selection::default() };
    // The meter's filters and the price's.
    assert_eq!(measured(&sum, selection, window(0, 50), &events)[0].quantity, 2.into());
}

#[test]
fn groups_are_measured_apart_in_the_order_of_their_values() {
    let by = ["region".to_owned()];
    let selection = Selection { group_by: &by, ..Selection::default() };
    let groups = |aggregation: &str, events: &[Given<'_>]| {
        let all = measured(&meter(aggregation, json!({})), selection, window(0, 50), events);
        let shown = |one: &Measured| format!("{} = {}", one.group.as_ref().unwrap(), one.quantity);
        all.iter().map(shown).collect::<Vec<_>>()
    };
    let events = [(10, "5", "us"), (20, "7", "eu"), (30, "6", "us"), (40, "1", "")];
    assert_eq!(groups("sum", &events), ["region:  = 1", "region: eu = 7", "region: us = 11"]);
    assert_eq!(groups("max", &events), ["region:  = 1", "region: eu = 7", "region: us = 6"]);
    assert_eq!(groups("weighted_sum", &[(25, "4", "us"), (0, "1", "eu")]), ["region: eu = 1", "region: us = 2"]);
    assert_eq!(groups("sum", &[]), Vec::<String>::new());
}

#[test]
fn the_values_of_single_events_are_those_of_the_window_in_the_order_of_time() {
    let sum = meter("sum", json!({ "recurring": true }));
    let events = [(30, "3", ""), (5, "1", ""), (20, "2", "")];
    let each = Selection { each_event: true, ..Selection::default() };
    assert_eq!(measured(&sum, each, window(10, 50), &events)[0].values, [2.into(), 3.into()]);
    assert_eq!(measured(&sum, Selection::default(), window(10, 50), &events)[0].values, Vec::<Exact>::new());
}

/// "A weighted sum starts at zero unless recurring, holds to the period's end, and is divided by the full period's
/// real length."
#[test]
fn a_part_is_averaged_over_its_full_period() {
    let weighted = meter("weighted_sum", json!({}));
    let part = MeterWindow { full_from: instant(0), full_to: instant(100), ..window(50, 100) };
    assert_eq!(value(&weighted, part, &[(60, "10", "")]), 4.into());
    // A day that never was has no time.
    assert_eq!(value(&weighted, window(50, 50), &[]), Exact::zero());
}

#[test]
fn an_event_that_gives_no_quantity_is_named() {
    let sum = meter("sum", json!({}));
    let mut accumulator = Accumulator::new(&sum, Selection::default(), window(0, 50));
    let mut add = |at: i64, properties: &[(&str, &str)]| {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        accumulator
            .add(EventView { id: "evt_7", at: instant(at), properties: &properties })
            .map_err(|error| error.to_string())
    };
    assert_eq!(add(10, &[]), Err("event `evt_7`: the property `value` is missing".to_owned()));
    assert!(add(10, &[("value", "many")]).unwrap_err().starts_with("event `evt_7`: the property `value` must be"));
    // What is outside does not matter.
    assert_eq!(add(50, &[]), Ok(()));
}

fn aggregation() -> impl Strategy<Value = &'static str> {
    select(&["count", "sum", "max", "latest", "unique_count", "weighted_sum"][..])
}

/// Events at different times: which of two at the same is the latest is a matter of their receipt.
fn events() -> impl Strategy<Value = Vec<(i64, String, &'static str)>> {
    let event = (0_i64..1_000, -1_000_i64..1_000, select(&["eu", "us", ""][..]));
    vec(event, 0..30).prop_map(|mut all| {
        all.sort_by_key(|(at, ..)| *at);
        all.dedup_by_key(|(at, ..)| *at);
        let written =
            |(at, tenths, region): (i64, i64, _)| (at, format!("{}.{}", tenths / 10, tenths.abs() % 10), region);
        all.into_iter().map(written).collect()
    })
}

fn given<'a>(events: &'a [(i64, String, &'static str)]) -> Vec<Given<'a>> {
    events.iter().map(|(at, value, region)| (*at, value.as_str(), *region)).collect()
}

proptest! {
    /// What is measured does not depend on the order in which events were reported.
    #[test]
    fn the_order_of_receipt_does_not_matter(aggregation in aggregation(), recurring in any::<bool>(), events in events().prop_shuffle()) {
        let meter = meter(aggregation, json!({ "recurring": recurring }));
        let by = ["region".to_owned()];
        let selection = Selection { group_by: &by, each_event: true, ..Selection::default() };
        let mut sorted = events.clone();
        sorted.sort();
        let all = |events: &[_]| measured(&meter, selection, window(200, 800), &given(events));
        prop_assert_eq!(all(&events), all(&sorted));
    }

    /// The weighted sums of the parts of a period add up to that of the period, where what was there is carried.
    #[test]
    fn weighted_sums_of_parts_add_up(events in events(), mut cuts in vec(1_i64..999, 0..4)) {
        cuts.extend([0, 1_000]);
        cuts.sort_unstable();
        let meter = meter("weighted_sum", json!({ "recurring": true }));
        let full = window(0, 1_000);
        let part = |from_to: &[i64]| MeterWindow { from: instant(from_to[0]), to: instant(from_to[1]), ..full };
        let parts: Exact = cuts.windows(2).map(|cut| value(&meter, part(cut), &given(&events))).sum();
        prop_assert_eq!(parts, value(&meter, full, &given(&events)));
    }

    /// So do the counts and sums of parts, and groups make up the whole.
    #[test]
    fn sums_of_parts_and_groups_add_up(events in events(), cut in 0_i64..1_000, counts in any::<bool>()) {
        let meter = meter(if counts { "count" } else { "sum" }, json!({}));
        let all = given(&events);
        let whole = value(&meter, window(0, 1_000), &all);
        let [before, after] = [(0, cut), (cut, 1_000)].map(|(from, to)| value(&meter, window(from, to), &all));
        prop_assert_eq!(before + after, whole.clone());
        let by = ["region".to_owned()];
        let selection = Selection { group_by: &by, ..Selection::default() };
        let groups: Exact = measured(&meter, selection, window(0, 1_000), &all).into_iter().map(|one| one.quantity).sum();
        prop_assert_eq!(groups, whole);
    }

    /// A value is some event's, or at most as many as there are.
    #[test]
    fn values_come_from_events(events in events()) {
        let all = given(&events);
        let of = |aggregation: &str| value(&meter(aggregation, json!({})), window(0, 1_000), &all);
        let texts: Vec<Exact> = all.iter().map(|(_, value, _)| value.parse().unwrap()).collect();
        let most = texts.iter().max().cloned().unwrap_or_else(Exact::zero);
        prop_assert_eq!(of("max"), most);
        prop_assert_eq!(of("latest"), texts.last().cloned().unwrap_or_else(Exact::zero));
        prop_assert!(of("unique_count") <= of("count"));
    }
}
