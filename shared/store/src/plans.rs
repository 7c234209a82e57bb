//! Plans and their versions: what is charged.
//!
//! **Invariant:** a version never changes; a change of price is a new version. The plan itself names its newest one.

use std::collections::BTreeMap;

use bson::doc;
use domain::Plan;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, instant, plan_version_id, record::record};

/// A plan, with what its newest version says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanRecord {
    /// `pln_...`
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    /// The newest version's number, from 1.
    pub version: i32,
    /// What the newest version says; its key is the plan's for ever.
    pub plan: Plan,
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Since when nobody may subscribe to it any more.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub deprecated_at: Option<Timestamp>,
}
record!(PlanRecord, "plans", revised);

impl PlanRecord {
    /// Its newest version, as it is made at `created`.
    #[must_use]
    pub fn newest(&self, created: Timestamp) -> PlanVersion {
        PlanVersion {
            id: plan_version_id(&self.id, self.version),
            tenant: self.tenant.clone(),
            revision: 1,
            created,
            version: self.version,
            plan: self.plan.clone(),
        }
    }
}

/// One immutable version of a plan: what subscriptions name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanVersion {
    /// The plan's id and the version's number.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    /// 1 for the first.
    pub version: i32,
    pub plan: Plan,
}
record!(PlanVersion, "plan_versions", revised);

impl Store {
    /// The plan of a tenant by its key.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn plan_by_key(&self, tenant: &str, key: &str) -> Result<Option<PlanRecord>, StoreError> {
        Ok(self.collection::<PlanRecord>().find_one(doc! { "tenant": tenant, "plan.key": key }).await?)
    }
}
