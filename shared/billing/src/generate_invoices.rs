//! Generates the invoices of one pass of a chunk: load in bulk, decide in memory, commit in one transaction.
//!
//! **Invariant:** invoices and the subscriptions they move on are written together, each subscription compared on its
//! revision, so a boundary is billed once whoever comes first. A pass that cannot be committed as a whole is redone one
//! subscription at a time, which isolates the one that cannot be billed; the others go on. **Invariant:** the chunk is written
//! in every transaction that bills for it, so it never moves on to collection while an invoice may still be added to it.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Money, Occasion};
use jiff::Timestamp;
use store::{
    Chunk, ChunkState, FailedItem, PlanVersion, StoreError, SubscriptionRecord, UnitOfWork, UsagePass, UsagePassEntry,
    usage_pass_id,
};

use crate::{
    Actor, Billing, BillingError, Change, Progress, TenantTime,
    adjust_usage::Books,
    bill_occasion::{Matter, Party, bill_occasion},
    chunk_stage::{self, Course},
    close_usage::Counted,
    context::retry_conflicts,
    purse::{Purse, load_purses},
};

/// Issues the invoices of pass `pass` and opens the next pass.
///
/// # Errors
/// `NotFound` for an unknown chunk; store errors.
pub async fn generate_invoices(
    billing: &Billing,
    id: (&str, &str),
    pass: i32,
    wall: Timestamp,
) -> Result<(), BillingError> {
    let whole = retry_conflicts(|| bill_pass(billing, id, pass, wall)).await;
    match whole {
        Err(BillingError::Store(error)) if is_poison(&error) => {
            tracing::warn!(chunk = id.1, pass, %error, "the pass cannot be billed as a whole; going one by one");
            while retry_conflicts(|| bill_first(billing, id, pass, wall)).await? == Progress::More {}
            Ok(())
        }
        other => other,
    }
}

/// Whether an error is a document's own: neither waiting nor deciding again heals it.
fn is_poison(error: &StoreError) -> bool {
    matches!(error, StoreError::Duplicate(_) | StoreError::Corrupt(_))
}

/// What a pass is decided from.
struct Loaded {
    subscriptions: BTreeMap<String, SubscriptionRecord>,
    /// Of the customers: several invoices of one see each other's use.
    purses: BTreeMap<String, Purse>,
    plans: BTreeMap<String, PlanVersion>,
    /// Of what came late.
    books: Books,
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

async fn bill_pass(billing: &Billing, id: (&str, &str), pass: i32, wall: Timestamp) -> Result<(), BillingError> {
    let Some((mut chunk, frozen)) = load_pass(billing, id, pass).await? else { return Ok(()) };
    let mut loaded = load(billing, &chunk, &frozen.entries, wall).await?;
    let decided = decide(&chunk, &mut loaded, &frozen.entries)?;
    let unit = count(&mut chunk, decided);
    close_pass(billing, chunk, unit).await
}

/// Bills what comes first in a pass, by itself, and takes it out of the pass; closes the pass when nothing is left.
async fn bill_first(billing: &Billing, id: (&str, &str), pass: i32, wall: Timestamp) -> Result<Progress, BillingError> {
    let Some((chunk, mut rest)) = load_pass(billing, id, pass).await? else { return Ok(Progress::Done) };
    if rest.entries.is_empty() {
        close_pass(billing, chunk, UnitOfWork::default()).await?;
        return Ok(Progress::Done);
    }
    let entry = rest.entries.remove(0);
    let decided = match load(billing, &chunk, std::slice::from_ref(&entry), wall).await {
        Ok(mut loaded) => decide(&chunk, &mut loaded, std::slice::from_ref(&entry)),
        Err(error) => Err(error),
    };
    let billed = match decided {
        Ok(decided) => billing.commit(shrink_pass((chunk.clone(), rest.clone()), decided)?).await,
        Err(error) => Err(error),
    };
    match billed {
        Err(BillingError::Store(error)) if is_poison(&error) => {
            let decided = Decided { failed: vec![failure(&entry, "not_committed", &error)], ..Decided::default() };
            billing.commit(shrink_pass((chunk, rest), decided)?).await?;
        }
        other => other?,
    }
    Ok(Progress::More)
}

/// The chunk and its frozen pass, unless somebody has billed it already or nothing is to be billed any more.
async fn load_pass(
    billing: &Billing,
    (tenant, chunk): (&str, &str),
    pass: i32,
) -> Result<Option<(Chunk, UsagePass)>, BillingError> {
    let loaded = chunk_stage::load(billing, (tenant, chunk), ChunkState::Usage).await?;
    let Some((chunk, course)) = loaded.filter(|(chunk, _)| chunk.pass == pass) else { return Ok(None) };
    let id = usage_pass_id(&chunk.id, pass);
    if course == Course::WindDown {
        let mut unit = UnitOfWork::default();
        unit.delete::<UsagePass>(&id);
        chunk_stage::advance(billing, chunk, ChunkState::Invoiced, unit).await?;
        return Ok(None);
    }
    match billing.store.find::<UsagePass>(tenant, &id).await? {
        Some(frozen) => Ok(Some((chunk, frozen))),
        // It was billed, and deleted, between the two reads.
        None => Err(StoreError::Conflict(format!("{id} is gone")).into()),
    }
}

async fn load(
    billing: &Billing,
    chunk: &Chunk,
    entries: &[UsagePassEntry],
    wall: Timestamp,
) -> Result<Loaded, BillingError> {
    let (store, tenant) = (&billing.store, chunk.tenant.as_str());
    let ids: Vec<String> = entries.iter().map(|entry| entry.subscription.clone()).collect();
    let subscriptions = by_id(store.find_all::<SubscriptionRecord>(tenant, &ids).await?, |record| &record.id);
    let customer_ids = distinct(subscriptions.values().map(|record| record.customer.as_str()));
    let time = TenantTime::read(store, tenant, wall).await?;
    let purses = load_purses(store, (tenant, &customer_ids), &time).await?;
    let plans = |record: &SubscriptionRecord| {
        let subscription = &record.subscription;
        [Some(subscription.plan()), subscription.scheduled_plan()]
            .into_iter()
            .flatten()
            .map(ToOwned::to_owned)
            .collect::<Vec<_>>()
    };
    let plan_ids: Vec<String> = Vec::from_iter(subscriptions.values().flat_map(plans).collect::<BTreeSet<_>>());
    let plans = by_id(store.find_all::<PlanVersion>(tenant, &plan_ids).await?, |plan| &plan.id);
    let books = Books::load(store, tenant, entries.iter().map(|entry| &entry.late)).await?;
    Ok(Loaded { subscriptions, purses, plans, books, time })
}

fn distinct<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<String> {
    ids.collect::<BTreeSet<_>>().into_iter().map(ToOwned::to_owned).collect()
}

fn by_id<R>(records: Vec<R>, id: impl Fn(&R) -> &String) -> BTreeMap<String, R> {
    records.into_iter().map(|record| (id(&record).clone(), record)).collect()
}

fn decide(chunk: &Chunk, loaded: &mut Loaded, entries: &[UsagePassEntry]) -> Result<Decided, BillingError> {
    let mut decided = Decided::default();
    for entry in entries {
        let subscription = loaded.subscriptions.get(&entry.subscription);
        let unbilled = subscription.filter(|record| record.subscription.next_boundary() == Some(entry.boundary));
        match unbilled.cloned() {
            Some(record) => bill_entry((chunk, loaded), record, entry, &mut decided)?,
            None => decided.skipped += 1,
        }
    }
    Ok(decided)
}

/// Bills one boundary; what the rules refuse is reported as failed and left out of later passes.
fn bill_entry(
    (chunk, loaded): (&Chunk, &mut Loaded),
    mut record: SubscriptionRecord,
    entry: &UsagePassEntry,
    decided: &mut Decided,
) -> Result<(), BillingError> {
    let parties = loaded.purses.get_mut(&record.customer).zip(loaded.plans.get(record.subscription.plan()));
    let Some((Purse { customer, wallets }, plan)) = parties else {
        decided.failed.push(failure(entry, "missing_parent", &"its customer or plan does not exist"));
        return Ok(());
    };
    let next_plan = record.subscription.scheduled_plan().and_then(|id| loaded.plans.get(id));
    let occasion = Occasion::Boundary { next_plan: next_plan.map(|version| &version.plan) };
    let counted = Counted { usage: entry.usage.clone(), late: entry.late.clone() };
    let matter = Matter { occasion: &occasion, counted: &counted, books: &loaded.books, chunk: Some(chunk) };
    let party = Party { record: &mut record, plan, customer, wallets };
    let by = (&Actor::system(&chunk.tenant), &loaded.time);
    let invoice = match bill_occasion(&mut decided.unit, by, party, &matter) {
        Ok(invoice) => invoice,
        Err(error @ (BillingError::Rule { .. } | BillingError::Spec { .. } | BillingError::State { .. })) => {
            decided.failed.push(failure(entry, "not_billable", &error));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    decided.issued.extend(invoice.map(|invoice| invoice.content.amount_due()));
    let plan = next_plan.filter(|next| next.id == record.subscription.plan()).unwrap_or(plan);
    record.note_meters(&plan.plan);
    record.due = loaded.time.due(record.subscription.due_at());
    Ok(decided.unit.replace(&mut record)?)
}

fn failure(entry: &UsagePassEntry, code: &str, detail: &dyn std::fmt::Display) -> FailedItem {
    FailedItem { subscription: entry.subscription.clone(), code: code.to_owned(), detail: detail.to_string() }
}

/// Counts what was decided on the chunk that is written with it.
fn count(chunk: &mut Chunk, decided: Decided) -> UnitOfWork {
    chunk.skipped += decided.skipped;
    chunk.failed.extend(decided.failed);
    for amount in decided.issued {
        chunk.counts.add_invoice(amount.currency(), amount.minor());
    }
    decided.unit
}

/// Takes what was decided out of the pass, which stays open.
fn shrink_pass((mut chunk, mut rest): (Chunk, UsagePass), decided: Decided) -> Result<Change<()>, BillingError> {
    let mut unit = count(&mut chunk, decided);
    unit.replace(&mut chunk)?;
    unit.replace(&mut rest)?;
    Ok(Change { result: (), unit, follow_up: Vec::new() })
}

/// Ends the pass in the unit that bills it: the chunk is planned again, for its next pass.
async fn close_pass(billing: &Billing, mut chunk: Chunk, mut unit: UnitOfWork) -> Result<(), BillingError> {
    unit.delete::<UsagePass>(&usage_pass_id(&chunk.id, chunk.pass));
    chunk.pass += 1;
    chunk_stage::advance(billing, chunk, ChunkState::Planned, unit).await
}
