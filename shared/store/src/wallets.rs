//! Wallets: prepaid credit of customers.
//!
//! **Invariant:** a balance changes in the transaction that inserts or voids the invoice it pays, compared on the wallet's
//! revision, so that two invoices at once never spend the same money.

use bson::doc;
use domain::{Currency, Wallet};
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, instant, record::record};

/// A stored wallet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WalletRecord {
    /// `wal_...`
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    pub customer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The customer's.
    pub currency: Currency,
    /// What was paid in.
    pub amount_minor: i64,
    /// What is left.
    pub balance_minor: i64,
    /// Keys of the prices that it may pay; none for everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applies_to: Vec<String>,
    /// First instant, on the tenant's clock, at which it pays nothing any more.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}
record!(WalletRecord, "wallets", revised);

impl WalletRecord {
    /// What the billing core needs to know of it.
    #[must_use]
    pub fn wallet(&self) -> Wallet {
        Wallet {
            id: self.id.clone(),
            balance_minor: self.balance_minor,
            applies_to: self.applies_to.clone(),
            expires_at: self.expires_at,
        }
    }
}

impl Store {
    /// Wallets of these customers that can pay at an instant, in the order they were created.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn usable_wallets(
        &self,
        (tenant, customers): (&str, &[String]),
        now: Timestamp,
    ) -> Result<Vec<WalletRecord>, StoreError> {
        let filter = doc! {
            "tenant": tenant, "customer": { "$in": customers }, "balance_minor": { "$gt": 0 },
            "$or": [ { "expires_at": { "$exists": false } }, { "expires_at": { "$gt": now } } ],
        };
        let found = self.collection::<WalletRecord>().find(filter).sort(doc! { "created": 1, "_id": 1 }).await?;
        Ok(found.try_collect().await?)
    }
}
