//! Timing, sentence by sentence.

use domain::InvoiceReason;
use serde_json::json;

use crate::story::{Story, calls, flat, plan, seats};

/// "One invoice per subscription and boundary carries the arrears of the ended period and the advance of the next,
/// lines in the plan's price order."
#[test]
fn a_boundary_is_one_invoice_in_the_plans_price_order() {
    let prices =
        [calls("0.10"), flat("base", "advance", "30.00"), flat("late", "arrears", "20.00"), seats("advance", "10.00")];
    let body = plan("pro", "month", &prices);
    let mut story = Story::start(&[body], "2023-04-01T08:00:00Z", json!({ "quantities": { "seats": "2" } }));
    story.uses("calls", "2023-04-01T07:59:59Z", "1000");
    story.uses("calls", "2023-04-01T08:00:00Z", "5");
    story.uses("calls", "2023-04-30T23:59:59Z", "6");
    story.uses("calls", "2023-05-01T00:00:00Z", "7");
    assert_eq!(
        story.until("2023-04-01T08:00:00Z"),
        ["base fixed 2023-04-01..2023-05-01 = 3000", "seats licensed 2023-04-01..2023-05-01 x2 = 2000",]
    );
    let first = &story.invoices[0];
    assert_eq!(
        (first.reason, first.issued_at),
        (InvoiceReason::SubscriptionCreate, "2023-04-01T08:00:00Z".parse().unwrap())
    );
    assert_eq!(
        story.until("2023-05-01"),
        [
            "calls usage 2023-04-01..2023-05-01 x11 = 110",
            "base fixed 2023-05-01..2023-06-01 = 3000",
            "late fixed 2023-04-01..2023-05-01 = 2000",
            "seats licensed 2023-05-01..2023-06-01 x2 = 2000",
        ]
    );
    let second = &story.invoices[1];
    assert_eq!((second.reason, second.issued_at), (InvoiceReason::Period, "2023-05-01T00:00:00Z".parse().unwrap()));
}

/// "In-advance prices are billed at the start of their period, in-arrears prices (all usage) after its end."
///
/// Worked example price-019: 30 a month in advance, videos at 2 for the first 5 and 1 after; the second invoice is
/// 48.
#[test]
fn price_019_the_second_invoice_carries_usage_and_the_next_base() {
    let videos = json!({ "key": "videos", "kind": "usage", "meter": "videos", "timing": "arrears",
        "model": { "type": "graduated", "tiers": [ { "up_to": "5", "unit_amount": "2" }, { "up_to": null, "unit_amount": "1" } ] } });
    let mut story =
        Story::start(&[plan("tv", "month", &[flat("base", "advance", "30.00"), videos])], "2023-04-01", json!({}));
    for day in 1..=13 {
        story.uses("videos", &format!("2023-04-{day:02}T12:00:00Z"), "1");
    }
    assert_eq!(
        story.until("2023-05-01"),
        ["base fixed 2023-05-01..2023-06-01 = 3000", "videos usage 2023-04-01..2023-05-01 x13 = 1800",]
    );
    assert_eq!(story.invoices[1].total_minor, 4_800);
}

/// "An invoice without lines is not issued; a usage line of amount zero is shown when its quantity is not zero."
///
/// An invoice without lines is not issued; a usage line of amount zero is shown when its quantity is not zero.
#[test]
fn nothing_to_show_is_no_invoice() {
    let mut story = Story::start(&[plan("free", "month", &[calls("0")])], "2023-04-01", json!({}));
    story.uses("calls", "2023-05-10T00:00:00Z", "7");
    assert_eq!(story.until("2023-05-01"), Vec::<String>::new());
    assert_eq!(story.until("2023-06-01"), ["calls usage 2023-05-01..2023-06-01 x7 = 0"]);
}

/// "A customer has an IANA time zone (default UTC); billing dates are local dates, and a period turns at local
/// midnight."
///
/// Worked example tz-001: a calendar month in Bogota turns at 05:00Z, once.
#[test]
fn tz_001_a_month_turns_at_local_midnight() {
    let body = plan("pro", "month", &[flat("base", "arrears", "30.00")]);
    let beginning = json!({ "cycle": "calendar", "zone": "America/Bogota" });
    let mut story = Story::start(&[body], "2023-02-02T19:00:00Z", beginning);
    for run in ["2023-03-01T00:00:00Z", "2023-03-01T04:59:59Z"] {
        assert_eq!(story.until(run), Vec::<String>::new());
    }
    for run in ["2023-03-01T05:00:00Z", "2023-03-01T06:00:00Z", "2023-03-02T05:00:00Z", "2023-03-03T05:00:00Z"] {
        assert_eq!(story.until(run), ["base fixed 2023-02-02..2023-03-01 27/28 = 2893"]);
    }
    assert_eq!(story.invoices.len(), 1);
    assert_eq!(story.invoices[0].issued_at, "2023-03-01T05:00:00Z".parse().unwrap());
}
