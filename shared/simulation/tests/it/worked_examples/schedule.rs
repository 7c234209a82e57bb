//! When a subscription is billed: anchors, local midnights, and billing runs that come late.

use serde_json::json;

use crate::story::{
    act, briefs, fixed, invoice, issue_days, lines_of, plan, result, scenario, subscribe, told, totals, with,
};

/// The days on which a monthly subscription from a day on is billed, after that day, up to the end of another.
fn monthly(start: &str, until: &str) -> Vec<String> {
    let plan = plan("p", "month", vec![fixed("base", "advance", "35.00")]);
    let output = told(&scenario(vec![plan], vec![subscribe(start, "p")], until));
    assert!(output.invoices.iter().all(|invoice| invoice.total_minor == 3_500), "no part of a month is billed");
    issue_days(&output).split_off(1)
}

/// Monthly on the 31st: the last day of shorter months, and back to the 31st.
#[test]
fn sched_001_an_anchor_on_the_31st_does_not_drift() {
    let expected = [
        "2023-01-31",
        "2023-02-28",
        "2023-03-31",
        "2023-04-30",
        "2023-05-31",
        "2023-06-30",
        "2023-07-31",
        "2023-08-31",
        "2023-09-30",
        "2023-10-31",
        "2023-11-30",
        "2023-12-31",
        "2024-01-31",
        "2024-02-29",
        "2024-03-31",
    ];
    assert_eq!(monthly("2022-12-31", "2024-03-31"), expected);
}

/// February 28 is a day, not the end of a month.
#[test]
fn sched_003_an_anchor_on_february_28_stays_on_the_28th() {
    let days = monthly("2022-02-28", "2023-12-31");
    let expected: Vec<String> = (1..=12).map(|month| format!("2023-{month:02}-28")).collect();
    assert_eq!(days[10..], expected);
}

/// From January 31, in a common year and in a leap year.
#[test]
fn sched_006_months_after_january_31() {
    assert_eq!(monthly("2023-01-31", "2023-04-30"), ["2023-02-28", "2023-03-31", "2023-04-30"]);
    assert_eq!(monthly("2024-01-31", "2024-04-30"), ["2024-02-29", "2024-03-31", "2024-04-30"]);
}

/// Each clamped date bills the whole price.
#[test]
fn sched_008_each_clamped_date_bills_in_full() {
    let plan = plan("p", "month", vec![fixed("base", "advance", "35.00")]);
    let output = told(&scenario(vec![plan], vec![subscribe("2024-01-31", "p")], "2024-04-30"));
    assert_eq!(issue_days(&output), ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]);
    assert_eq!(totals(&output), [3_500; 4]);
}

/// The first boundary is the first anchor day on or after the start; a start on it is that boundary.
#[test]
fn sched_011_the_first_boundary_after_a_start() {
    for (start, anchor_day, first) in [
        ("2012-01-16", 17, "2012-01-17"),
        ("2012-02-16", 30, "2012-02-29"),
        ("2012-01-31", 30, "2012-02-29"),
        ("2012-02-16", 14, "2012-03-14"),
        ("2012-07-16", 15, "2012-08-15"),
        ("2012-03-02", 3, "2012-03-03"),
        ("2012-03-03", 3, "2012-03-03"),
        ("2012-03-04", 3, "2012-04-03"),
    ] {
        let plan = plan("p", "month", vec![fixed("base", "advance", "31.00")]);
        let anchored = with(subscribe(start, "p"), json!({ "anchor_day": anchor_day }));
        let output = told(&scenario(vec![plan], vec![anchored], "2012-10-01"));
        let full = lines_of(&output, "base").into_iter().find(|line| line.proration.is_none()).expect("a full period");
        assert_eq!(full.period.start.to_string(), first, "{start}, {anchor_day}");
    }
}

/// A month turns at the customer's midnight, whenever and however often billing looks.
#[test]
fn tz_001_a_month_in_bogota_turns_at_five_utc_and_once() {
    let plan = plan("p", "month", vec![fixed("base", "advance", "28.00")]);
    let start = with(subscribe("2023-02-02T19:00:00Z", "p"), json!({ "billing_cycle": "calendar" }));
    let story = |until: &str| {
        let told = told(&with(
            scenario(vec![plan.clone()], vec![start.clone()], until),
            json!({ "customer": { "currency": "usd", "timezone": "America/Bogota" } }),
        ));
        told.invoices[1..].iter().map(|invoice| invoice.issued_at.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(story("2023-03-01T00:00:00Z"), Vec::<String>::new());
    assert_eq!(story("2023-03-01T04:59:59Z"), Vec::<String>::new());
    for run in ["2023-03-01T05:00:00Z", "2023-03-01T06:00:00Z", "2023-03-02T04:00:00Z", "2023-03-02T05:00:00Z"] {
        assert_eq!(story(run), ["2023-03-01T05:00:00Z"], "{run}");
    }
    assert_eq!(story("2023-03-03T05:00:00Z"), ["2023-03-01T05:00:00Z"]);
}

/// Days are differences of local dates, however long they were: what was provided between two instants is so many days.
#[test]
fn tz_003_days_of_23_and_25_hours_count_as_one() {
    for (zone, from, to, days) in [
        ("America/New_York", "2024-03-09T00:00:00Z", "2024-03-11T00:00:00Z", 2),
        ("America/New_York", "2024-11-02T00:00:00Z", "2024-11-04T00:00:00Z", 2),
        ("Australia/Sydney", "2024-04-06T00:00:00Z", "2024-04-08T00:00:00Z", 2),
        ("Europe/London", "2024-07-30T00:00:00Z", "2024-08-02T00:00:00Z", 3),
        ("Europe/Berlin", "2024-05-01T08:00:00Z", "2024-05-01T17:00:00Z", 0),
    ] {
        let plans = ["a", "b"].map(|key| plan(key, "year", vec![fixed(key, "arrears", "366.00")]));
        let change = act(to, "change", json!({ "subscription": "s1", "plan": "b", "when": "now" }));
        let output = told(&with(
            scenario(plans.to_vec(), vec![subscribe(from, "a"), change], to),
            json!({ "customer": { "currency": "usd", "timezone": zone } }),
        ));
        let billed: i64 = lines_of(&output, "a").iter().map(|line| line.period.days()).sum();
        assert_eq!(billed, days, "{zone}, {from}");
        // A part of no day bills nothing.
        assert_eq!(output.invoices.len(), usize::from(days > 0), "{zone}, {from}");
    }
}

/// A scheduler that was down bills late, but bills the boundaries it missed. That a run after missed boundaries bills each of
/// them once is told by the tests of `billing` about catching up; here is the invoice it then has to make: dated by the
/// boundary, for the period it should have had.
#[test]
fn run_001_an_invoice_that_comes_late_has_the_period_it_should_have_had() {
    let plan = plan("p", "month", vec![fixed("base", "arrears", "31.00")]);
    let output = told(&scenario(vec![plan], vec![subscribe("2024-03-10", "p")], "2024-04-11"));
    assert_eq!(issue_days(&output), ["2024-04-10"]);
    assert_eq!(briefs(&output, 1), ["base fixed 2024-03-10..2024-04-10 3100"]);
}

/// One period billed by several jobs at once is one invoice. Runs that race are told by the tests of `billing` about runs;
/// here is what makes them harmless: the same story gives the same invoice, byte by byte.
#[test]
fn run_002_a_period_that_is_billed_again_gives_the_same_invoice() {
    let plan = plan("p", "month", vec![fixed("base", "advance", "31.00"), fixed("late", "arrears", "0.10")]);
    let story = scenario(vec![plan], vec![subscribe("2024-03-10", "p")], "2024-04-10");
    let runs: Vec<_> = (0..3).map(|_| serde_json::to_string(&told(&story)).expect("JSON")).collect();
    assert!(runs.iter().all(|run| *run == runs[0]));
    let periodic =
        told(&story).invoices.iter().filter(|invoice| invoice.issued_at.to_string() >= "2024-04".into()).count();
    assert_eq!(periodic, 1);
}

/// A cancellation after the boundary, before its job has run: whoever comes first, the boundary is billed before the
/// cancellation, as the tests of `billing` about catching up tell; here are the days: each is billed once.
#[test]
fn run_005_a_boundary_and_a_cancellation_bill_no_day_twice() {
    let plan = plan("p", "month", vec![fixed("late", "arrears", "31.00"), fixed("early", "advance", "30.00")]);
    for instant in ["2024-04-10T00:00:00Z", "2024-04-10T09:00:00Z"] {
        let cancel = act(instant, "cancel", json!({ "subscription": "s1", "when": "now" }));
        let output = told(&scenario(vec![plan.clone()], vec![subscribe("2024-03-10", "p"), cancel], "2024-05-20"));
        assert_eq!(
            briefs(&output, 2),
            ["late fixed 2024-03-10..2024-04-10 3100", "early fixed 2024-04-10..2024-05-10 3000"]
        );
        // 31.00 x 1/30 and -30.00 x 29/30; the day of the cancellation is a used one.
        assert_eq!(
            briefs(&output, 3),
            ["late fixed 2024-04-10..2024-04-11 1/30 103", "early proration 2024-04-11..2024-05-10 29/30 -2900"]
        );
        assert_eq!(output.invoices.len(), 3);
        assert_eq!((invoice(&output, 3).total_minor, output.customer.balance_minor), (0, 2_797));
    }
    // The same day once more is refused: the subscription is over.
    let twice =
        ["2024-04-10", "2024-04-11"].map(|day| act(day, "cancel", json!({ "subscription": "s1", "when": "now" })));
    let story = scenario(vec![plan], [vec![subscribe("2024-03-10", "p")], twice.to_vec()].concat(), "2024-05-20");
    let refused = result(&story).expect_err("an error");
    assert!(refused.starts_with("timeline[2].subscription does not allow this"), "{refused}");
}
