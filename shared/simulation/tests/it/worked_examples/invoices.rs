//! From lines to what is due: coupons, taxes, wallets, balance, credit notes.

use serde_json::{Value, json};

use crate::story::{act, briefs, fixed, invoice, nothing, plan, scenario, subscribe, told, usage, usage_price, with};

fn rates(percents: &[&str]) -> Value {
    percents.iter().map(|percent| json!({ "name": format!("VAT {percent}"), "percent": percent })).collect()
}

/// A one-off invoice of lines `l1`, `l2`, ... with these prices, before which other things have happened.
fn one_off(customer: Value, before: Vec<Value>, amounts: &[&str]) -> Value {
    let lines =
        (1..).zip(amounts).map(|(number, amount)| json!({ "key": format!("l{number}"), "unit_amount": amount }));
    let lines = json!({ "lines": lines.collect::<Vec<_>>() });
    let timeline = [before, vec![act("2024-01-10", "one_off", lines)]].concat();
    let story = scenario(Vec::new(), timeline, "2024-02-01");
    let of = with(json!({ "currency": "usd" }), customer);
    with(story, json!({ "customer": of }))
}

/// (discount, tax) of each line of an invoice.
fn discounts_and_taxes(output: &simulation::Output, number: usize) -> Vec<(i64, i64)> {
    invoice(output, number).lines.iter().map(|line| (line.discount_minor, line.tax_minor)).collect()
}

/// A fixed coupon is spread pro rata before each line is taxed at its own rates, the minimum's line with its price's.
#[test]
fn tax_001_a_coupon_is_spread_over_lines_of_mixed_rates() {
    let cards = usage_price("cards", json!({ "type": "per_unit", "unit_amount": "1" }));
    let prices = vec![
        with(fixed("plan", "arrears", "100.00"), json!({ "tax_rates": rates(&["10"]) })),
        with(fixed("fx", "arrears", "50.00"), json!({ "tax_rates": rates(&["0"]) })),
        with(cards, json!({ "tax_rates": rates(&["20"]), "min_amount_minor": 5_000 })),
    ];
    let start = with(subscribe("2024-01-01", "p"), json!({ "coupons": ["ten"] }));
    let story = scenario(vec![plan("p", "month", prices)], vec![start, usage("2024-01-05", "30")], "2024-02-01");
    let ten = json!([{ "key": "ten", "amount_off_minor": 1_000, "duration": "once" }]);
    let output = told(&with(story, json!({ "coupons": ten })));
    assert_eq!(
        briefs(&output, 1),
        [
            "plan fixed 2024-01-01..2024-02-01 10000",
            "fx fixed 2024-01-01..2024-02-01 5000",
            "cards usage 2024-01-01..2024-02-01 3000",
            "cards minimum 2024-01-01..2024-02-01 2000",
        ]
    );
    assert_eq!(discounts_and_taxes(&output, 1), [(500, 950), (250, 0), (150, 570), (100, 380)]);
    let first = invoice(&output, 1);
    assert_eq!((first.subtotal_minor, first.discount_minor), (20_000, 1_000));
    assert_eq!((first.tax_minor, first.total_minor), (1_900, 20_900));
}

/// The source takes coupons of lines before those of the invoice, and counts the wallet into the total; we take coupons in
/// the order they were applied, and a wallet pays the total. In the source's order the sums are its own: 75.78, of which
/// 70.78 are due. In the other order 10.00 come off 80.00 and 20.00 as 8.00 and 2.00, then a quarter off 72.00.
#[test]
fn coupon_003_coupons_count_in_the_order_they_were_applied() {
    let prices =
        vec![usage_price("use", json!({ "type": "per_unit", "unit_amount": "1" })), fixed("flat", "arrears", "20.00")];
    let coupons = json!([
        { "key": "quarter", "percent_off": "25", "duration": "once", "applies_to": ["use"] },
        { "key": "ten", "amount_off_minor": 1_000, "duration": "once" },
    ]);
    for (order, discounts, net, tax) in
        [(["quarter", "ten"], [2_750, 250], 7_000, 578), (["ten", "quarter"], [2_600, 200], 7_200, 594)]
    {
        let start = with(subscribe("2024-01-01", "p"), json!({ "coupons": order }));
        let wallet = act("2024-01-02", "top_up_wallet", json!({ "amount_minor": 500 }));
        let timeline = vec![start, wallet, usage("2024-01-05", "80")];
        let output = told(&with(
            scenario(vec![plan("p", "month", prices.clone())], timeline, "2024-02-01"),
            json!({ "coupons": coupons, "customer": { "currency": "usd", "tax_rates": rates(&["8.25"]) } }),
        ));
        let first = invoice(&output, 1);
        let taken: Vec<i64> = first.lines.iter().map(|line| line.discount_minor).collect();
        assert_eq!(taken, discounts, "{order:?}");
        assert_eq!((first.subtotal_minor - first.discount_minor, first.tax_minor), (net, tax), "{order:?}");
        assert_eq!((first.total_minor, first.wallet_applied_minor), (net + tax, 500), "{order:?}");
        assert_eq!(first.amount_due_minor, net + tax - 500, "{order:?}");
    }
}

/// A tenth off, and a tenth off what is left; both rates are taken of the same net amount.
#[test]
fn coupon_004_coupons_compound_and_rates_do_not() {
    let tenth = |key: &str| json!({ "key": key, "percent_off": "10", "duration": "forever" });
    let start = with(subscribe("2024-01-01", "p"), json!({ "coupons": ["one", "two"] }));
    let plan = plan("p", "month", vec![fixed("base", "advance", "100.00")]);
    for (percents, tax) in [(&["5"][..], 405), (&["10"], 810), (&["5", "10"], 1_215)] {
        let output = told(&with(
            scenario(vec![plan.clone()], vec![start.clone()], "2024-01-02"),
            json!({ "coupons": [tenth("one"), tenth("two")],
                    "customer": { "currency": "usd", "tax_rates": rates(percents) } }),
        ));
        let first = invoice(&output, 1);
        assert_eq!(
            (first.discount_minor, first.tax_minor, first.total_minor),
            (1_900, tax, 8_100 + tax),
            "{percents:?}"
        );
    }
}

/// 0.0645 and 0.726, rounded by line.
#[test]
fn tax_002_tax_rounded_by_line() {
    let customer = json!({ "tax_rates": rates(&["15"]), "tax_rounding": "line" });
    let output = told(&one_off(customer, Vec::new(), &["0.43", "4.84"]));
    assert_eq!(discounts_and_taxes(&output, 1), [(0, 6), (0, 73)]);
    assert_eq!((invoice(&output, 1).tax_minor, invoice(&output, 1).total_minor), (79, 606));
}

/// The source issues a credit note for the 29 days; we give the same amounts as a negative line of a cancel invoice, whose
/// total below zero goes to the balance.
#[test]
fn cn_001_a_cancellation_on_the_first_day_gives_back_the_other_29() {
    let plan = plan("p", "month", vec![fixed("base", "advance", "200.00")]);
    let cancel = act("2025-09-18T15:00:00Z", "cancel", json!({ "subscription": "s1", "when": "now" }));
    let output = told(&with(
        scenario(vec![plan], vec![subscribe("2025-09-18", "p"), cancel], "2025-10-18"),
        json!({ "customer": { "currency": "usd", "tax_rates": rates(&["25"]) } }),
    ));
    assert_eq!(invoice(&output, 1).total_minor, 25_000);
    assert_eq!(briefs(&output, 2), ["base proration 2025-09-19..2025-10-18 29/30 -19333"]);
    let cancelled = invoice(&output, 2);
    assert_eq!((cancelled.subtotal_minor, cancelled.tax_minor, cancelled.total_minor), (-19_333, -4_833, 0));
    assert_eq!((output.customer.balance_minor, output.invoices.len()), (24_166, 2));
    assert_eq!(output.credit_notes, []);
}

/// Each note restores its lines' share of discount and tax; both together are the invoice. Ours show positive amounts.
#[test]
fn cn_006_partial_credit_notes_sum_to_the_invoice() {
    let amounts = [("a", "10.00"), ("b", "20.00"), ("c", "30.00"), ("d", "40.00")];
    let prices = amounts.iter().map(|(key, amount)| fixed(key, "advance", amount)).collect();
    let note = |lines: [(u32, i64); 2]| {
        let lines = lines.map(|(line, amount_minor)| json!({ "line": line, "amount_minor": amount_minor }));
        act("2024-01-02", "credit_note", json!({ "invoice": 1, "lines": lines }))
    };
    let timeline = vec![
        with(subscribe("2024-01-01", "p"), json!({ "coupons": ["tenth"] })),
        note([(1, 1_000), (2, 2_000)]),
        note([(3, 3_000), (4, 4_000)]),
    ];
    let output = told(&with(
        scenario(vec![plan("p", "month", prices)], timeline, "2024-01-03"),
        json!({ "coupons": [{ "key": "tenth", "percent_off": "10", "duration": "once" }],
                "customer": { "currency": "usd", "tax_rates": rates(&["10"]) } }),
    ));
    let first = invoice(&output, 1);
    assert_eq!((first.subtotal_minor, first.discount_minor), (10_000, 1_000));
    assert_eq!((first.tax_minor, first.total_minor), (900, 9_900));
    let notes = output.credit_notes.iter();
    let notes: Vec<_> =
        notes.map(|note| [note.amount_minor, note.discount_minor, note.tax_minor, note.total_minor]).collect();
    assert_eq!(notes, [[3_000, 300, 270, 2_970], [7_000, 700, 630, 6_930]]);
    assert_eq!((first.amount_due_minor, output.customer.balance_minor), (0, 0));
}

/// A balance in the customer's favour pays first.
#[test]
fn cn_008_a_balance_pays_a_part_of_a_charge() {
    let credit = act("2024-01-01", "credit_balance", json!({ "amount_minor": 2_000 }));
    let output = told(&one_off(nothing(), vec![credit], &["100"]));
    let first = invoice(&output, 1);
    assert_eq!((first.total_minor, first.credit_applied_minor, first.amount_due_minor), (10_000, 2_000, 8_000));
    assert_eq!(output.customer.balance_minor, 0);
}

/// Each fee is rounded once, on its line; the tax is that of all lines, rounded once; the wallet pays what it comes to.
#[test]
fn wallet_002_small_fees_are_rounded_by_line_and_their_tax_once() {
    let wallet = act("2024-01-01", "top_up_wallet", json!({ "amount_minor": 100 }));
    let output = told(&one_off(json!({ "tax_rates": rates(&["40"]) }), vec![wallet], &["0.014"; 8]));
    let first = invoice(&output, 1);
    assert_eq!((first.subtotal_minor, first.tax_minor, first.total_minor), (8, 3, 11));
    assert_eq!((first.wallet_applied_minor, first.amount_due_minor), (11, 0));
    assert_eq!(output.customer.wallet_minor, 89);
}
