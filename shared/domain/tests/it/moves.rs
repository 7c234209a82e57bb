//! Customers who move to another time zone, sentence by sentence.

use serde_json::json;

use crate::story::{Story, at, calls, flat, plan, with};

/// A monthly fee and usage, billed on the first of each month.
fn monthly() -> Story {
    let body = plan("pro", "month", &[flat("base", "advance", "31.00"), calls("1")]);
    let mut story = Story::start(&[body], "2024-01-01T05:00:00Z", json!({ "zone": "America/Bogota" }));
    story.until("2024-01-01T05:00:00Z");
    story
}

/// "A change of time zone applies from the next boundary, which itself turns by the old one."
#[test]
fn a_change_of_time_zone_applies_from_the_next_boundary() {
    let mut story = monthly();
    story.moves_to("Asia/Tokyo".parse().unwrap());
    assert_eq!(story.subscription.due_at(), Some(at("2024-02-01T05:00:00Z")));
    story.until("2024-02-01T05:00:00Z");
    assert_eq!(story.invoices.len(), 2);
    // Midnight in Tokyo.
    assert_eq!(story.subscription.due_at(), Some(at("2024-02-29T15:00:00Z")));
    let days: Vec<i64> = story.invoices.iter().map(|invoice| invoice.lines[0].period.days()).collect();
    assert_eq!(days, [31, 29]);
}

#[test]
fn no_event_is_lost_or_counted_twice_where_a_customer_moves() {
    for zone in ["Asia/Tokyo", "Pacific/Honolulu"] {
        let mut story = monthly();
        story.moves_to(zone.parse().unwrap());
        // An event an hour, over the boundary by which the customer has moved, and the next one.
        let hours = (0..61 * 24).map(|hour| at("2024-01-01T05:00:00Z") + jiff::SignedDuration::from_hours(hour));
        hours.for_each(|hour| story.reports("calls", hour, &[("value", "1")]));
        story.until("2024-03-02");
        let counted: i64 =
            story.invoices.iter().flat_map(|invoice| &invoice.lines[1..]).map(|line| line.amount_minor).sum();
        // January is Bogota's; February ends at the new zone's midnight.
        let hours = if zone == "Asia/Tokyo" { 31 * 24 + 28 * 24 + 10 } else { 31 * 24 + 29 * 24 + 5 };
        assert_eq!(counted, hours * 100, "{zone}");
    }
}

/// A window of a price's own cadence keeps the instant at which it began.
#[test]
fn a_window_under_way_begins_where_it_began() {
    let own = with(calls("1"), json!({ "interval": "month" }));
    let body =
        plan("pro", "year", &[flat("base", "advance", "366.00"), own, with(calls("1"), json!({ "key": "all" }))]);
    let mut story = Story::start(&[body], "2024-01-01T05:00:00Z", json!({ "zone": "America/Bogota" }));
    story.until("2024-01-01T05:00:00Z");
    story.moves_to("Asia/Tokyo".parse().unwrap());
    for instant in [
        "2024-01-01T05:00:00Z",
        "2024-02-01T04:59:59Z",
        "2024-02-01T05:00:00Z",
        "2024-12-31T14:59:59Z",
        "2024-12-31T15:00:00Z",
    ] {
        story.uses("calls", instant, "1");
    }
    let lines = story.until("2024-12-31T15:00:00Z");
    assert_eq!(lines[2], "all usage 2024-01-01..2025-01-01 x4 = 400");
    assert_eq!(lines[1], "calls usage 2024-12-01..2025-01-01 = 100");
}

/// "A day on which a subscription is paused is not billed": by the zone in which the day began.
#[test]
fn days_that_have_passed_stay_the_old_zones() {
    let mut story = monthly();
    story.moves_to("Asia/Tokyo".parse().unwrap());
    // Still the 10th in Bogota.
    story.pause("2024-01-11T04:00:00Z");
    story.resume("2024-01-12T04:00:00Z");
    let lines = story.until("2024-02-01T05:00:00Z");
    assert_eq!(lines[0], "base proration 2024-01-10..2024-01-11 1/31 = -100");
}
