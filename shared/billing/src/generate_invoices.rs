//! Generates the invoices of one pass of a chunk: load in bulk, decide in memory, commit in one transaction.
//!
//! **Invariant:** invoices and the subscriptions they move on are written together, each subscription compared on its
//! revision, so a boundary is billed once whoever comes first. A pass that cannot be committed as a whole is redone customer
//! by customer, which isolates the one that cannot be billed; the others go on.

use std::collections::BTreeMap;

use domain::{Billable, Money};
use jiff::Timestamp;
use serde_json::json;
use store::{
    Chunk, ChunkState, Customer, FailedItem, PlanVersion, StoreError, SubscriptionRecord, UnitOfWork, UsagePass,
    UsagePassEntry, usage_pass_id,
};

use crate::{
    Actor, Billing, BillingError, Change, TenantTime,
    actor::Fact,
    chunk_stage,
    context::retry_conflicts,
    issue_invoice::{Issue, issue_invoice},
};

/// Issues the invoices of pass `pass` and opens the next pass.
///
/// # Errors
/// `NotFound` for an unknown chunk; store errors.
pub async fn generate_invoices(
    billing: &Billing,
    (tenant, chunk): (&str, &str),
    pass: i32,
    wall: Timestamp,
) -> Result<(), BillingError> {
    let whole = retry_conflicts(|| bill_pass(billing, (tenant, chunk), pass, wall)).await;
    match whole {
        Err(BillingError::Store(error @ (StoreError::Duplicate(_) | StoreError::Conflict(_)))) => {
            tracing::warn!(chunk, pass, %error, "the pass cannot be committed as a whole; going customer by customer");
            bill_one_by_one(billing, (tenant, chunk), pass, wall).await
        }
        other => other,
    }
}

/// What a pass is decided from.
struct Loaded {
    chunk: Chunk,
    entries: Vec<UsagePassEntry>,
    subscriptions: BTreeMap<String, SubscriptionRecord>,
    customers: BTreeMap<String, Customer>,
    plans: BTreeMap<String, PlanVersion>,
    time: TenantTime,
}

/// What a pass has decided, on its way into the unit of work.
#[derive(Default)]
struct Decided {
    unit: UnitOfWork,
    skipped: i64,
    failed: Vec<FailedItem>,
    issued: Vec<Money>,
}

async fn bill_pass(
    billing: &Billing,
    id: (&str, &str),
    pass: i32,
    wall: Timestamp,
) -> Result<(), BillingError> {
    let Some(loaded) = load(billing, id, pass, wall).await? else { return Ok(()) };
    let decided = decide(&loaded, &loaded.entries)?;
    billing.commit(close_pass(loaded, decided)?).await
}

async fn bill_one_by_one(
    billing: &Billing,
    id: (&str, &str),
    pass: i32,
    wall: Timestamp,
) -> Result<(), BillingError> {
    let Some(first) = load(billing, id, pass, wall).await? else { return Ok(()) };
    let mut outcome = Decided::default();
    for entry in &first.entries {
        match retry_conflicts(|| bill_one(billing, id, (pass, entry), wall)).await {
            Ok(one) => {
                outcome.skipped += one.skipped;
                outcome.failed.extend(one.failed);
                outcome.issued.extend(one.issued);
            }
            Err(error @ BillingError::Store(StoreError::Unavailable(_))) => return Err(error),
            Err(error) => outcome.failed.push(failure(entry, "not_committed", &error)),
        }
    }
    billing.commit(close_pass(first, outcome)?).await
}

async fn bill_one(
    billing: &Billing,
    id: (&str, &str),
    (pass, entry): (i32, &UsagePassEntry),
    wall: Timestamp,
) -> Result<Decided, BillingError> {
    let Some(loaded) = load(billing, id, pass, wall).await? else { return Ok(Decided::default()) };
    let mut decided = decide(&loaded, std::slice::from_ref(entry))?;
    let unit = std::mem::take(&mut decided.unit);
    billing.commit(Change { result: decided, unit, follow_up: Vec::new() }).await
}

async fn load(
    billing: &Billing,
    (tenant, chunk): (&str, &str),
    pass: i32,
    wall: Timestamp,
) -> Result<Option<Loaded>, BillingError> {
    let store = &billing.store;
    let Some(chunk) = chunk_stage::load(billing, (tenant, chunk), ChunkState::Usage).await? else { return Ok(None) };
    if chunk.pass != pass {
        return Ok(None);
    }
    let id = usage_pass_id(&chunk.id, pass);
    let frozen: UsagePass = store.find(tenant, &id).await?.ok_or_else(|| BillingError::not_found("usage_pass", &id))?;
    let ids: Vec<String> = frozen.entries.iter().map(|entry| entry.subscription.clone()).collect();
    let subscriptions = by_id(store.find_all::<SubscriptionRecord>(tenant, &ids).await?, |record| &record.id);
    let customers = by_id(store.find_all::<Customer>(tenant, &chunk.customers).await?, |customer| &customer.id);
    let mut plan_ids: Vec<String> =
        subscriptions.values().map(|record| record.subscription.plan().to_owned()).collect();
    plan_ids.sort();
    plan_ids.dedup();
    let plans = by_id(store.find_all::<PlanVersion>(tenant, &plan_ids).await?, |plan| &plan.id);
    let time = TenantTime::read(store, tenant, wall).await?;
    Ok(Some(Loaded { chunk, entries: frozen.entries, subscriptions, customers, plans, time }))
}

fn by_id<R>(records: Vec<R>, id: impl Fn(&R) -> &String) -> BTreeMap<String, R> {
    records.into_iter().map(|record| (id(&record).clone(), record)).collect()
}

fn decide(loaded: &Loaded, entries: &[UsagePassEntry]) -> Result<Decided, BillingError> {
    let mut decided = Decided::default();
    for entry in entries {
        let subscription = loaded.subscriptions.get(&entry.subscription);
        let unbilled = subscription.filter(|record| record.subscription.next_boundary() == entry.boundary);
        match unbilled {
            Some(record) => bill_entry(loaded, record.clone(), entry, &mut decided)?,
            None => decided.skipped += 1,
        }
    }
    Ok(decided)
}

/// Bills one boundary; what the rules refuse is reported as failed and left out of later passes.
fn bill_entry(
    loaded: &Loaded,
    mut record: SubscriptionRecord,
    entry: &UsagePassEntry,
    decided: &mut Decided,
) -> Result<(), BillingError> {
    let parties = loaded.customers.get(&record.customer).zip(loaded.plans.get(record.subscription.plan()));
    let Some((customer, plan)) = parties else {
        decided.failed.push(failure(entry, "missing_parent", &"its customer or plan does not exist"));
        return Ok(());
    };
    let bill = domain::bill(&Billable {
        plan: &plan.plan,
        subscription: &record.subscription,
        zone: &customer.timezone,
        tax_rate: customer.tax_rate.as_ref(),
        usage: &entry.usage,
    });
    let bill = match bill {
        Ok(bill) => bill,
        Err(error) => {
            decided.failed.push(failure(entry, "not_billable", &error));
            return Ok(());
        }
    };
    record.subscription = bill.subscription;
    record.due = loaded.time.due(record.subscription.due_at(&customer.timezone));
    decided.unit.replace(&mut record)?;
    if let Some(content) = bill.invoice {
        let subscription = record.id.as_str();
        let issue = Issue { customer, subscription, boundary: entry.boundary, content, chunk: Some(&loaded.chunk) };
        let invoice = issue_invoice(&mut decided.unit, &Actor::system(&record.tenant), &loaded.time, issue)?;
        decided.issued.push(invoice.content.amount_due());
    }
    Ok(())
}

fn failure(entry: &UsagePassEntry, code: &str, detail: &dyn std::fmt::Display) -> FailedItem {
    FailedItem { subscription: entry.subscription.clone(), code: code.to_owned(), detail: detail.to_string() }
}

/// Ends the pass in the unit that bills it: the chunk is planned again, for its next pass.
fn close_pass(loaded: Loaded, decided: Decided) -> Result<Change<()>, BillingError> {
    let Loaded { mut chunk, time, .. } = loaded;
    let mut unit = decided.unit;
    unit.delete::<UsagePass>(&usage_pass_id(&chunk.id, chunk.pass));
    let data = json!({ "pass": chunk.pass, "skipped": decided.skipped, "failed": decided.failed.len() });
    let fact = Fact { name: "chunk.billed", subject: &chunk.id, revision: chunk.revision + 1, data };
    Actor::system(&chunk.tenant).audit(&mut unit, time.wall, &fact)?;
    chunk.pass += 1;
    chunk.skipped += decided.skipped;
    chunk.failed.extend(decided.failed);
    for amount in decided.issued {
        chunk.counts.add_invoice(amount.currency(), amount.minor());
    }
    chunk_stage::advance(chunk, ChunkState::Planned, unit)
}
