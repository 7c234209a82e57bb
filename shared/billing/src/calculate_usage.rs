//! Calculates the usage of one pass of a chunk, and freezes it.
//!
//! A pass bills the oldest unbilled boundary of each due subscription; passes repeat until nothing is due but what failed.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Billable, Occasion, Plan, Taxes, UsageWindow, Zone};
use store::{
    Chunk, ChunkState, Customer, FailedItem, PlanVersion, SubscriptionRecord, UnitOfWork, UsagePass, UsagePassEntry,
    usage_pass_id,
};

use crate::{
    Billing, BillingError,
    chunk_stage::{self, Course},
    close_usage::{Closing, Counted, Mode, count_usage},
    context::retry_conflicts,
};

/// Invoices of a pass. Each brings a subscription, a mail, an event, a ledger entry and a closing, so that one transaction
/// writes about 1,000 documents, unless much usage came late.
pub(crate) const PASS_LIMIT: i64 = 160;

/// Freezes the usage of pass `pass`, or finds that nothing is due any more and hands the chunk to collection.
///
/// # Errors
/// `NotFound` for an unknown chunk; store errors.
pub async fn calculate_usage(billing: &Billing, (tenant, chunk): (&str, &str), pass: i32) -> Result<(), BillingError> {
    retry_conflicts(|| freeze_pass(billing, (tenant, chunk), pass)).await
}

async fn freeze_pass(billing: &Billing, id: (&str, &str), pass: i32) -> Result<(), BillingError> {
    let Some((mut chunk, course)) = chunk_stage::load(billing, id, ChunkState::Planned).await? else { return Ok(()) };
    if chunk.pass != pass {
        return Ok(());
    }
    if course == Course::WindDown {
        return chunk_stage::advance(billing, chunk, ChunkState::Invoiced, UnitOfWork::default()).await;
    }
    if chunk.pass == 1 {
        let scope = (chunk.tenant.as_str(), chunk.customers.as_slice());
        chunk.subscriptions = billing.store.count_due(scope, chunk.as_of).await?;
    }
    let due = load_due(billing, &mut chunk).await?;
    if due.is_empty() {
        return chunk_stage::advance(billing, chunk, ChunkState::Invoiced, UnitOfWork::default()).await;
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
    chunk_stage::advance(billing, chunk, ChunkState::Usage, unit).await
}

/// What is due of a chunk; what cannot be read fails by itself.
async fn load_due(billing: &Billing, chunk: &mut Chunk) -> Result<Vec<SubscriptionRecord>, BillingError> {
    let failed: Vec<String> = chunk.failed.iter().map(|item| item.subscription.clone()).collect();
    let scope = (chunk.tenant.as_str(), chunk.customers.as_slice());
    let due = billing.store.subscriptions_due(scope, chunk.as_of, &failed, PASS_LIMIT).await?;
    for (subscription, detail) in due.damaged {
        chunk.failed.push(FailedItem { subscription, code: "damaged".to_owned(), detail });
    }
    Ok(due.records)
}

/// Counts the usage of every window that ends at a due boundary, all at once, and what came late for others. What cannot be
/// counted is failed by itself.
async fn measure(
    billing: &Billing,
    chunk: &Chunk,
    due: &[SubscriptionRecord],
) -> Result<Vec<Result<UsagePassEntry, FailedItem>>, BillingError> {
    let customers: Vec<Customer> = billing.store.find_sound(&chunk.tenant, &chunk.customers).await?;
    let zones: BTreeMap<&str, &Zone> =
        customers.iter().map(|customer| (customer.id.as_str(), &customer.timezone)).collect();
    let plan_ids: BTreeSet<&str> = due.iter().map(|record| record.subscription.plan()).collect();
    let plan_ids: Vec<String> = plan_ids.into_iter().map(ToOwned::to_owned).collect();
    let plans: Vec<PlanVersion> = billing.store.find_sound(&chunk.tenant, &plan_ids).await?;
    let plans: BTreeMap<&str, &Plan> = plans.iter().map(|version| (version.id.as_str(), &version.plan)).collect();

    // A subscription whose customer or plan is missing uses nothing here, and fails where it is billed.
    let parties = |record: &SubscriptionRecord| {
        zones.get(record.customer.as_str()).copied().zip(plans.get(record.subscription.plan()).copied())
    };
    let (mut closings, mut owners) = (Vec::new(), Vec::new());
    for record in due {
        if let Some((zone, plan)) = parties(record) {
            closings.push(Closing { record, plan, windows: windows(record, plan, zone) });
            owners.push(record.id.as_str());
        }
    }
    let outcomes = count_usage(&billing.store, &chunk.tenant, &closings, Mode::Close).await?;
    let mut outcomes: BTreeMap<&str, _> = owners.into_iter().zip(outcomes).collect();
    Ok(due.iter().filter_map(|record| entry(record, outcomes.remove(record.id.as_str()))).collect())
}

/// The windows that end at the next boundary.
fn windows(record: &SubscriptionRecord, plan: &Plan, zone: &Zone) -> Vec<UsageWindow> {
    let billable = Billable { plan, subscription: &record.subscription, zone, taxes: &Taxes::default() };
    domain::usage_windows(&billable, &Occasion::Boundary { next_plan: None }).unwrap_or_default()
}

fn entry(
    record: &SubscriptionRecord,
    counted: Option<Result<Counted, String>>,
) -> Option<Result<UsagePassEntry, FailedItem>> {
    let boundary = record.subscription.next_boundary()?;
    let subscription = record.id.clone();
    Some(match counted.unwrap_or_else(|| Ok(Counted::default())) {
        Ok(Counted { usage, late }) => Ok(UsagePassEntry { subscription, boundary, usage, late }),
        Err(detail) => Err(FailedItem { subscription, code: "usage_not_measured".to_owned(), detail }),
    })
}
