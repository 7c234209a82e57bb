//! Calculates the usage of one pass of a chunk, and freezes it.
//!
//! A pass bills the oldest unbilled boundary of each due subscription; passes repeat until nothing is due but what failed.

use std::collections::BTreeMap;

use domain::Zone;
use store::{
    Chunk, ChunkState, Customer, FailedItem, SubscriptionRecord, UnitOfWork, UsagePass, UsagePassEntry, UsageQuery,
    UsageSums, usage_pass_id,
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
    if chunk.pass == 1 {
        let scope = (chunk.tenant.as_str(), chunk.customers.as_slice());
        chunk.subscriptions = billing.store.count_due(scope, chunk.as_of).await?;
    }
    let due = load_due(billing, &chunk).await?;
    if due.is_empty() {
        return billing.commit(chunk_stage::advance(chunk, ChunkState::Invoiced, UnitOfWork::default())?).await;
    }
    let mut frozen = UsagePass {
        id: usage_pass_id(&chunk.id, pass),
        tenant: chunk.tenant.clone(),
        revision: 1,
        entries: Vec::with_capacity(due.len()),
    };
    for measured in measure(billing, &chunk, &due).await? {
        match measured {
            Ok(entry) => frozen.entries.push(entry),
            Err(failed) => chunk.failed.push(failed),
        }
    }
    let mut unit = UnitOfWork::default();
    unit.insert(&frozen)?;
    billing.commit(chunk_stage::advance(chunk, ChunkState::Usage, unit)?).await
}

async fn load_due(billing: &Billing, chunk: &Chunk) -> Result<Vec<SubscriptionRecord>, BillingError> {
    let failed: Vec<String> = chunk.failed.iter().map(|item| item.subscription.clone()).collect();
    let scope = (chunk.tenant.as_str(), chunk.customers.as_slice());
    Ok(billing.store.subscriptions_due(scope, chunk.as_of, &failed, PASS_LIMIT).await?)
}

/// Sums the usage of every period that ends at a due boundary, all in one query. What cannot be summed exactly is failed by
/// itself.
async fn measure(
    billing: &Billing,
    chunk: &Chunk,
    due: &[SubscriptionRecord],
) -> Result<Vec<Result<UsagePassEntry, FailedItem>>, BillingError> {
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

fn entry(record: &SubscriptionRecord, sums: &UsageSums) -> Result<UsagePassEntry, FailedItem> {
    let mut usage = BTreeMap::new();
    for meter in &record.meters {
        match sums.get(&(record.customer.clone(), meter.clone())) {
            Some(Ok(quantity)) => drop(usage.insert(meter.clone(), *quantity)),
            Some(Err(error)) => {
                let (subscription, detail) = (record.id.clone(), format!("meter `{meter}`: {error}"));
                return Err(FailedItem { subscription, code: "usage_not_exact".to_owned(), detail });
            }
            None => {}
        }
    }
    Ok(UsagePassEntry { subscription: record.id.clone(), boundary: record.subscription.next_boundary(), usage })
}
