//! Test clocks: a tenant in test mode can stand on one, and then its time is this and nothing else.

use bson::doc;
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, instant, record::record};

/// A clock that stands still until it is advanced.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TestClock {
    /// `clk_...`
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    /// The time on this clock.
    #[serde(with = "instant")]
    pub now: Timestamp,
}
record!(TestClock, "test_clocks", revised);

impl Store {
    /// Every test clock of the deployment, for the scheduler, which serves all tenants.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn test_clocks(&self) -> Result<Vec<TestClock>, StoreError> {
        Ok(self.collection::<TestClock>().find(doc! {}).await?.try_collect().await?)
    }
}
