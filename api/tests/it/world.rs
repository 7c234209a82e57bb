//! A tenant that has something of every kind, for tests of who sees what.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    balances::adjust,
    credit_notes::bill,
    harness::{Client, Platform, plan},
    wallets::wallet,
    work::{Charge, Failing, bury, enqueue},
};

/// Ids shorter than this are a client's own and mean nothing to others.
const ID_CHARS: usize = 16;

/// What a customer has.
pub(crate) struct Account {
    pub customer: String,
    pub subscription: String,
    pub invoice: String,
    /// All of its ids, these three among them.
    pub ids: BTreeSet<String>,
}

/// A tenant's catalogue, on a test clock: a meter `calls`, a plan `pro` and a coupon `ten`.
pub(crate) async fn catalogue(client: &Client<'_>) {
    client.create("/v1/test_clocks", &json!({ "now": "2026-08-01T12:00:00Z" })).await;
    client.create("/v1/meters", &json!({ "key": "calls", "aggregation": "count" })).await;
    client.create("/v1/plans", &plan()).await;
    client.create("/v1/coupons", &json!({ "key": "ten", "percent_off": "10", "duration": "once" })).await;
}

/// A customer of this name with everything that a customer can have.
pub(crate) async fn account(client: &Client<'_>, name: &str) -> Account {
    let email = format!("{}@customers.example", name.to_lowercase().replace(' ', "."));
    let body = json!({ "name": name, "email": email });
    let customer = client.create("/v1/customers", &body).await;
    account_of(client, customer).await
}

/// Gives a customer everything that a customer can have.
pub(crate) async fn account_of(client: &Client<'_>, customer: String) -> Account {
    let before = ids(client).await;
    let app = &client.platform.app;
    let store = &app.billing.store;
    let mut stored: store::Customer =
        store.find(&client.tenant, &customer).await.expect("a store").expect("a customer");
    stored.payment_method = Some("pm_sandbox_ok".to_owned());
    let mut unit = store::UnitOfWork::default();
    unit.replace(&mut stored).expect("a document");
    store.commit(unit).await.expect("a commit");
    let body = json!({ "customer": customer, "plan": "pro", "coupons": ["ten"] });
    let subscription = client.create("/v1/subscriptions", &body).await;
    let invoice = bill(client, &customer, &["10.00"]).await;
    let invoice = invoice["id"].as_str().expect("an id").to_owned();
    // The gateway is away, so the attempt stays open.
    let collected = billing::collect_invoice(&app.billing, (&client.tenant, &invoice), app.clock.now()).await;
    collected.expect("an attempt");
    let noted = bill(client, &customer, &["20.00"]).await;
    let id = noted["id"].as_str().expect("an id");
    let transfer = json!({ "manual": { "reference": "transfer" } });
    client.post(&format!("/v1/invoices/{id}/pay"), &transfer).await.ok();
    let payments = client.get(&format!("/v1/payments?invoice={id}")).await.ok();
    let refund = json!({ "payment": payments["data"][0]["id"], "amount_minor": 100, "reason": "outage" });
    client.post("/v1/refunds", &refund).await.ok();
    client.create("/v1/credit_notes", &json!({ "invoice": noted["id"], "all": true, "reason": "outage" })).await;
    wallet(client, &customer, 500).await;
    adjust(client, &customer, 100).await;
    let mut ids: BTreeSet<_> = ids(client).await.difference(&before).cloned().collect();
    ids.insert(customer.clone());
    Account { customer, subscription, invoice, ids }
}

/// Runs, jobs, dead letters and an operation on them; their ids.
pub(crate) async fn operations(client: &Client<'_>) -> BTreeSet<String> {
    let app = &client.platform.app;
    let charge = |invoice: &str| Charge::of(&client.tenant, invoice, Failing::CardRefused);
    client.create("/v1/billing_runs", &json!({})).await;
    let mut ids = bury(app, &[charge("inv_dead")]).await;
    let filter = json!({ "filter": { "job": "nothing" }, "reason": "r" });
    client.create("/v1/dead_letters/retry", &filter).await;
    ids.append(&mut enqueue(app, &[charge("inv_waiting")]).await);
    ids.into_iter().collect()
}

/// Ids of all that a client's tenant has in the database.
pub(crate) async fn ids(client: &Client<'_>) -> BTreeSet<String> {
    let traces = client.platform.traces(&client.tenant).await;
    let id = |row: &Value| row["_id"].as_str().filter(|id| id.len() >= ID_CHARS).map(ToOwned::to_owned);
    traces.values().flatten().filter_map(id).collect()
}

/// A tenant with something of every kind.
pub(crate) async fn world<'a>(platform: &'a Platform, name: &str) -> (Client<'a>, Account, BTreeSet<String>) {
    let client = platform.client(name).await;
    catalogue(&client).await;
    let account = account(&client, &format!("Customer of {name}")).await;
    let mut all = operations(&client).await;
    all.append(&mut ids(&client).await);
    (client, account, all)
}
