//! What can be done to invoices: one by itself, drafts, write-offs.

use jiff::ToSpan;
use serde_json::{Value, json};

use crate::{
    balances::{adjust, balance},
    credit_notes::bill,
    harness::{Client, Platform},
    wallets::run_billing,
};

#[tokio::test]
async fn a_one_off_invoice_is_issued_at_once() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-08-01T22:30:00Z" })).await;
    let body = json!({
        "name": "Ada", "email": "ada@customers.example", "timezone": "Europe/Berlin", "tax_rounding": "line",
        "tax_rates": [{ "name": "VAT", "percent": "15" }],
    });
    let customer = client.create("/v1/customers", &body).await;
    let lines = json!([
        { "key": "stickers", "quantity": "3", "unit_amount": "0.10" },
        { "key": "mugs", "description": "Mugs", "unit_amount": "0.30" },
        { "key": "books", "quantity": "2.5", "unit_amount": "4.00", "tax_rates": [{ "name": "Books", "percent": "7" }] },
    ]);
    let body = json!({ "customer": customer, "lines": lines });
    let answer = client.post_with_key("/v1/invoices", "once", &body).await;
    assert_eq!(answer.header("etag"), Some("\"r1\""));
    let invoice = answer.ok();
    // Half past midnight in Berlin.
    assert_eq!(invoice["boundary"], "2026-08-02");
    assert_eq!(invoice["period"], json!({ "start": "2026-08-02", "end": "2026-08-03" }));
    assert_eq!((&invoice["number"], &invoice["status"]), (&json!("INV-000001"), &json!("open")));
    assert_eq!((&invoice["tax_rounding"], &invoice["coupons"]), (&json!("line"), &json!([])));
    let line = |index: usize| {
        let line = &invoice["lines"][index];
        (line["amount_minor"].clone(), line["tax_minor"].clone(), line["tax_rates"].clone())
    };
    // 4.5 is rounded by line.
    assert_eq!(line(0), (json!(30), json!(5), json!(null)));
    assert_eq!(line(1), (json!(30), json!(5), json!(null)));
    assert_eq!(line(2), (json!(1_000), json!(70), json!([{ "name": "Books", "percent": "7" }])));
    assert_eq!((&invoice["subtotal_minor"], &invoice["tax_minor"]), (&json!(1_060), &json!(80)));
    assert_eq!(invoice["lines"][2]["explain"], "2.5 x 4.00 = 10.00");

    let replayed = client.post_with_key("/v1/invoices", "once", &body).await;
    assert_eq!((replayed.header("idempotent-replayed"), replayed.json()), (Some("true"), invoice.clone()));
    let free = bill(&client, &customer, &["0"]).await;
    assert_eq!((&free["status"], &free["number"]), (&json!("paid"), &json!("INV-000002")));
    assert_eq!(client.get("/v1/invoices").await.ok()["data"], json!([free, invoice]));
}

#[tokio::test]
async fn a_one_off_invoice_that_cannot_be_is_refused() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let customer = client.customer("ada").await;
    let bob = platform.client("bob").await;
    let line = |field: &str, value: Value| {
        let mut line = json!({ "key": "a", "unit_amount": "1.00" });
        line[field] = value;
        json!({ "customer": customer, "lines": [{ "key": "b", "unit_amount": "1" }, line] })
    };
    let huge = json!({ "key": "a", "quantity": "999999999999999", "unit_amount": "999999999999999" });
    let many = vec![json!({ "key": "a", "unit_amount": "1" }); 101];
    for (body, code, pointer) in [
        (json!({ "customer": customer, "lines": [] }), "rule_violated", "/lines"),
        (json!({ "customer": customer, "lines": many }), "rule_violated", "/lines"),
        (line("key", json!("Not a key")), "rule_violated", "/lines/1/key"),
        (line("unit_amount", json!("-1")), "rule_violated", "/lines/1/unit_amount"),
        (line("quantity", json!("-1")), "rule_violated", "/lines/1/quantity"),
        (
            line("tax_rates", json!([{ "name": "VAT", "percent": "101" }])),
            "rule_violated",
            "/lines/1/tax_rates/0/percent",
        ),
        (json!({ "customer": customer, "lines": [huge] }), "not_billable", "/lines"),
    ] {
        let problem = client.post("/v1/invoices", &body).await.problem(422, code);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    for body in [line("unit_amount", json!(1)), line("unit_amount", json!("1e3")), line("colour", json!("red"))] {
        client.post("/v1/invoices", &body).await.problem(400, "invalid_body");
    }
    let foreign = bob.post("/v1/invoices", &line("key", json!("a"))).await.problem(422, "unknown_customer");
    assert_eq!(foreign["errors"][0]["pointer"], "/customer");
    assert_eq!(client.get("/v1/invoices").await.ok()["data"], json!([]));
}

#[tokio::test]
async fn a_write_off_keeps_what_was_paid_and_ends_the_invoice() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let customer = client.customer("ada").await;
    adjust(&client, &customer, 300).await;
    let invoice = bill(&client, &customer, &["10.00"]).await;
    let path = format!("/v1/invoices/{}", invoice["id"].as_str().expect("an id"));
    let bob = platform.client("bob").await;
    for action in ["void", "mark_uncollectible", "finalize"] {
        bob.post(&format!("{path}/{action}"), &json!({})).await.problem(404, "not_found");
        client.post(&format!("/v1/invoices/inv_none/{action}"), &json!({})).await.problem(404, "not_found");
    }
    client.post(&format!("{path}/finalize"), &json!({})).await.problem(409, "invalid_state");
    let off = client.post(&format!("{path}/mark_uncollectible"), &json!({})).await.ok();
    assert_eq!((&off["status"], &off["amount_remaining_minor"]), (&json!("uncollectible"), &json!(0)));
    assert_eq!(balance(&client, &customer).await, 0);
    for action in ["void", "mark_uncollectible", "finalize"] {
        client.post(&format!("{path}/{action}"), &json!({})).await.problem(409, "invalid_state");
    }
    assert_eq!(client.get(&path).await.ok()["status"], "uncollectible");
}

/// A customer whose periodic invoices stay drafts for `days`, with a subscription since `start`, billed.
async fn with_grace(client: &Client<'_>, days: u16, start: &str) -> Value {
    client.catalogue().await;
    let body = json!({ "name": "Ada", "email": "ada@customers.example", "invoice_grace_days": days });
    let customer = client.post("/v1/customers", &body).await.ok();
    let body = json!({ "customer": customer["id"], "plan": "pro", "start_at": start });
    client.create("/v1/subscriptions", &body).await;
    adjust(client, customer["id"].as_str().expect("an id"), 500).await;
    run_billing(client).await;
    client.get("/v1/invoices?status=draft").await.ok()["data"][0].clone()
}

#[tokio::test]
async fn a_draft_waits_to_be_finalised() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await;
    let draft = with_grace(&client, 3, "2026-07-01T00:00:00Z").await;
    // The initial invoice is not periodic: it has the first number.
    assert_eq!((&draft["boundary"], &draft["number"]), (&json!("2026-08-01"), &json!(null)));
    assert_eq!(draft["finalizes_at"], "2026-08-04T00:00:00Z");
    assert_eq!((&draft["total_minor"], &draft["credit_applied_minor"]), (&json!(2_000), &json!(0)));
    let path = format!("/v1/invoices/{}", draft["id"].as_str().expect("an id"));
    let refused = client.post(&format!("{path}/void"), &json!({})).await;
    refused.problem(409, "invalid_state");

    let early = (client.tenant.as_str(), draft["id"].as_str().expect("an id"));
    billing::collect_invoice(&platform.app.billing, early, platform.app.clock.now()).await.expect("nothing to do");
    assert_eq!(client.get(&path).await.ok(), draft, "its grace period is not over");

    let open = client.post(&format!("{path}/finalize"), &json!({})).await.ok();
    assert_eq!((&open["status"], &open["number"]), (&json!("open"), &json!("INV-000002")));
    assert_eq!((&open["credit_applied_minor"], &open["amount_due_minor"]), (&json!(500), &json!(1_500)));
    assert_eq!(open["finalizes_at"], json!(null));
    assert_eq!(client.get(&path).await.ok(), open);
    client.post(&format!("{path}/finalize"), &json!({})).await.problem(409, "invalid_state");
    let late = json!({ "name": "Ada", "email": "ada@customers.example", "invoice_grace_days": 61 });
    let problem = client.post("/v1/customers", &late).await.problem(422, "rule_violated");
    assert_eq!(problem["errors"][0]["pointer"], "/invoice_grace_days");
}

#[tokio::test]
async fn a_draft_whose_grace_period_is_over_is_finalised_by_itself() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let wall = platform.app.clock.now();
    let start = wall - (45 * 24).hours();
    let draft = with_grace(&client, 1, &start.to_string()).await;
    let id = draft["id"].as_str().expect("an id");
    let due = platform.app.billing.store.due::<store::Invoice>(wall, None, 10).await.expect("the sweep's look");
    assert_eq!(due.iter().map(|due| due.id.as_str()).collect::<Vec<_>>(), [id], "the sweep finds it");
    billing::collect_invoice(&platform.app.billing, (&client.tenant, id), wall).await.expect("finalised");
    let open = client.get(&format!("/v1/invoices/{id}")).await.ok();
    assert_eq!((&open["status"], &open["number"]), (&json!("open"), &json!("INV-000002")));
    assert_eq!(open["amount_due_minor"], 1_500);
}

#[tokio::test]
async fn what_a_void_invoice_billed_in_advance_is_not_credited() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await;
    client.catalogue().await;
    for (name, voided, credited) in [("kept", false, 1_935), ("voided", true, 0)] {
        let customer = client.customer(name).await;
        let body = json!({ "customer": customer, "plan": "pro" });
        let subscription = client.create("/v1/subscriptions", &body).await;
        let issued = client.get(&format!("/v1/invoices?subscription={subscription}")).await.ok();
        let invoice = issued["data"][0]["id"].as_str().expect("an id");
        if voided {
            client.post(&format!("/v1/invoices/{invoice}/void"), &json!({})).await.ok();
        }
        client.post(&format!("/v1/subscriptions/{subscription}/cancel"), &json!({ "when": "now" })).await.ok();
        // The day of the cancellation is used: 20.00 x 30/31.
        assert_eq!(balance(&client, &customer).await, credited, "{name}");
    }
}
