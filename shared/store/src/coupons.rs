//! Coupons: what is taken off invoices.

use std::collections::BTreeMap;

use bson::doc;
use domain::Coupon;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, instant, record::record};

/// A stored coupon; its key is unique per tenant and what it says never changes. Subscriptions hold copies of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CouponRecord {
    /// `cpn_...`
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    pub coupon: Coupon,
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Since when it may not be applied any more.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<Timestamp>,
}
record!(CouponRecord, "coupons", revised);

impl Store {
    /// The coupon of a tenant by its key.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn coupon_by_key(&self, tenant: &str, key: &str) -> Result<Option<CouponRecord>, StoreError> {
        let filter = doc! { "tenant": tenant, "coupon.key": key };
        Ok(self.collection::<CouponRecord>().find_one(filter).await?)
    }
}
