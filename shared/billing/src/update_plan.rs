//! Changes a plan: a new version of it, or the end of its sale.
//!
//! **Invariant:** subscriptions stay on the version they have until they are changed themselves.

use std::num::NonZeroU16;

use domain::{Interval, Plan, PlanSpec, PriceSpec, TrialUsage};
use serde::Deserialize;
use serde_json::json;
use store::{PlanRecord, Store, UnitOfWork};

use crate::{
    Actor, BillingError, Change, EventType, MetadataPatch, Target, TenantTime, actor::Fact, create_plan::check_meters,
    patch::patch_metadata,
};

/// What a new version says; what is absent is as in the version before. Key and currency stay for ever.
#[derive(Clone, Debug, Default)]
pub struct PlanPatch {
    pub spec: PlanSpecPatch,
    pub metadata: MetadataPatch,
}

/// The fields of a plan's body that may differ between versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanSpecPatch {
    pub name: Option<String>,
    pub interval: Option<Interval>,
    pub interval_count: Option<NonZeroU16>,
    pub trial_days: Option<u16>,
    pub trial_usage: Option<TrialUsage>,
    pub minimum_commitment_minor: Option<i64>,
    /// All of them.
    pub prices: Option<Vec<PriceSpec>>,
}

/// Decides a new version; a change of metadata alone needs none.
///
/// # Errors
/// `NotFound`; `Stale`; `Spec` when the new version is no valid plan; `Rule` for too much metadata; store errors.
pub async fn update_plan(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    (target, patch): (&Target, PlanPatch),
) -> Result<Change<PlanRecord>, BillingError> {
    let mut record = load(store, actor, target).await?;
    let mut unit = UnitOfWork::default();
    patch_metadata(&mut record.metadata, patch.metadata)?;
    if patch.spec != PlanSpecPatch::default() {
        record.plan = apply(record.plan.into(), patch.spec)?;
        check_meters(store, &actor.tenant, &record.plan).await?;
        record.version += 1;
        unit.insert(&record.newest(time.wall))?;
    }
    unit.replace(&mut record)?;
    let data = json!({ "key": record.plan.key(), "version": record.version });
    let fact = Fact { name: EventType::PlanUpdated, subject: &record.id, revision: record.revision, data };
    actor.record(&mut unit, time.wall, fact)?;
    Ok(Change { result: record, unit, follow_up: Vec::new() })
}

/// Decides that nobody subscribes to a plan any more; those who have it go on. If it is so already, nothing changes.
///
/// # Errors
/// `NotFound`; store errors.
pub async fn deprecate_plan(
    store: &Store,
    actor: &Actor,
    time: &TenantTime,
    id: &str,
) -> Result<Change<PlanRecord>, BillingError> {
    let mut record = load(store, actor, &Target::any(id)).await?;
    let mut unit = UnitOfWork::default();
    if record.deprecated_at.is_none() {
        record.deprecated_at = Some(time.wall);
        unit.replace(&mut record)?;
        let data = json!({ "key": record.plan.key(), "version": record.version });
        let fact = Fact { name: EventType::PlanDeprecated, subject: &record.id, revision: record.revision, data };
        actor.record(&mut unit, time.wall, fact)?;
    }
    Ok(Change { result: record, unit, follow_up: Vec::new() })
}

async fn load(store: &Store, actor: &Actor, target: &Target) -> Result<PlanRecord, BillingError> {
    let missing = || BillingError::not_found("plan", &target.id);
    let record: PlanRecord = store.find(&actor.tenant, &target.id).await?.ok_or_else(missing)?;
    target.check(record.revision)?;
    Ok(record)
}

fn apply(spec: PlanSpec, patch: PlanSpecPatch) -> Result<Plan, BillingError> {
    Ok(Plan::try_from(PlanSpec {
        name: patch.name.or(spec.name),
        interval: patch.interval.unwrap_or(spec.interval),
        interval_count: patch.interval_count.unwrap_or(spec.interval_count),
        trial_days: patch.trial_days.unwrap_or(spec.trial_days),
        trial_usage: patch.trial_usage.unwrap_or(spec.trial_usage),
        minimum_commitment_minor: patch.minimum_commitment_minor.unwrap_or(spec.minimum_commitment_minor),
        prices: patch.prices.unwrap_or(spec.prices),
        ..spec
    })?)
}
