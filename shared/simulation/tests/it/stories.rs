//! The order of things: what comes first at one instant, what counts when, what cannot happen.

use serde_json::{Value, json};
use simulation::{Scenario, simulate};

/// A plan of 30.00 a month in advance and 0.10 per call; nothing happens yet.
fn scenario(timeline: Value) -> Value {
    json!({
        "customer": { "currency": "usd" },
        "meters": [{ "key": "calls", "aggregation": "sum", "value_property": "value" }],
        "plans": [{ "key": "pro", "currency": "usd", "interval": "month", "prices": [
            { "key": "base", "kind": "fixed", "timing": "advance", "model": { "type": "flat", "amount": "30.00" } },
            { "key": "calls", "kind": "usage", "timing": "arrears", "meter": "calls",
              "model": { "type": "per_unit", "unit_amount": "0.10" } },
        ] }],
        "timeline": timeline,
        "until": "2024-03-01T00:00:00Z",
    })
}

fn told(scenario: &Value) -> Result<Value, String> {
    let scenario = Scenario::parse(scenario.to_string().as_bytes()).map_err(|error| error.to_string())?;
    let output = simulate(&scenario).map_err(|error| error.to_string())?;
    Ok(serde_json::to_value(output).expect("JSON"))
}

fn subscribe(at: &str, name: &str) -> Value {
    json!({ "at": at, "do": "subscribe", "subscription": name, "plan": "pro" })
}

fn usage(at: &str, id: &str, value: &str) -> Value {
    json!({ "at": at, "do": "usage", "subscription": "s1", "meter": "calls", "id": id, "properties": { "value": value } })
}

/// (subscription, instant, total, status) of each invoice.
fn invoices(output: &Value) -> Vec<(String, String, i64, String)> {
    let text = |invoice: &Value, field: &str| invoice[field].as_str().unwrap_or_default().to_owned();
    let invoices = output["invoices"].as_array().expect("invoices").iter();
    invoices
        .map(|invoice| {
            let total = invoice["total_minor"].as_i64().expect("a number");
            (text(invoice, "subscription"), text(invoice, "issued_at"), total, text(invoice, "status"))
        })
        .collect()
}

fn invoice(subscription: &str, at: &str, total: i64, status: &str) -> (String, String, i64, String) {
    (subscription.to_owned(), at.to_owned(), total, status.to_owned())
}

#[test]
fn subscriptions_are_billed_at_once_and_to_the_end_the_end_included() {
    // Written out of order; at one instant in the order they were subscribed.
    let timeline = json!([subscribe("2024-01-01T12:00:00Z", "s2"), subscribe("2024-01-01T00:00:00Z", "s1")]);
    let output = told(&scenario(timeline)).expect("a story");
    assert_eq!(
        invoices(&output),
        [
            invoice("s1", "2024-01-01T00:00:00Z", 3000, "open"),
            invoice("s2", "2024-01-01T12:00:00Z", 3000, "open"),
            invoice("s1", "2024-02-01T00:00:00Z", 3000, "open"),
            invoice("s2", "2024-02-01T00:00:00Z", 3000, "open"),
            invoice("s1", "2024-03-01T00:00:00Z", 3000, "open"),
            invoice("s2", "2024-03-01T00:00:00Z", 3000, "open"),
        ]
    );
    let names: Vec<_> =
        output["subscriptions"].as_array().expect("a list").iter().map(|one| &one["subscription"]).collect();
    assert_eq!(names, ["s1", "s2"]);
}

#[test]
fn a_boundary_comes_before_the_entries_of_its_instant() {
    let timeline = json!([
        subscribe("2024-01-01T00:00:00Z", "s1"),
        usage("2024-01-31T23:59:59.999Z", "last", "1"),
        usage("2024-02-01T00:00:00Z", "first", "10"),
        // Invoice 2 is there by then.
        { "at": "2024-02-01T00:00:00Z", "do": "pay", "invoice": 2, "outcome": "succeeded" },
    ]);
    let output = told(&scenario(timeline)).expect("a story");
    let totals: Vec<_> = invoices(&output).into_iter().map(|(_, _, total, status)| (total, status)).collect();
    assert_eq!(totals, [(3000, "open".to_owned()), (3010, "paid".to_owned()), (3100, "open".to_owned())]);
}

#[test]
fn what_comes_after_the_end_does_not_happen() {
    let mut short = scenario(json!([
        subscribe("2024-01-01T00:00:00Z", "s1"),
        { "at": "2024-01-15T00:00:01Z", "do": "void", "invoice": 1 },
    ]));
    short["until"] = json!("2024-01-15T00:00:00Z");
    assert_eq!(invoices(&told(&short).expect("a story")), [invoice("s1", "2024-01-01T00:00:00Z", 3000, "open")]);
    short["until"] = json!("2024-01-15T00:00:01Z");
    assert_eq!(invoices(&told(&short).expect("a story"))[0].3, "void");
    short["until"] = json!("2023-12-31T00:00:00Z");
    assert_eq!(invoices(&told(&short).expect("a story")), []);
}

/// "An event has an id unique per tenant; the first one wins, and a repeat is a duplicate."
#[test]
fn the_first_event_of_an_id_counts_and_a_correction_replaces_it() {
    let mut correction = usage("2024-01-04T00:00:00Z", "c", "7");
    correction["replaces"] = json!("a");
    let timeline = json!([
        subscribe("2024-01-01T00:00:00Z", "s1"),
        usage("2024-01-02T00:00:00Z", "a", "100"),
        usage("2024-01-03T00:00:00Z", "b", "10"),
        usage("2024-01-03T00:00:00Z", "b", "999"),
        correction,
    ]);
    assert_eq!(invoices(&told(&scenario(timeline)).expect("a story"))[1].2, 3000 + 17 * 10);
}

/// "With a grace period periodic invoices stay drafts in which usage still counts."
#[test]
fn an_invoice_is_a_draft_until_its_grace_is_over_at_local_midnight() {
    let mut graced = scenario(json!([subscribe("2024-01-01T05:00:00Z", "s1")]));
    graced["customer"] = json!({ "currency": "usd", "timezone": "America/Bogota", "invoice_grace_days": 3 });
    for (until, status) in [("2024-02-04T04:59:59Z", "draft"), ("2024-02-04T05:00:00Z", "open")] {
        graced["until"] = json!(until);
        let invoices = invoices(&told(&graced).expect("a story"));
        assert_eq!(invoices[0], invoice("s1", "2024-01-01T05:00:00Z", 3000, "open"));
        assert_eq!(invoices[1], invoice("s1", "2024-02-01T05:00:00Z", 3000, status));
    }
    let early = json!({ "at": "2024-02-02T00:00:00Z", "do": "finalize", "invoice": 2 });
    graced["timeline"] = json!([subscribe("2024-01-01T05:00:00Z", "s1"), early]);
    graced["until"] = json!("2024-02-03T00:00:00Z");
    assert_eq!(invoices(&told(&graced).expect("a story"))[1].3, "open");
}

#[test]
fn what_cannot_happen_is_named_by_its_entry() {
    let story = |entry: Value| {
        let timeline = json!([subscribe("2024-01-01T00:00:00Z", "s1"), usage("2024-01-02T00:00:00Z", "a", "1"), entry]);
        told(&scenario(timeline)).expect_err("a bad story")
    };
    let at = "2024-01-05T00:00:00Z";
    let mut correction = usage(at, "b", "1");
    correction["replaces"] = json!("c");
    let mut nothing = usage(at, "b", "1");
    nothing["properties"] = json!({});
    for (entry, line) in [
        (correction, "timeline[2].replaces is no event that counts: `c`"),
        (nothing, "timeline[2].properties the property `value` is missing"),
        (
            json!({ "at": at, "do": "pay", "invoice": 2, "outcome": "succeeded" }),
            "timeline[2].invoice is no invoice by then: 2",
        ),
        (json!({ "at": at, "do": "finalize", "invoice": 1 }), "timeline[2].invoice is no draft: 1 is open"),
    ] {
        assert_eq!(story(entry), line);
    }
    let seats =
        json!({ "at": at, "do": "subscribe", "subscription": "s2", "plan": "pro", "quantities": { "seats": "1" } });
    assert_eq!(story(seats), "timeline[2].quantities.seats is no licensed price of the plan");
    let twice = json!([
        subscribe("2024-01-01T00:00:00Z", "s1"),
        { "at": at, "do": "pay", "invoice": 1, "outcome": "succeeded" },
        { "at": at, "do": "void", "invoice": 1 },
    ]);
    assert_eq!(told(&scenario(twice)), Err("timeline[2].invoice is not open: 1 is paid".to_owned()));
}

#[test]
fn a_declined_payment_leaves_the_invoice_open() {
    let timeline = json!([
        subscribe("2024-01-01T00:00:00Z", "s1"),
        { "at": "2024-01-02T00:00:00Z", "do": "pay", "invoice": 1, "outcome": "declined" },
    ]);
    assert_eq!(invoices(&told(&scenario(timeline)).expect("a story"))[0].3, "open");
}

#[test]
fn every_field_of_the_result_is_there() {
    let output = told(&scenario(json!([subscribe("2024-01-01T00:00:00Z", "s1")]))).expect("a story");
    let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&output), ["credit_notes", "customer", "invoices", "subscriptions"]);
    assert_eq!(keys(&output["customer"]), ["balance_minor", "wallet_minor"]);
    assert_eq!(keys(&output["subscriptions"][0]), ["current_period", "plan", "status", "subscription", "trial_end"]);
    assert_eq!(
        keys(&output["invoices"][0]),
        [
            "amount_due_minor",
            "credit_applied_minor",
            "currency",
            "discount_minor",
            "invoice",
            "issued_at",
            "lines",
            "reason",
            "status",
            "subscription",
            "subtotal_minor",
            "tax_minor",
            "total_minor",
            "wallet_applied_minor",
        ]
    );
    assert_eq!(
        keys(&output["invoices"][0]["lines"][0]),
        [
            "amount_minor",
            "description",
            "discount_minor",
            "explain",
            "kind",
            "period",
            "price",
            "proration",
            "quantity",
            "tax_minor",
        ]
    );
}

#[test]
fn a_story_that_would_not_end_is_refused() {
    let mut endless = scenario(json!([subscribe("2024-01-01T00:00:00Z", "s1")]));
    let base = endless["plans"][0]["prices"][0].clone();
    let price = |number: usize| {
        let mut price = base.clone();
        price["key"] = json!(format!("p{number}"));
        price
    };
    endless["plans"][0]["prices"] = (0..100).map(price).collect();
    endless["until"] = json!("2123-12-01T00:00:00Z");
    assert_eq!(told(&endless), Err("until lets more than 100000 lines be billed".to_owned()));
}

#[test]
fn a_declined_payment_makes_a_subscription_past_due_until_nothing_declined_is_owed() {
    let pay =
        |at: &str, number: u32, outcome: &str| json!({ "at": at, "do": "pay", "invoice": number, "outcome": outcome });
    let mut timeline = vec![subscribe("2024-01-01T00:00:00Z", "s1")];
    let mut then = |more: Value| {
        timeline.push(more);
        let output = told(&scenario(json!(timeline))).expect("a story");
        output["subscriptions"][0]["status"].as_str().expect("a state").to_owned()
    };
    assert_eq!(then(pay("2024-01-01T00:00:00Z", 1, "declined")), "past_due");
    assert_eq!(then(pay("2024-02-01T00:00:00Z", 2, "declined")), "past_due");
    assert_eq!(then(pay("2024-02-02T00:00:00Z", 1, "succeeded")), "past_due");
    // The second one is settled by a credit note.
    let note = json!({ "at": "2024-02-03T00:00:00Z", "do": "credit_note", "invoice": 2, "all": true });
    assert_eq!(then(note), "active");
}
