//! Paying invoices on request, and by hand; a key pays once.

use serde_json::{Value, json};

use crate::{
    balances::balance,
    credit_notes::bill,
    harness::{Client, Platform},
};

async fn payer(client: &Client<'_>, name: &str, token: &str) -> String {
    let body = json!({ "name": name, "email": format!("{name}@customers.example"), "payment_method": token });
    client.create("/v1/customers", &body).await
}

fn path(invoice: &Value, action: &str) -> String {
    format!("/v1/invoices/{}/{action}", invoice["id"].as_str().expect("an id"))
}

async fn payments(client: &Client<'_>, invoice: &Value) -> Vec<Value> {
    let list = client.get(&format!("/v1/payments?invoice={}", invoice["id"].as_str().expect("an id"))).await.ok();
    list["data"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn a_key_pays_once_however_often_it_is_used() {
    let platform = Platform::paying().await;
    let client = platform.client("ada").await;
    let customer = payer(&client, "ada", "pm_sandbox_ok").await;
    let invoice = bill(&client, &customer, &["20.00"]).await;
    let pay = path(&invoice, "pay");
    let part = json!({ "amount_minor": 500 });
    let answers = futures::future::join_all((0..8).map(|_| client.post_with_key(&pay, "part", &part))).await;
    assert!(answers.iter().any(|answer| answer.status == 200), "{answers:?}");
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 409)), "{answers:?}");
    let again = client.post_with_key(&pay, "part", &part).await.ok();
    assert_eq!((&again["status"], &again["paid_minor"]), (&json!("open"), &json!(500)));
    assert_eq!((&again["amount_remaining_minor"], payments(&client, &invoice).await.len()), (&json!(1_500), 1));
    client.post_with_key(&pay, "part", &json!({ "amount_minor": 501 })).await.problem(422, "idempotency_key_reused");
    let too_much = client.post(&pay, &json!({ "amount_minor": 1_501 })).await.problem(422, "amount_out_of_range");
    assert_eq!(too_much["errors"][0]["pointer"], "/amount_minor");

    let rest = client.post_with_key(&pay, "rest", &json!({})).await.ok();
    assert_eq!((&rest["status"], &rest["paid_minor"]), (&json!("paid"), &json!(2_000)));
    assert_eq!(client.post_with_key(&pay, "rest", &json!({})).await.ok()["status"], "paid");
    client.post(&pay, &json!({})).await.problem(409, "invalid_state");
    let bob = platform.client("bob").await;
    bob.post(&pay, &json!({})).await.problem(404, "not_found");

    let payment = &payments(&client, &invoice).await[0];
    let refund = json!({ "payment": payment["id"], "amount_minor": 1_501, "reason": "outage" });
    client.post("/v1/refunds", &refund).await.problem(422, "amount_out_of_range");
    let refund = json!({ "payment": payment["id"], "reason": "outage" });
    let made = client.post("/v1/refunds", &refund).await.ok();
    assert_eq!((&made["status"], &made["amount_minor"]), (&json!("pending"), &payment["amount_minor"]));
    let id = made["id"].as_str().expect("an id");
    assert_eq!(client.get(&format!("/v1/refunds/{id}")).await.ok(), made);
    assert_eq!(client.get("/v1/refunds?status=pending").await.ok()["data"], json!([made]));
    bob.post("/v1/refunds", &refund).await.problem(422, "unknown_payment");
}

#[tokio::test]
async fn a_payment_that_does_not_succeed_says_why_and_its_key_stays_with_it() {
    let platform = Platform::paying().await;
    let client = platform.client("ada").await;
    let customer = payer(&client, "ada", "pm_sandbox_decline_expired_card").await;
    let invoice = bill(&client, &customer, &["20.00"]).await;
    let pay = path(&invoice, "pay");
    for _ in 0..2 {
        let problem = client.post_with_key(&pay, "one", &json!({})).await.problem(402, "payment_declined");
        assert!(problem["detail"].as_str().expect("text").contains("expired_card"), "{problem}");
    }
    assert_eq!(payments(&client, &invoice).await.len(), 1);
    let other = json!({ "payment_method": "pm_sandbox_authenticate" });
    client.post_with_key(&pay, "two", &other).await.problem(402, "payment_action_required");
    // While it waits for its customer nothing else is done about the invoice.
    let credit = json!({ "invoice": invoice["id"], "all": true, "reason": "outage" });
    client.post("/v1/credit_notes", &credit).await.problem(409, "payment_in_progress");
    for (action, body) in [
        ("pay", json!({})),
        ("pay", json!({ "manual": { "reference": "cash" } })),
        ("void", json!({})),
        ("mark_uncollectible", json!({})),
    ] {
        client.post(&path(&invoice, action), &body).await.problem(409, "payment_in_progress");
    }
    let waiting = &payments(&client, &invoice).await[0];
    assert_eq!(waiting["status"], "requires_action");
    assert!(waiting["action_url"].as_str().expect("a page").starts_with("http"), "{waiting}");
}

#[tokio::test]
async fn money_that_arrives_by_itself_is_recorded() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let customer = client.customer("ada").await;
    let invoice = bill(&client, &customer, &["20.00"]).await;
    let pay = path(&invoice, "pay");
    client.post(&pay, &json!({})).await.problem(409, "no_payment_method");
    let unnamed = client.post(&pay, &json!({ "manual": { "reference": " " } })).await.problem(422, "rule_violated");
    assert_eq!(unnamed["errors"][0]["code"], "invalid_reference");
    let first = json!({ "amount_minor": 1_200, "manual": { "reference": "transfer 1" } });
    let part = client.post_with_key(&pay, "first", &first).await.ok();
    assert_eq!((&part["status"], &part["amount_remaining_minor"]), (&json!("open"), &json!(800)));
    assert_eq!(client.post_with_key(&pay, "first", &first).await.ok(), part, "recorded once");
    client.post(&path(&invoice, "void"), &json!({})).await.problem(409, "partly_paid");
    let second = json!({ "amount_minor": 1_000, "manual": { "reference": "transfer 2" } });
    assert_eq!(client.post(&pay, &second).await.ok()["status"], "paid");
    assert_eq!(balance(&client, &customer).await, 200);
    let recorded = payments(&client, &invoice).await;
    let of = |payment: &Value| {
        (payment["gateway"].clone(), payment["payment_method"].clone(), payment["overpaid_minor"].clone())
    };
    assert_eq!(of(&recorded[0]), (json!("manual"), json!("transfer 2"), json!(200)));
    assert_eq!(of(&recorded[1]), (json!("manual"), json!("transfer 1"), json!(0)));
}

#[tokio::test]
async fn only_what_the_gateway_has_signed_is_taken() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let path = format!("/webhooks/stripe/{}", client.tenant);
    for signature in ["", "t=1,v1=00", "nonsense"] {
        let request = platform.request(reqwest::Method::POST, &path).header("stripe-signature", signature).body("{}");
        crate::harness::Answer::of(request).await.problem(400, "invalid_signature");
    }
}
