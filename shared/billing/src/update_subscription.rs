//! Changes what a subscription says besides what it bills: how its invoices are collected, and the client's notes.

use domain::{ProrationBehavior, SubscriptionStatus};
use serde_json::json;
use store::{Collection, Store, SubscriptionRecord, UnitOfWork};

use crate::{
    Actor, BillingError, Change, EventType, MetadataPatch, Target, TenantTime, actor::Fact, patch::patch_metadata,
};

/// What changes of a subscription, already parsed; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionPatch {
    pub collection: Option<Collection>,
    pub proration: Option<ProrationBehavior>,
    pub metadata: MetadataPatch,
}

/// Decides a change, which counts from the next invoice on.
///
/// # Errors
/// `NotFound`; `Stale`; `State` when anything but metadata is to change of what is over; `Rule` for too much metadata; store
/// errors.
pub async fn update_subscription(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (target, patch): (&Target, SubscriptionPatch),
) -> Result<Change<SubscriptionRecord>, BillingError> {
    let missing = || BillingError::not_found("subscription", &target.id);
    let mut record: SubscriptionRecord = store.find(&actor.tenant, &target.id).await?.ok_or_else(missing)?;
    target.check(record.revision)?;
    let billed = patch.collection.is_some() || patch.proration.is_some();
    if billed && record.subscription.status() == SubscriptionStatus::Cancelled {
        return Err(BillingError::state("invalid_state", "the subscription is over"));
    }
    record.collection = patch.collection.unwrap_or(record.collection);
    record.proration = patch.proration.unwrap_or(record.proration);
    patch_metadata(&mut record.metadata, patch.metadata)?;
    let mut unit = UnitOfWork::default();
    unit.replace(&mut record)?;
    let data = json!({ "customer": record.customer, "collection": record.collection, "proration": record.proration });
    let fact = Fact { name: EventType::SubscriptionUpdated, subject: &record.id, revision: record.revision, data };
    actor.record(&mut unit, time.wall, fact)?;
    Ok(Change { result: record, unit, follow_up: Vec::new() })
}
