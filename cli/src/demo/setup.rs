//! Sets the demo's tenant up through the HTTP API, as a client would: clock, meters, plan, customers, usage, subscriptions.
//!
//! Every write has an idempotency key made of what it is about, and every event its own id, so a second demo changes nothing.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    client::Client,
    data::{Account, Event, Input},
    progress,
};

/// Requests under way at once.
const CONCURRENCY: usize = 16;
/// Events of a request.
const BATCH: usize = 1_000;
/// What one event counts for each of the two meters.
const METERS: [&str; 2] = ["commits", "lines"];

#[derive(Deserialize)]
struct Created {
    id: String,
}

#[derive(Deserialize)]
struct Accepted {
    accepted: u64,
    duplicates: u64,
    rejected: Vec<Value>,
}

/// What the set-up changed; all zero the second time.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub customers: usize,
    pub events: u64,
    pub subscriptions: usize,
}

/// Sets everything up; the tenant's clock stands at `now`.
pub(super) async fn set_up(client: &Client, input: &Input, now: Timestamp) -> anyhow::Result<Changed> {
    client.post::<Value>("/v1/test_clocks", "demo-clock", &json!({ "now": now })).await?;
    for meter in METERS {
        let body = match meter {
            "lines" => json!({ "key": meter, "aggregation": "sum", "value_property": "lines_changed" }),
            _ => json!({ "key": meter, "aggregation": "count" }),
        };
        client.post::<Value>("/v1/meters", &format!("demo-meter-{meter}"), &body).await?;
    }
    let plan = client.post::<Created>("/v1/plans", "demo-plan-dev", &plan()).await?.body.id;
    let (customers, new_customers) = create_customers(client, input).await?;
    let events = load_usage(client, input, &customers).await?;
    let subscriptions = subscribe(client, input, &customers, &plan).await?;
    Ok(Changed { customers: new_customers, events, subscriptions })
}

fn plan() -> Value {
    json!({
        "key": "dev", "name": "Dev", "currency": "usd", "interval": "month",
        "prices": [
            { "key": "base", "kind": "fixed", "timing": "advance", "model": { "type": "flat", "amount": "20.00" } },
            { "key": "commits", "kind": "usage", "meter": "commits", "timing": "arrears",
              "model": { "type": "per_unit", "unit_amount": "0.10" } },
            { "key": "lines", "kind": "usage", "meter": "lines", "timing": "arrears", "max_amount_minor": 50_000,
              "model": { "type": "graduated", "tiers": [
                { "up_to": "1000", "unit_amount": "0" },
                { "up_to": "10000", "unit_amount": "0.01" },
                { "up_to": null, "unit_amount": "0.002" },
              ] } },
        ],
    })
}

/// Creates a customer for every account: account name -> customer id, and how many are new.
async fn create_customers(client: &Client, input: &Input) -> anyhow::Result<(BTreeMap<String, String>, usize)> {
    let bar = progress::bar("customers", input.accounts.len());
    let created: Vec<(String, String, bool)> = stream::iter(input.accounts.values())
        .map(|account| create_customer(client, account, &bar))
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    bar.finish();
    let new = created.iter().filter(|(_, _, replayed)| !replayed).count();
    Ok((created.into_iter().map(|(account, id, _)| (account, id)).collect(), new))
}

async fn create_customer(
    client: &Client,
    account: &Account,
    bar: &ProgressBar,
) -> anyhow::Result<(String, String, bool)> {
    let body = json!({
        "name": account.name, "email": format!("{}@customers.example", account.name), "currency": "usd",
        "timezone": account.zone, "payment_method": account.behaviour.token(),
        "metadata": { "account": account.name },
    });
    let answer = client.post::<Created>("/v1/customers", &format!("demo-{}", account.name), &body).await?;
    bar.inc(1);
    Ok((account.name.clone(), answer.body.id, answer.replayed))
}

/// Reports every event to both meters, in batches; returns how many were new.
async fn load_usage(client: &Client, input: &Input, customers: &BTreeMap<String, String>) -> anyhow::Result<u64> {
    let reports: Vec<Value> = input.events.iter().flat_map(|event| report(event, &customers[&event.account])).collect();
    let bar = progress::bar("usage events", reports.len());
    let accepted: Vec<u64> = stream::iter(reports.chunks(BATCH).enumerate())
        .map(|(number, batch)| load_batch(client, number, batch, &bar))
        .buffer_unordered(CONCURRENCY / 4)
        .try_collect()
        .await?;
    bar.finish();
    Ok(accepted.into_iter().sum())
}

fn report(event: &Event, customer: &str) -> [Value; 2] {
    METERS.map(|meter| {
        json!({
            "id": format!("{}:{meter}", event.event_id), "customer": customer, "meter": meter,
            "timestamp": event.timestamp, "properties": { "lines_changed": event.lines_changed.to_string() },
        })
    })
}

async fn load_batch(client: &Client, number: usize, batch: &[Value], bar: &ProgressBar) -> anyhow::Result<u64> {
    // No replay wanted: what is known already is recognised by the events' own ids.
    let key = format!("demo-usage-{number}-{}", std::process::id());
    let answer = client.post::<Accepted>("/v1/usage_events", &key, &json!({ "events": batch })).await?.body;
    anyhow::ensure!(answer.rejected.is_empty(), "usage was rejected: {:?}", answer.rejected.first());
    anyhow::ensure!(answer.accepted + answer.duplicates == batch.len() as u64, "usage was lost in batch {number}");
    bar.inc(batch.len() as u64);
    Ok(answer.accepted)
}

/// Subscribes every customer to the plan from its first event on; returns how many subscriptions are new.
async fn subscribe(
    client: &Client,
    input: &Input,
    customers: &BTreeMap<String, String>,
    plan: &str,
) -> anyhow::Result<usize> {
    let bar = progress::bar("subscriptions", input.accounts.len());
    let replayed: Vec<bool> = stream::iter(input.accounts.values())
        .map(async |account| {
            let body = json!({
                "customer": customers[&account.name], "plan": plan, "billing_cycle": "calendar",
                "start_at": account.first_event,
            });
            let key = format!("demo-subscription-{}", account.name);
            let answer = client.post::<Created>("/v1/subscriptions", &key, &body).await?;
            bar.inc(1);
            anyhow::Ok(answer.replayed)
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    bar.finish();
    Ok(replayed.into_iter().filter(|replayed| !replayed).count())
}
