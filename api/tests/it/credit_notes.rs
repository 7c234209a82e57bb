//! Credit notes: what is given back of an invoice, never more than there is, and where it goes.

use serde_json::{Value, json};

use crate::{
    balances::{adjust, balance, entries},
    harness::{Answer, Client, Platform},
    wallets::wallet,
};

async fn taxed_customer(client: &Client<'_>, more: &Value) -> String {
    let mut body = json!({ "name": "Ada", "email": "ada@customers.example" });
    for (field, value) in more.as_object().expect("an object") {
        body[field] = value.clone();
    }
    client.create("/v1/customers", &body).await
}

/// A one-off invoice of these amounts.
pub(crate) async fn bill(client: &Client<'_>, customer: &str, amounts: &[&str]) -> Value {
    let line = |(index, amount): (usize, &&str)| json!({ "key": format!("l{index}"), "unit_amount": amount });
    let lines: Vec<_> = amounts.iter().enumerate().map(line).collect();
    client.post("/v1/invoices", &json!({ "customer": customer, "lines": lines })).await.ok()
}

async fn credit(client: &Client<'_>, invoice: &Value, what: Value) -> Answer {
    let mut body = json!({ "invoice": invoice["id"], "reason": "outage" });
    for (field, value) in what.as_object().expect("an object") {
        body[field] = value.clone();
    }
    client.post("/v1/credit_notes", &body).await
}

async fn again(client: &Client<'_>, invoice: &Value) -> Value {
    client.get(&format!("/v1/invoices/{}", invoice["id"].as_str().expect("an id"))).await.ok()
}

fn amounts(note: &Value) -> [i64; 5] {
    ["subtotal_minor", "tax_minor", "total_minor", "offset_minor", "balance_minor"]
        .map(|field| note[field].as_i64().expect("a number"))
}

#[tokio::test]
async fn notes_of_an_open_invoice_sum_to_it_and_pay_it() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let customer = taxed_customer(&client, &json!({ "tax_rates": [{ "name": "VAT", "percent": "19" }] })).await;
    let invoice = bill(&client, &customer, &["33.33", "66.67"]).await;
    let taxes: Vec<_> = invoice["lines"].as_array().expect("lines").iter().map(|line| &line["tax_minor"]).collect();
    assert_eq!((taxes, &invoice["total_minor"]), (vec![&json!(633), &json!(1_267)], &json!(11_900)));

    let first = credit(&client, &invoice, json!({ "lines": [{ "line": 1, "amount_minor": 1_000 }] })).await.ok();
    assert_eq!((&first["number"], &first["object"]), (&json!("CN-000001"), &json!("credit_note")));
    // 6.33 x 10.00 / 33.33 is 1.899.
    assert_eq!(amounts(&first), [1_000, 190, 1_190, 1_190, 0]);
    let open = again(&client, &invoice).await;
    assert_eq!((&open["status"], &open["amount_due_minor"]), (&json!("open"), &json!(11_900)));
    assert_eq!(open["amount_remaining_minor"], 10_710);

    let beyond = credit(&client, &invoice, json!({ "lines": [{ "line": 1, "amount_minor": 2_334 }] })).await;
    let problem = beyond.problem(422, "rule_violated");
    assert_eq!(problem["errors"][0]["pointer"], "/lines/0/amount_minor");

    let rest = credit(&client, &invoice, json!({ "all": true })).await.ok();
    assert_eq!((&rest["number"], amounts(&rest)), (&json!("CN-000002"), [9_000, 1_710, 10_710, 10_710, 0]));
    let paid = again(&client, &invoice).await;
    assert_eq!((&paid["status"], &paid["amount_remaining_minor"]), (&json!("paid"), &json!(0)));
    assert_eq!((&paid["credited_by_notes_minor"], &paid["total_minor"]), (&json!(11_900), &json!(11_900)));
    assert_eq!(paid["payment_attempts"], 0);
    assert_eq!(balance(&client, &customer).await, 0);
    let nothing = credit(&client, &invoice, json!({ "all": true })).await.problem(422, "rule_violated");
    assert_eq!(nothing["errors"][0]["pointer"], "/all");

    let id = rest["id"].as_str().expect("an id");
    assert_eq!(client.get(&format!("/v1/credit_notes/{id}")).await.ok(), rest);
    let rows = async |query: &str| client.get(&format!("/v1/credit_notes?{query}")).await.ok()["data"].clone();
    assert_eq!(rows(&format!("customer={customer}")).await, json!([rest, first]));
    assert_eq!(rows("invoice=inv_none").await, json!([]));
    let explained = format!("/v1/invoices/{}/explain", invoice["id"].as_str().expect("an id"));
    let steps = client.get(&explained).await.ok()["explain"].clone();
    let steps = steps.as_array().expect("steps");
    assert_eq!(steps[steps.len() - 2], "credit notes: 119.00, of which 119.00 off what was open");
}

#[tokio::test]
async fn what_was_paid_goes_to_the_balance() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let customer = client.customer("ada").await;
    adjust(&client, &customer, 5_000).await;
    let paid = bill(&client, &customer, &["50.00"]).await;
    assert_eq!((&paid["status"], &paid["credit_applied_minor"]), (&json!("paid"), &json!(5_000)));
    let problem = credit(&client, &paid, json!({ "all": true, "outcome": "refund" })).await;
    let problem = problem.problem(422, "refunds_unavailable");
    assert_eq!(problem["errors"][0]["pointer"], "/outcome");
    let note = credit(&client, &paid, json!({ "lines": [{ "line": 1, "amount_minor": 2_000 }] })).await.ok();
    assert_eq!(amounts(&note), [2_000, 0, 2_000, 0, 2_000]);
    let expected = ["credit_note 2000 2000", "invoice_issued -5000 0", "adjustment 5000 5000"];
    assert_eq!(entries(&client, &customer).await, expected);

    // Paid in part by a wallet: what is open goes first.
    wallet(&client, &customer, 4_000).await;
    let part = bill(&client, &customer, &["100.00"]).await;
    assert_eq!((&part["status"], &part["amount_due_minor"]), (&json!("open"), &json!(4_000)));
    let note = credit(&client, &part, json!({ "lines": [{ "line": 1, "amount_minor": 5_000 }] })).await.ok();
    assert_eq!(amounts(&note), [5_000, 0, 5_000, 4_000, 1_000]);
    let settled = again(&client, &part).await;
    assert_eq!((&settled["status"], &settled["offset_by_notes_minor"]), (&json!("paid"), &json!(4_000)));
    assert_eq!((balance(&client, &customer).await, &settled["credited_by_notes_minor"]), (json!(1_000), &json!(5_000)));
}

#[tokio::test]
async fn notes_at_once_never_credit_more_than_there_is() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let customer = client.customer("ada").await;
    adjust(&client, &customer, 1_000).await;
    let invoice = bill(&client, &customer, &["10.00"]).await;
    let half = || credit(&client, &invoice, json!({ "lines": [{ "line": 1, "amount_minor": 500 }] }));
    let answers = futures::future::join_all((0..5).map(|_| half())).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    let issued = statuses.iter().filter(|status| **status == 201).count();
    assert_eq!((issued, statuses.iter().filter(|status| **status == 422).count()), (2, 3), "{statuses:?}");
    let list = client.get("/v1/credit_notes").await.ok()["data"].clone();
    let mut numbers: Vec<_> =
        list.as_array().expect("a list").iter().map(|note| note["number"].as_str().expect("text").to_owned()).collect();
    numbers.sort();
    assert_eq!(
        (numbers, balance(&client, &customer).await),
        (vec!["CN-000001".into(), "CN-000002".into()], json!(1_000))
    );
}

#[tokio::test]
async fn only_what_is_left_is_collected_and_a_payment_under_way_is_left_alone() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let customer = taxed_customer(&client, &json!({ "payment_method": "pm_1" })).await;
    let invoice = bill(&client, &customer, &["80.00"]).await;
    credit(&client, &invoice, json!({ "lines": [{ "line": 1, "amount_minor": 3_000 }] })).await.ok();

    // The gateway does not answer, so nobody knows what became of the payment.
    let id = invoice["id"].as_str().expect("an id");
    let (billing, wall) = (&platform.app.billing, platform.app.clock.now());
    let progress = billing::collect_invoice(billing, (&client.tenant, id), wall).await.expect("an attempt");
    assert_eq!(progress, billing::Progress::More);
    let payment = client.get(&format!("/v1/payments?invoice={id}")).await.ok()["data"][0].clone();
    assert_eq!((&payment["amount_minor"], &payment["status"]), (&json!(5_000), &json!("pending")));

    for action in ["void", "mark_uncollectible", "finalize"] {
        let answer = client.post(&format!("/v1/invoices/{id}/{action}"), &json!({})).await;
        answer.problem(409, "payment_in_progress");
    }
    credit(&client, &invoice, json!({ "all": true })).await.problem(409, "payment_in_progress");
    assert_eq!(again(&client, &invoice).await["status"], "open");
}

#[tokio::test]
async fn a_note_that_cannot_be_is_refused() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let customer = client.customer("ada").await;
    let invoice = bill(&client, &customer, &["10.00", "20.00"]).await;
    let line = |line: i64, amount: i64| json!({ "line": line, "amount_minor": amount });
    for (what, pointer) in [
        (json!({}), "/lines"),
        (json!({ "all": false }), "/lines"),
        (json!({ "lines": [], "all": true }), "/lines"),
        (json!({ "lines": [] }), "/lines"),
        (json!({ "lines": [line(0, 1)] }), "/lines/0/line"),
        (json!({ "lines": [line(3, 1)] }), "/lines/0/line"),
        (json!({ "lines": [line(2, 1), line(2, 1)] }), "/lines/1/line"),
        (json!({ "lines": [line(1, 0)] }), "/lines/0/amount_minor"),
        (json!({ "lines": [line(1, 1_001)] }), "/lines/0/amount_minor"),
    ] {
        let problem = credit(&client, &invoice, what).await.problem(422, "rule_violated");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    credit(&client, &invoice, json!({ "all": true, "reason": "" })).await.problem(422, "reason_required");
    credit(&client, &invoice, json!({ "all": "yes" })).await.problem(400, "invalid_body");
    credit(&client, &invoice, json!({ "all": true, "outcome": "cash" })).await.problem(400, "invalid_body");
    let bob = platform.client("bob").await;
    let foreign = credit(&bob, &invoice, json!({ "all": true })).await.problem(422, "unknown_invoice");
    assert_eq!(foreign["errors"][0]["pointer"], "/invoice");
    let void = format!("/v1/invoices/{}/void", invoice["id"].as_str().expect("an id"));
    client.post(&void, &json!({})).await.ok();
    credit(&client, &invoice, json!({ "all": true })).await.problem(409, "invalid_state");
    assert_eq!(client.get("/v1/credit_notes").await.ok()["data"], json!([]));
}
