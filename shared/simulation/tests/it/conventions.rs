//! The conventions of docs/billing.md: each is quoted, word by word, by the test that keeps it.
//!
//! Whoever looks for a sentence's test searches for the sentence. Most stand in `shared/domain`, beside the rule or in its
//! tests; those that only a whole story shows are here. The numbers of the models' tables are checked here as well.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::story::{
    act, amounts_of, at, briefs, fixed, invoice, issue_days, plan, result, scenario, subscribe, told, totals, usage,
    usage_price, users, with,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The part of docs/billing.md between two marks.
fn part_of_the_page(name: &str) -> String {
    let page = fs::read_to_string(root().join("docs/billing.md")).expect("the page");
    let (begin, end) = (format!("<!-- {name}: begin -->"), format!("<!-- {name}: end -->"));
    let (_, rest) = page.split_once(&begin).expect("a beginning");
    rest.split_once(&end).expect("an end").0.to_owned()
}

/// Every convention, without its example.
fn conventions() -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in part_of_the_page("conventions").lines() {
        if let Some(begun) = line.strip_prefix("- ") {
            found.push(begun.to_owned());
        } else if let (Some(more), Some(last)) = (line.strip_prefix("  "), found.last_mut()) {
            last.push_str(&format!(" {more}"));
        }
    }
    found.iter().map(|one| one.split(" Example: ").next().unwrap_or_default().to_owned()).collect()
}

/// The comments above tests and modules of tests: all that is said in `///` and `//!`, as running text.
fn comments(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            text.push_str(&comments(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = fs::read_to_string(&path).expect("a file");
            let lines = file.lines().filter_map(|line| line.trim_start().strip_prefix("///"));
            lines.for_each(|line| text.push_str(&format!(" {}", line.trim())));
        }
    }
    text
}

#[test]
fn every_convention_is_quoted_by_a_test() {
    let folders = ["shared/domain/src", "shared/domain/tests", "shared/simulation/tests"];
    let quoted: String = folders.iter().map(|folder| comments(&root().join(folder))).collect();
    let conventions = conventions();
    assert!(conventions.len() > 90, "{} conventions", conventions.len());
    let missing: Vec<_> = conventions.iter().filter(|one| !quoted.contains(&format!("\"{one}\""))).collect();
    assert!(missing.is_empty(), "no test quotes {missing:#?}");
}

/// What a price of a model costs, and how.
fn cost(model: &Value, units: &str) -> (String, String) {
    let is_usage = !matches!(model["type"].as_str(), Some("flat"));
    let price = if is_usage { usage_price("price", model.clone()) } else { fixed("price", "arrears", "49.00") };
    let story = scenario(vec![plan("p", "month", vec![price])], users("2024-01-01", "p", &[units]), "2024-02-01");
    let output = told(&story);
    // What comes to nothing at quantity 0 is no line.
    let Some(first) = output.invoices.first() else { return ("0.00".to_owned(), String::new()) };
    let line = &first.lines[0];
    (format!("{}.{:02}", line.amount_minor / 100, line.amount_minor % 100), line.explain.clone())
}

/// Each table says what so many units cost by the model above it.
#[test]
fn the_tables_of_models_are_true() {
    let part = part_of_the_page("models");
    let mut rows = 0;
    for block in part.split("```json").skip(1) {
        let (model, table) = block.split_once("```").expect("the end of a model");
        let model: Value = serde_json::from_str(model).expect("a model");
        for row in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| units")) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            assert_eq!(cost(&model, cells[0]), (cells[1].to_owned(), cells[2].to_owned()), "{row}");
            rows += 1;
        }
    }
    assert_eq!(rows, 16);
}

fn units(unit_amount: &str) -> Value {
    usage_price("use", json!({ "type": "per_unit", "unit_amount": unit_amount }))
}

fn month(prices: Vec<Value>) -> Value {
    plan("p", "month", prices)
}

/// "Arithmetic is exact until the one rounding."
#[test]
fn a_hundred_small_events_are_rounded_together() {
    let events = (0..100).map(|minute| usage(&format!("2024-01-02T01:{:02}:{:02}Z", minute / 60, minute % 60), "1"));
    let timeline = [subscribe("2024-01-01", "p")].into_iter().chain(events).collect();
    assert_eq!(totals(&told(&scenario(vec![month(vec![units("0.0049")])], timeline, "2024-02-01"))), [49]);
}

/// "An amount that does not fit 64 bits is an error, never a wrap."
#[test]
fn an_amount_that_does_not_fit_is_refused_where_it_is_owed() {
    let story = users("2024-01-01", "p", &["999999999999"]);
    let refused = result(&scenario(vec![month(vec![units("999999999999")])], story, "2024-02-01")).unwrap_err();
    assert_eq!(
        refused,
        "timeline[0] cannot be billed at 2024-02-01: price `use` cannot be billed: the amount is too large to be computed exactly"
    );
}

/// "Events carry instants and count in the local day they fall in."
#[test]
fn an_event_of_the_evening_is_the_months_that_ends() {
    let timeline = vec![
        with(subscribe("2024-01-10T05:00:00Z", "p"), json!({ "billing_cycle": "calendar" })),
        usage("2024-02-01T02:00:00Z", "1"),
        usage("2024-02-01T05:00:00Z", "10"),
    ];
    let customer = json!({ "customer": { "currency": "usd", "timezone": "America/New_York" } });
    let output = told(&with(scenario(vec![month(vec![units("1")])], timeline, "2024-03-02"), customer));
    assert_eq!(briefs(&output, 1), ["use usage 2024-01-10..2024-02-01 22/31 100"]);
    assert_eq!(briefs(&output, 2), ["use usage 2024-02-01..2024-03-01 1000"]);
}

/// "In a calendar cycle a count above 1 is counted from January, and refused for weeks and days."
#[test]
fn several_months_are_counted_from_january() {
    let every = |interval: &str, count: u16| {
        let plan = with(plan("p", interval, vec![fixed("base", "arrears", "1")]), json!({ "interval_count": count }));
        let start = with(subscribe("2024-02-15", "p"), json!({ "billing_cycle": "calendar" }));
        result(&scenario(vec![plan], vec![start], "2024-07-01"))
    };
    assert_eq!(issue_days(&every("month", 3).unwrap()), ["2024-04-01", "2024-07-01"]);
    for interval in ["week", "day"] {
        let refused = every(interval, 2).unwrap_err();
        assert_eq!(refused, "timeline[0].billing_cycle cannot be calendar for several weeks or days");
    }
}

/// "Whatever was missed is billed boundary by boundary, each once, with its own dates."
#[test]
fn fourteen_months_are_fourteen_invoices() {
    let story = |until: &str| {
        told(&scenario(vec![month(vec![fixed("base", "arrears", "31.00")])], vec![subscribe("2023-01-31", "p")], until))
    };
    let output = story("2024-03-31");
    assert_eq!((output.invoices.len(), totals(&output)), (14, vec![3_100; 14]));
    assert_eq!(briefs(&output, 1), ["base fixed 2023-01-31..2023-02-28 3100"]);
    assert_eq!(briefs(&output, 13), ["base fixed 2024-01-31..2024-02-29 3100"]);
}

/// "Days of a pause that goes on over a boundary are not billed ahead; the rest of the period is billed when it resumes."
#[test]
fn a_pause_over_a_boundary_is_billed_from_its_end() {
    let of_it = || json!({ "subscription": "s1" });
    let timeline = vec![
        subscribe("2024-01-01", "p"),
        act("2024-01-22", "pause", of_it()),
        act("2024-02-11T09:00:00Z", "resume", of_it()),
    ];
    let output = told(&scenario(vec![month(vec![fixed("base", "advance", "31.00")])], timeline, "2024-03-01"));
    // The credit of January waits for an invoice: February's is not billed at its boundary.
    assert_eq!(briefs(&output, 2), ["base proration 2024-01-22..2024-02-01 10/31 -1000"]);
    assert_eq!(briefs(&output, 3), ["base fixed 2024-02-11..2024-03-01 19/29 2031"]);
}

/// "Usage is not prorated: it is what was used."
#[test]
fn usage_of_a_stub_is_what_was_used() {
    let start = with(subscribe("2024-01-21", "p"), json!({ "billing_cycle": "calendar" }));
    let timeline = vec![start, usage("2024-01-22", "4")];
    let output = told(&scenario(vec![month(vec![units("0.10")])], timeline, "2024-02-01"));
    assert_eq!(briefs(&output, 1), ["use usage 2024-01-21..2024-02-01 11/31 40"]);
}

/// "When is left out: an upgrade is now, a downgrade at period end."
#[test]
fn a_change_is_now_if_it_costs_no_less() {
    let plans = ["30.00", "60.00", "20.00"].iter().zip(["p", "more", "less"]);
    let plans = plans.map(|(amount, key)| plan(key, "month", vec![fixed("base", "advance", amount)])).collect();
    let to = |instant: &str, plan: &str| act(instant, "change", json!({ "subscription": "s1", "plan": plan }));
    let timeline = vec![subscribe("2024-04-01", "p"), to("2024-04-16", "more"), to("2024-04-20", "less")];
    let output = told(&scenario(plans, timeline, "2024-05-01"));
    assert_eq!(issue_days(&output), ["2024-04-01", "2024-04-16", "2024-05-01"]);
    assert_eq!(
        briefs(&output, 2),
        ["base proration 2024-04-16..2024-05-01 15/30 -1500", "base fixed 2024-04-16..2024-05-01 15/30 3000"]
    );
    assert_eq!(briefs(&output, 3), ["base fixed 2024-05-01..2024-06-01 2000"]);
}

/// January's story of a meter that is told in February, too.
fn late(meter: Value, price: Value) -> simulation::Output {
    let late = with(usage("2024-01-20", "10"), json!({ "received_at": at("2024-02-10") }));
    let timeline = vec![subscribe("2024-01-01", "p"), usage("2024-01-10", "2"), late];
    let story = scenario(vec![month(vec![price])], timeline, "2024-03-01");
    let units = json!({ "key": "units", "aggregation": "sum", "value_property": "value" });
    told(&with(story, json!({ "meters": [with(units, meter)] })))
}

/// "A late event (its period already billed) makes an adjustment line on the next invoice, which is the re-rated period
/// less what was billed, or is ignored with a record, as its meter says."
#[test]
fn late_usage_is_adjusted_or_ignored() {
    let tiers = json!([{ "up_to": "5", "unit_amount": "1" }, { "up_to": null, "unit_amount": "0.5" }]);
    let price = usage_price("use", json!({ "type": "graduated", "tiers": tiers }));
    let output = late(json!({}), price.clone());
    assert_eq!(briefs(&output, 1), ["use usage 2024-01-01..2024-02-01 200"]);
    // Twelve units cost 8.50.
    assert_eq!(briefs(&output, 2), ["use adjustment 2024-01-01..2024-02-01 650"]);
    assert_eq!(invoice(&output, 2).lines[0].explain, "5 x 1 + 7 x 0.5 = 8.50 for the period; less 2.00 billed = 6.50");
    assert_eq!(late(json!({ "late_policy": "ignore" }), price).invoices.len(), 1);
}

/// "Late usage uses up first what a minimum has added."
#[test]
fn late_usage_uses_up_a_minimum() {
    let output = late(json!({}), with(units("1"), json!({ "min_amount_minor": 900 })));
    assert_eq!(amounts_of(&output, "use"), [200, 700, 300, 900]);
}

/// "An open draft is refreshed by late events."
#[test]
fn a_draft_counts_what_comes_until_it_is_finalised() {
    let late = |value: &str, received: &str| with(usage("2024-01-20", value), json!({ "received_at": at(received) }));
    let timeline = vec![subscribe("2024-01-01", "p"), late("1", "2024-02-03"), late("10", "2024-02-05")];
    let grace = json!({ "customer": { "currency": "usd", "invoice_grace_days": 3 } });
    let prices = vec![fixed("base", "arrears", "31.00"), units("1")];
    let output = told(&with(scenario(vec![month(prices)], timeline, "2024-03-10"), grace));
    assert_eq!(briefs(&output, 1)[1], "use usage 2024-01-01..2024-02-01 100");
    assert_eq!(briefs(&output, 2)[1], "use adjustment 2024-01-01..2024-02-01 1000");
}

/// "A correction is an event that names the one it replaces and counts at its own time; replacing an unknown one is
/// refused."
#[test]
fn a_correction_counts_at_its_own_time() {
    let event = |instant: &str, value: &str, more: Value| with(usage(instant, value), more);
    let story = |replaced: &str| {
        let timeline = vec![
            subscribe("2024-01-01", "p"),
            event("2024-01-31", "7", json!({ "id": "wrong" })),
            event("2024-02-02", "5", json!({ "id": "right", "replaces": replaced })),
        ];
        result(&scenario(vec![month(vec![units("1")])], timeline, "2024-03-01"))
    };
    let output = story("wrong").unwrap();
    assert_eq!(briefs(&output, 1), ["use usage 2024-01-01..2024-02-01 700"]);
    assert_eq!(
        briefs(&output, 2),
        ["use adjustment 2024-01-01..2024-02-01 -700", "use usage 2024-02-01..2024-03-01 500"]
    );
    assert_eq!(story("never").unwrap_err(), "timeline[2].replaces is no event that counts: `never`");
}

/// "Usage of a known customer at a time that no subscription covers is kept, and billed if a subscription that covers it
/// is created while that period is unbilled."
#[test]
fn usage_may_come_before_the_subscription_that_covers_it() {
    let early = |happened: &str, value: &str| with(usage(happened, value), json!({ "received_at": at(happened) }));
    // The day before the start is covered by no subscription; the instant of the start is, though it is reported first.
    let timeline = vec![early("2024-01-09", "100"), early("2024-01-10", "5"), subscribe("2024-01-10", "p")];
    let output = told(&scenario(vec![month(vec![units("1")])], timeline, "2024-02-10"));
    assert_eq!(briefs(&output, 1), ["use usage 2024-01-10..2024-02-10 500"]);
}

/// "The order is lines, coupons, tax, wallet, customer balance."
#[test]
fn coupons_come_before_tax_and_credit_after_it() {
    let timeline = vec![
        act("2024-01-01", "credit_balance", json!({ "amount_minor": 4_000 })),
        act("2024-01-01", "top_up_wallet", json!({ "amount_minor": 5_000 })),
        with(subscribe("2024-01-01", "p"), json!({ "coupons": ["ten"] })),
    ];
    let story = scenario(vec![month(vec![fixed("base", "advance", "100.00")])], timeline, "2024-01-02");
    let output = told(&with(
        story,
        json!({ "coupons": [{ "key": "ten", "percent_off": "10", "duration": "once" }],
                "customer": { "currency": "usd", "tax_rates": [{ "name": "VAT", "percent": "20" }] } }),
    ));
    let first = invoice(&output, 1);
    assert_eq!((first.subtotal_minor, first.discount_minor, first.tax_minor), (10_000, 1_000, 1_800));
    assert_eq!((first.total_minor, first.wallet_applied_minor, first.credit_applied_minor), (10_800, 5_000, 4_000));
    assert_eq!(first.amount_due_minor, 1_800);
}

/// "An invoice with nothing due is paid at once, without an attempt."
#[test]
fn a_free_plan_is_paid_at_once() {
    let story =
        scenario(vec![month(vec![fixed("base", "advance", "0")])], vec![subscribe("2024-01-01", "p")], "2024-01-02");
    let output = told(&story);
    assert_eq!((json!(invoice(&output, 1).status), totals(&output)), (json!("paid"), vec![0]));
    let pay = act("2024-01-02", "pay", json!({ "invoice": 1, "outcome": "succeeded" }));
    let timeline = json!({ "timeline": [subscribe("2024-01-01", "p"), pay] });
    assert_eq!(result(&with(story, timeline)).unwrap_err(), "timeline[1].invoice is not open: 1 is paid");
}

/// "Voiding restores balance and wallet, not coupon use."
#[test]
fn a_void_invoice_gives_back_what_paid_it() {
    let timeline = vec![
        act("2024-01-01", "credit_balance", json!({ "amount_minor": 1_000 })),
        act("2024-01-01", "top_up_wallet", json!({ "amount_minor": 2_000 })),
        with(subscribe("2024-01-01", "p"), json!({ "coupons": ["half"] })),
        act("2024-01-02", "void", json!({ "invoice": 1 })),
    ];
    let coupons = json!({ "coupons": [{ "key": "half", "percent_off": "50", "duration": "once" }] });
    let prices = vec![fixed("base", "advance", "100.00")];
    let told_until =
        |until: &str| told(&with(scenario(vec![month(prices.clone())], timeline.clone(), until), coupons.clone()));
    let output = told_until("2024-01-31");
    assert_eq!((invoice(&output, 1).wallet_applied_minor, invoice(&output, 1).credit_applied_minor), (2_000, 1_000));
    assert_eq!((output.customer.wallet_minor, output.customer.balance_minor), (2_000, 1_000));
    // The coupon has been used.
    assert_eq!(invoice(&told_until("2024-02-01"), 2).discount_minor, 0);
}
