//! What a subscription's creation bills, and how it is shown.

use serde_json::json;
use store::{AuditEntry, ListFilter, PageRequest};

use crate::harness::{Answer, Platform};

#[tokio::test]
async fn a_subscription_issues_its_initial_invoice_on_the_tenants_clock() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await;
    client.post("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await.problem(409, "clock_exists");
    let plan = client.catalogue().await;
    let body = json!({
        "name": "Ada", "email": "ada@customers.example", "currency": "usd", "timezone": "Europe/Berlin",
        "tax_rates": [{ "name": "VAT", "percent": "19" }], "payment_method": "pm_1", "metadata": { "account": "a1" },
    });
    let customer = client.post("/v1/customers", &body).await.ok();
    for (field, value) in body.as_object().expect("an object") {
        assert_eq!(&customer[field], value);
    }

    let body = json!({ "customer": customer["id"], "plan": "pro", "billing_cycle": "calendar",
        "start_at": "2026-06-15T22:30:00.5Z", "metadata": { "seat": "1" } });
    let request = client.request(reqwest::Method::POST, "/v1/subscriptions").header("request-id", "mine-7").json(&body);
    let subscription = Answer::of(request).await.ok();
    assert_eq!((&subscription["plan"], &subscription["metadata"]), (&json!(plan), &json!({ "seat": "1" })));
    assert_eq!(subscription["start_at"], "2026-06-15T22:30:00.5Z");
    // Half past midnight of the 16th in Berlin.
    assert_eq!(subscription["current_period"], json!({ "start": "2026-06-16", "end": "2026-07-01" }));
    assert_eq!(subscription["next_billing_at"], "2026-06-30T22:00:00Z");

    let list = client.get("/v1/invoices").await.ok();
    let invoice = &list["data"][0];
    assert_eq!(invoice["reason"], "subscription_create");
    assert_eq!((&invoice["boundary"], &invoice["payment_attempts"]), (&json!("2026-06-16"), &json!(0)));
    assert_eq!(
        (&invoice["subtotal_minor"], &invoice["tax_minor"], &invoice["amount_due_minor"]),
        (&json!(1000), &json!(190), &json!(1190))
    );
    assert_eq!(invoice["lines"][0]["explain"], "1 x 20.00 x 15/30 = 10.00");
    let explanation =
        client.get(&format!("/v1/invoices/{}/explain", invoice["id"].as_str().expect("an id"))).await.ok();
    assert_eq!(explanation["lines"][0]["explain"], invoice["lines"][0]["explain"]);
    assert_eq!(explanation["lines"][0]["inputs"]["model"], json!({ "type": "flat", "amount": "20.00" }));

    let all = PageRequest { limit: 100, starting_after: None, ending_before: None };
    let audit = platform.app.billing.store.list::<AuditEntry>(&client.tenant, ListFilter::default(), &all).await;
    let audit = audit.expect("a list").expect("no cursor").data;
    let created = audit.iter().find(|entry| entry.action == "subscription.created").expect("an entry");
    assert_eq!(created.request_id.as_deref(), Some("mine-7"));
}

#[tokio::test]
async fn a_billing_run_is_accepted_and_can_be_watched() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await;
    let late = client.post("/v1/billing_runs", &json!({ "as_of": "2026-08-01T12:00:01Z" })).await;
    late.problem(422, "as_of_in_future");
    let answer = client.post("/v1/billing_runs", &json!({})).await;
    assert_eq!(answer.status, 202);
    let run = answer.json();
    assert_eq!((&run["state"], &run["as_of"]), (&json!("planning"), &json!("2026-08-01T12:00:00Z")));
    let nothing = json!({ "subscriptions": 0, "invoiced": 0, "skipped": 0, "failed": 0, "paid": 0,
        "payment_failed": 0, "notified": 0 });
    assert_eq!((&run["totals"], &run["amounts"]), (&nothing, &json!([])));
    assert_eq!((&run["rate_per_second"], &run["eta"], &run["finished_at"]), (&json!(null), &json!(null), &json!(null)));
    let id = run["id"].as_str().expect("an id");
    assert_eq!(client.get(&format!("/v1/billing_runs/{id}")).await.ok(), run);
}
