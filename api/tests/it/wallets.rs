//! Wallets: prepaid credit pays what it may, once, whoever bills.

use serde_json::{Value, json};
use store::ChunkState;

use crate::{
    balances::{adjust, balance, entries},
    harness::{Client, Platform},
};

pub(crate) async fn wallet(client: &Client<'_>, customer: &str, amount_minor: i64) -> String {
    client.create("/v1/wallets", &json!({ "customer": customer, "amount_minor": amount_minor })).await
}

async fn left(client: &Client<'_>, wallet: &str) -> Value {
    client.get(&format!("/v1/wallets/{wallet}")).await.ok()["balance_minor"].clone()
}

/// Runs a billing run as the workers do, up to the point where its invoices are issued.
pub(crate) async fn run_billing(client: &Client<'_>) {
    let run = client.create("/v1/billing_runs", &json!({})).await;
    let (billing, tenant) = (&client.platform.app.billing, client.tenant.as_str());
    let wall = client.platform.app.clock.now();
    billing::plan_billing_run(billing, (tenant, &run), wall).await.expect("planned");
    loop {
        let chunks = billing.store.chunks_of_run(tenant, &run).await.expect("chunks");
        let Some(chunk) = chunks.iter().find(|chunk| matches!(chunk.state, ChunkState::Planned | ChunkState::Usage))
        else {
            return;
        };
        assert!(chunk.failed.is_empty(), "{chunk:?}");
        let id = (tenant, chunk.id.as_str());
        match chunk.state {
            ChunkState::Planned => billing::calculate_usage(billing, id, chunk.pass).await.expect("measured"),
            _ => billing::generate_invoices(billing, id, chunk.pass, wall).await.expect("billed"),
        }
    }
}

#[tokio::test]
async fn wallets_pay_before_the_balance_and_get_it_back() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await;
    let body = json!({
        "name": "Ada", "email": "ada@customers.example", "payment_method": "pm_1",
        "tax_rates": [{ "name": "VAT", "percent": "19" }],
    });
    let customer = client.create("/v1/customers", &body).await;
    let any = wallet(&client, &customer, 5_000).await;
    let limited = json!({ "customer": customer, "amount_minor": 3_000, "applies_to": ["setup"],
        "expires_at": "2026-09-01T00:00:00Z", "name": "Welcome" });
    let shown = client.post("/v1/wallets", &limited).await.ok();
    for (field, value) in limited.as_object().expect("an object") {
        assert_eq!(&shown[field], value);
    }
    assert_eq!((&shown["balance_minor"], &shown["currency"]), (&json!(3_000), &json!("usd")));
    let limited = shown["id"].as_str().expect("an id").to_owned();
    adjust(&client, &customer, 1_000).await;

    let lines = json!([
        { "key": "setup", "unit_amount": "20.00" },
        { "key": "hours", "description": "Consulting", "quantity": "8", "unit_amount": "10.00" },
    ]);
    let invoice = client.post("/v1/invoices", &json!({ "customer": customer, "lines": lines })).await.ok();
    // The limited wallet expires first; it pays its line with tax.
    let used = json!([{ "wallet": limited, "amount_minor": 2_380 }, { "wallet": any, "amount_minor": 5_000 }]);
    assert_eq!((&invoice["total_minor"], &invoice["wallet_applied"]), (&json!(11_900), &used));
    assert_eq!((&invoice["wallet_applied_minor"], &invoice["credit_applied_minor"]), (&json!(7_380), &json!(1_000)));
    assert_eq!((&invoice["amount_due_minor"], &invoice["amount_remaining_minor"]), (&json!(3_520), &json!(3_520)));
    assert_eq!((&invoice["status"], &invoice["number"]), (&json!("open"), &json!("INV-000001")));
    assert_eq!((&invoice["subscription"], &invoice["reason"]), (&json!(null), &json!("one_off")));
    assert!(invoice["next_payment_attempt_at"].is_string(), "{invoice}");
    assert_eq!(left(&client, &limited).await, 620);
    assert_eq!(left(&client, &any).await, 0);
    assert_eq!(balance(&client, &customer).await, 0);

    let path = format!("/v1/invoices/{}", invoice["id"].as_str().expect("an id"));
    assert_eq!(client.get(&path).await.ok(), invoice, "what is answered is what is stored");
    let explained = client.get(&format!("{path}/explain")).await.ok();
    let steps = json!([
        "subtotal: 100.00",
        "tax: VAT 19 %, rounded once = 19.00",
        "total: 100.00 - 0.00 + 19.00 = 119.00",
        format!("wallet {limited}: - 23.80"),
        format!("wallet {any}: - 50.00"),
        "balance: - 10.00",
        "due: 35.20",
    ]);
    assert_eq!((&explained["explain"], &explained["wallet_applied"]), (&steps, &used));

    let void = client.post(&format!("{path}/void"), &json!({})).await.ok();
    assert_eq!((&void["status"], &void["next_payment_attempt_at"]), (&json!("void"), &json!(null)));
    assert_eq!(void["amount_remaining_minor"], 0);
    assert_eq!(left(&client, &limited).await, 3_000);
    assert_eq!(left(&client, &any).await, 5_000);
    let expected = ["invoice_voided 1000 1000", "invoice_issued -1000 0", "adjustment 1000 1000"];
    assert_eq!(entries(&client, &customer).await, expected);
    client.post(&format!("{path}/void"), &json!({})).await.problem(409, "invalid_state");
    let store = &platform.app.billing.store;
    let id = invoice["id"].as_str().expect("an id");
    let invoice: store::Invoice = store.find(&client.tenant, id).await.expect("a look").expect("an invoice");
    assert!(!invoice.collectible && invoice.due.at.is_none(), "nothing is collected of it");
}

#[tokio::test]
async fn invoices_at_once_never_spend_the_same_money() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let customer = client.customer("ada").await;
    let wallet = wallet(&client, &customer, 500).await;
    adjust(&client, &customer, 1_000).await;
    let body = json!({ "customer": customer, "lines": [{ "key": "a", "unit_amount": "4.00" }] });
    let answers = futures::future::join_all((0..6).map(|_| client.post("/v1/invoices", &body))).await;
    let invoices: Vec<Value> = answers.into_iter().map(crate::harness::Answer::ok).collect();
    let sum = |field: &str| invoices.iter().map(|invoice| invoice[field].as_i64().expect("a number")).sum::<i64>();
    assert_eq!((sum("wallet_applied_minor"), sum("credit_applied_minor")), (500, 1_000));
    assert_eq!(sum("amount_due_minor"), 6 * 400 - 1_500);
    assert_eq!((left(&client, &wallet).await, balance(&client, &customer).await), (json!(0), json!(0)));
    let mut numbers: Vec<_> = invoices.iter().map(|invoice| invoice["number"].as_str().expect("text")).collect();
    numbers.sort_unstable();
    let expected: Vec<_> = (1..=6).map(|number| format!("INV-{number:06}")).collect();
    assert_eq!(numbers, expected);
    let paid = invoices.iter().filter(|invoice| invoice["status"] == "paid").count();
    assert_eq!(paid, 3, "3 x 4.00 of 15.00, and 3.00 off the next");
}

#[tokio::test]
async fn invoices_of_one_pass_share_a_purse() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    client.create("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await;
    for key in ["one", "two", "three"] {
        let price = json!({ "key": key, "kind": "fixed", "timing": "advance",
            "model": { "type": "flat", "amount": "20.00" } });
        let plan = json!({ "key": key, "currency": "usd", "interval": "month", "prices": [price] });
        client.create("/v1/plans", &plan).await;
    }
    let (ada, bob) = (client.customer("ada").await, client.customer("bob").await);
    for (customer, plan) in [(&ada, "one"), (&ada, "two"), (&ada, "three"), (&bob, "one")] {
        let body = json!({ "customer": customer, "plan": plan, "billing_cycle": "calendar",
            "start_at": "2026-07-01T00:00:00Z" });
        client.create("/v1/subscriptions", &body).await;
    }
    let two = json!({ "customer": ada, "amount_minor": 900, "applies_to": ["two"] });
    let two = client.create("/v1/wallets", &two).await;
    let any = wallet(&client, &ada, 2_500).await;
    adjust(&client, &ada, 1_000).await;
    run_billing(&client).await;

    let list = client.get("/v1/invoices?limit=100").await.ok();
    let august = |invoice: &&Value| invoice["boundary"] == "2026-08-01";
    let of = |customer: &str| -> Vec<Value> {
        let rows = list["data"].as_array().expect("a list").iter().filter(august);
        rows.filter(|invoice| invoice["customer"] == customer).cloned().collect()
    };
    let sum = |invoices: &[Value], field: &str| -> i64 {
        invoices.iter().map(|invoice| invoice[field].as_i64().expect("a number")).sum()
    };
    let of_ada = of(&ada);
    assert_eq!(of_ada.len(), 3);
    assert_eq!((sum(&of_ada, "wallet_applied_minor"), sum(&of_ada, "credit_applied_minor")), (3_400, 1_000));
    assert_eq!(sum(&of_ada, "amount_due_minor"), 1_600);
    let limited = of_ada.iter().find(|invoice| invoice["lines"][0]["price"] == "two").expect("an invoice");
    assert_eq!(limited["wallet_applied"][0], json!({ "wallet": two, "amount_minor": 900 }));
    assert_eq!((left(&client, &two).await, left(&client, &any).await), (json!(0), json!(0)));
    assert_eq!(balance(&client, &ada).await, 0);
    assert!(entries(&client, &ada).await[0].ends_with(" 0"));
    // Nobody pays for somebody else.
    let of_bob = of(&bob);
    assert_eq!((of_bob.len(), sum(&of_bob, "amount_due_minor")), (1, 2_000));
}

#[tokio::test]
async fn a_wallet_that_cannot_be_is_refused() {
    let platform = Platform::start().await;
    let client = platform.client("ada").await;
    let customer = client.customer("ada").await;
    let bob = platform.client("bob").await;
    let foreign = bob.customer("bob").await;
    let good = json!({ "customer": customer, "amount_minor": 100 });
    for (field, value, code, pointer) in [
        ("customer", json!(foreign), "unknown_customer", "/customer"),
        ("amount_minor", json!(0), "amount_out_of_range", "/amount_minor"),
        ("amount_minor", json!(-5), "amount_out_of_range", "/amount_minor"),
        ("amount_minor", json!(1_000_000_000_001_i64), "amount_out_of_range", "/amount_minor"),
        ("expires_at", json!("2020-01-01T00:00:00Z"), "expires_in_past", "/expires_at"),
        ("applies_to", json!(["seats", "Not a key"]), "rule_violated", "/applies_to/1"),
        ("name", json!(""), "rule_violated", "/name"),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let problem = client.post("/v1/wallets", &body).await.problem(422, code);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    assert_eq!(client.get("/v1/wallets").await.ok()["data"], json!([]));
    let id = wallet(&client, &customer, 100).await;
    bob.get(&format!("/v1/wallets/{id}")).await.problem(404, "not_found");
    let rows = async |client: &Client<'_>, filter: &str| {
        client.get(&format!("/v1/wallets?customer={filter}")).await.ok()["data"].as_array().map(Vec::len)
    };
    assert_eq!((rows(&client, &customer).await, rows(&client, &foreign).await), (Some(1), Some(0)));
    assert_eq!(rows(&bob, &customer).await, Some(0));
}
