//! Plan versions: what is charged. A version never changes; a price change is a new version.

use bson::doc;
use domain::Plan;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, instant, record::record};

/// One immutable version of a plan. The first version's id is the plan's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanVersion {
    /// `pln_...`
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
record!(PlanVersion, "plans", revised);

impl Store {
    /// The plan version of a tenant by its key.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn plan_by_key(&self, tenant: &str, key: &str) -> Result<Option<PlanVersion>, StoreError> {
        let filter = doc! { "tenant": tenant, "plan.key": key };
        Ok(self.collection::<PlanVersion>().find_one(filter).sort(doc! { "version": -1 }).await?)
    }
}
