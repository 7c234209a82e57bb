//! Calculates the usage of one pass of a chunk, and freezes it.
//!
//! A pass bills the oldest unbilled boundary of each due subscription; passes repeat until nothing is due but what failed.

use std::collections::BTreeMap;

use domain::Zone;
use rust_decimal::Decimal;
use store::{
    Chunk, ChunkState, Customer, SubscriptionRecord, UnitOfWork, UsagePass, UsagePassEntry, UsageQuery, usage_pass_id,
};

use crate::{Billing, BillingError, chunk_stage, context::retry_conflicts};

/// Invoices of a pass. Each brings a subscription, a mail and an event, so that one transaction writes under 1,000 documents.
pub(crate) const PASS_LIMIT: i64 = 240;

/// Freezes the usage of pass `pass`, or finds that nothing is due any more and hands the chunk to collection.
///
/// # Errors
/// `NotFound` for an unknown chunk; store errors.
pub async fn calculate_usage(billing: &Billing, (tenant, chunk): (&str, &str), pass: i32) -> Result<(), BillingError> {
    retry_conflicts(|| freeze_pass(billing, (tenant, chunk), pass)).await
}

async fn freeze_pass(billing: &Billing, id: (&str, &str), pass: i32) -> Result<(), BillingError> {
    let Some(mut chunk) = chunk_stage::load(billing, id, ChunkState::Planned).await? else { return Ok(()) };
    if chunk.pass != pass {
        return Ok(());
    }
    let due = load_due(billing, &chunk).await?;
    if chunk.pass == 1 {
        chunk.subscriptions = i64::try_from(due.len()).unwrap_or(i64::MAX);
    }
    if due.is_empty() {
        return billing.commit(chunk_stage::advance(chunk, ChunkState::Invoiced, UnitOfWork::default())?).await;
    }
    let entries = measure(billing, &chunk, &due).await?;
    let frozen = UsagePass { id: usage_pass_id(&chunk.id, pass), tenant: chunk.tenant.clone(), entries };
    billing.store.freeze_usage(&frozen).await?;
    billing.commit(chunk_stage::advance(chunk, ChunkState::Usage, UnitOfWork::default())?).await
}

async fn load_due(billing: &Billing, chunk: &Chunk) -> Result<Vec<SubscriptionRecord>, BillingError> {
    let failed: Vec<String> = chunk.failed.iter().map(|item| item.subscription.clone()).collect();
    let scope = (chunk.tenant.as_str(), chunk.customers.as_slice());
    Ok(billing.store.subscriptions_due(scope, chunk.as_of, &failed, PASS_LIMIT).await?)
}

/// Sums the usage of every period that ends at a due boundary, all in one query.
async fn measure(
    billing: &Billing,
    chunk: &Chunk,
    due: &[SubscriptionRecord],
) -> Result<Vec<UsagePassEntry>, BillingError> {
    let customers: Vec<Customer> = billing.store.find_all(&chunk.tenant, &chunk.customers).await?;
    let zones: BTreeMap<&str, &Zone> =
        customers.iter().map(|customer| (customer.id.as_str(), &customer.timezone)).collect();
    let queries: Vec<UsageQuery> =
        due.iter().filter_map(|record| query(record, zones.get(record.customer.as_str()).copied()?)).collect();
    let sums = billing.store.usage(&chunk.tenant, &queries).await?;
    Ok(due.iter().map(|record| entry(record, &sums)).collect())
}

fn query(record: &SubscriptionRecord, zone: &Zone) -> Option<UsageQuery> {
    let window = domain::usage_window(&record.subscription, zone)?;
    (!record.meters.is_empty()).then(|| UsageQuery {
        customer: record.customer.clone(),
        meters: record.meters.clone(),
        window,
    })
}

fn entry(record: &SubscriptionRecord, sums: &BTreeMap<(String, String), Decimal>) -> UsagePassEntry {
    let used = |meter: &String| Some((meter.clone(), *sums.get(&(record.customer.clone(), meter.clone()))?));
    UsagePassEntry {
        subscription: record.id.clone(),
        boundary: record.subscription.next_boundary(),
        usage: record.meters.iter().filter_map(used).collect(),
    }
}
