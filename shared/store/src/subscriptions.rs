//! Subscriptions: which customer is billed for which plan, and how far.
//!
//! **Invariant:** `due_at` is the instant of the subscription's next boundary, on the tenant's clock; it exists exactly as
//! long as there is one. Billing a boundary moves both in the invoice's transaction.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, doc};
use domain::{Plan, ProrationBehavior, Subscription};
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Collection, Due, Record, Store, StoreError, due::due_filter, instant, record::record};

/// A stored subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubscriptionRecord {
    /// `sub_...`
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    pub revision: i64,
    #[serde(with = "instant")]
    pub created: Timestamp,
    pub customer: String,
    pub subscription: Subscription,
    /// The meters whose usage its plans have billed, and when, so that usage finds its subscription without the plans.
    pub meters: Vec<MeteredSpan>,
    /// How its invoices are collected.
    #[serde(default)]
    pub collection: Collection,
    /// Whether changes and cancellations are prorated that do not say so themselves.
    #[serde(default)]
    pub proration: ProrationBehavior,
    pub metadata: BTreeMap<String, String>,
    #[serde(flatten)]
    pub due: Due,
}
record!(SubscriptionRecord, "subscriptions", revised);

/// What is due of some customers.
#[derive(Debug, Default)]
pub struct DueSubscriptions {
    pub records: Vec<SubscriptionRecord>,
    /// Ids of those that no longer decode, and why.
    pub damaged: Vec<(String, String)>,
}

/// A span of time, half-open, in which a subscription bills a meter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeteredSpan {
    /// Key of the meter.
    pub meter: String,
    #[serde(with = "instant")]
    pub from: Timestamp,
    /// None while no end is known.
    #[serde(with = "instant::option", default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

impl MeteredSpan {
    /// Whether it covers usage of a meter at an instant.
    #[must_use]
    pub fn covers(&self, meter: &str, at: Timestamp) -> bool {
        self.meter == meter && self.from <= at && self.to.is_none_or(|to| at < to)
    }
}

/// What a subscription bills of its customer's usage.
#[derive(Clone, Debug, Deserialize)]
pub struct MeteredSubscription {
    #[serde(rename = "_id")]
    pub id: String,
    pub customer: String,
    pub meters: Vec<MeteredSpan>,
}

impl SubscriptionRecord {
    /// Notes which meters are billed by the plan version that it has now, since when, and until when if that is known.
    pub fn note_meters(&mut self, plan: &Plan) {
        let (since, end) = (self.subscription.plan_since(), self.subscription.end_at());
        let reaches = |span: &MeteredSpan| span.from >= since || span.to.is_none_or(|to| to > since);
        let mut billed: BTreeSet<&str> = plan.meters().collect();
        for span in self.meters.iter_mut().filter(|span| reaches(span)) {
            span.to = if billed.remove(span.meter.as_str()) { end } else { Some(since) };
        }
        let span = |meter: &str| MeteredSpan { meter: meter.to_owned(), from: since, to: end };
        self.meters.extend(billed.into_iter().map(span));
    }
}

impl Store {
    /// Customers of a tenant with something due by `until`, in id order, after `after`; at most `limit`.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn customers_due(
        &self,
        tenant: &str,
        until: Timestamp,
        (after, limit): (&str, usize),
    ) -> Result<Vec<String>, StoreError> {
        #[derive(Deserialize)]
        struct Row {
            customer: String,
        }
        // Read in the index's order and only as far as needed: grouping would read everything due for every chunk.
        let mut rows = self
            .collection::<SubscriptionRecord>()
            .clone_with_type::<Row>()
            .find(doc! { "tenant": tenant, "customer": { "$gt": after }, "due_at": { "$lte": until } })
            .projection(doc! { "customer": 1, "_id": 0 })
            .sort(doc! { "customer": 1 })
            .await?;
        let mut customers: Vec<String> = Vec::new();
        while let Some(Row { customer }) = rows.try_next().await? {
            if customers.last() == Some(&customer) {
                continue;
            }
            if customers.len() == limit {
                break;
            }
            customers.push(customer);
        }
        Ok(customers)
    }

    /// How many subscriptions of these customers are due by `until`.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn count_due(&self, (tenant, customers): (&str, &[String]), until: Timestamp) -> Result<i64, StoreError> {
        let filter = doc! { "tenant": tenant, "customer": { "$in": customers }, "due_at": { "$lte": until } };
        let count = self.collection::<SubscriptionRecord>().count_documents(filter).await?;
        i64::try_from(count).map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    /// Subscriptions of these customers that are due by `until`, oldest boundary first, leaving out `except`.
    ///
    /// # Errors
    /// `Unavailable`; what no longer decodes is reported by itself.
    pub async fn subscriptions_due(
        &self,
        (tenant, customers): (&str, &[String]),
        until: Timestamp,
        except: &[String],
        limit: i64,
    ) -> Result<DueSubscriptions, StoreError> {
        let filter = doc! {
            "tenant": tenant, "customer": { "$in": customers }, "due_at": { "$lte": until }, "_id": { "$nin": except },
        };
        let documents = self.collection::<SubscriptionRecord>().clone_with_type::<bson::Document>();
        let mut found = documents.find(filter).sort(doc! { "due_at": 1, "_id": 1 }).limit(limit).await?;
        let mut due = DueSubscriptions::default();
        while let Some(document) = found.try_next().await? {
            let id = document.get_str("_id").unwrap_or_default().to_owned();
            match bson::deserialize_from_document(document) {
                Ok(record) => due.records.push(record),
                Err(error) => due.damaged.push((id, error.to_string())),
            }
        }
        Ok(due)
    }

    /// Subscriptions of a customer that are not cancelled.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn live_subscriptions(
        &self,
        tenant: &str,
        customer: &str,
    ) -> Result<Vec<SubscriptionRecord>, StoreError> {
        let filter = doc! { "tenant": tenant, "customer": customer, "subscription.status": { "$ne": "cancelled" } };
        Ok(self.collection::<SubscriptionRecord>().find(filter).await?.try_collect().await?)
    }

    /// All subscriptions of these customers, as far as usage has to know them.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn metered_subscriptions(
        &self,
        tenant: &str,
        customers: &[&str],
    ) -> Result<Vec<MeteredSubscription>, StoreError> {
        let found = self
            .collection::<SubscriptionRecord>()
            .clone_with_type()
            .find(doc! { "tenant": tenant, "customer": { "$in": customers } })
            .projection(doc! { "customer": 1, "meters": 1 })
            .await?;
        Ok(found.try_collect().await?)
    }

    /// Whether the tenant has any subscription.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn has_subscriptions(&self, tenant: &str) -> Result<bool, StoreError> {
        let any = self.collection::<SubscriptionRecord>().find_one(doc! { "tenant": tenant }).await?;
        Ok(any.is_some())
    }

    /// Tenants with a subscription that is due by `until` on `clock` (the wall clock if `None`).
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn tenants_due(&self, clock: Option<&str>, until: Timestamp) -> Result<Vec<String>, StoreError> {
        let tenants = self
            .database()
            .collection::<bson::Document>(SubscriptionRecord::COLLECTION)
            .distinct("tenant", due_filter(clock, until))
            .await?;
        Ok(tenants
            .into_iter()
            .filter_map(|tenant| if let Bson::String(id) = tenant { Some(id) } else { None })
            .collect())
    }
}
