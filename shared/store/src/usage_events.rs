//! Usage events: what customers used, as reported. Never changed; the first of an id wins.
//!
//! **Invariant:** ingestion decides nothing about which period an event belongs to; billing asks for a window when it bills.

use std::collections::{BTreeMap, BTreeSet};

use bson::{DateTime, Document, doc};
use futures::{Stream, TryStreamExt};
use jiff::Timestamp;
use mongodb::error::ErrorKind;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, error::DUPLICATE_KEY, instant, quantity, record::record};

/// A reported event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsageEvent {
    /// Tenant and the client's event id, so that uniqueness holds under sharding.
    #[serde(rename = "_id")]
    pub id: String,
    pub tenant: String,
    #[serde(with = "instant")]
    pub created: Timestamp,
    pub customer: String,
    /// Key of the meter.
    pub meter: String,
    #[serde(with = "instant")]
    pub timestamp: Timestamp,
    /// What it adds to the meter: 1 for a count, the value property for a sum.
    #[serde(with = "quantity")]
    pub quantity: Decimal,
    pub properties: BTreeMap<String, String>,
    /// Stored id of the event that this one corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// Stored id of the event that corrects this one, which then counts no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
}
record!(UsageEvent, "usage_events");

impl UsageEvent {
    /// The stored id of a client's event id.
    #[must_use]
    pub fn stored_id(tenant: &str, client_id: &str) -> String {
        format!("{tenant}:{client_id}")
    }

    /// Whether this is the same report, whenever it was received. Instants are compared as they are stored, in
    /// milliseconds.
    #[must_use]
    pub fn same_content(&self, other: &Self) -> bool {
        let same_instant = DateTime::from_jiff(self.timestamp) == DateTime::from_jiff(other.timestamp);
        let (created, timestamp, replaced_by) = (other.created, other.timestamp, other.replaced_by.clone());
        same_instant && Self { created, timestamp, replaced_by, ..self.clone() } == *other
    }
}

/// What became of each event of a batch, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insertion {
    /// Stored now.
    Accepted,
    /// The same event was stored before.
    Duplicate,
    /// The id is taken by an event with other content.
    Conflicting,
}

/// The usage asked for: of a customer, on a meter, in a half-open window.
#[derive(Clone, Debug)]
pub struct UsageQuery {
    pub customer: String,
    /// Key of the meter.
    pub meter: String,
    pub from: Timestamp,
    pub to: Timestamp,
}

/// Usage by customer and meter key; `Corrupt` where a sum exceeds 28 digits.
pub type UsageSums = BTreeMap<(String, String), Result<Decimal, StoreError>>;

#[derive(Deserialize)]
struct UsageSum {
    #[serde(rename = "_id")]
    key: UsageKey,
    quantity: bson::Decimal128,
}

#[derive(Deserialize)]
struct UsageKey {
    customer: String,
    meter: String,
}

impl Store {
    /// Stores a batch in one statement; repeats are recognised, none sinks the batch.
    ///
    /// # Errors
    /// `Unavailable`; repeating the batch is then safe.
    pub async fn insert_usage_events(&self, events: &[UsageEvent]) -> Result<Vec<Insertion>, StoreError> {
        let mut outcome = vec![Insertion::Accepted; events.len()];
        let Some(first) = events.first() else { return Ok(outcome) };
        let taken = match self.collection::<UsageEvent>().insert_many(events).ordered(false).await {
            Ok(_) => return Ok(outcome),
            Err(error) => taken_positions(error)?,
        };
        let ids: Vec<String> = taken.iter().map(|&index| events[index].id.clone()).collect();
        let stored = self.find_all::<UsageEvent>(&first.tenant, &ids).await?;
        let stored: BTreeMap<&str, &UsageEvent> = stored.iter().map(|event| (event.id.as_str(), event)).collect();
        for index in taken {
            let same = stored.get(events[index].id.as_str()).is_some_and(|known| known.same_content(&events[index]));
            outcome[index] = if same { Insertion::Duplicate } else { Insertion::Conflicting };
        }
        Ok(outcome)
    }

    /// The events that any of the queries may count, each of a query's customer and meter, in time order: by customer, meter,
    /// timestamp, time of receipt and id. Events may lie outside the windows where a customer has several.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn usage_events(
        &self,
        tenant: &str,
        queries: &[UsageQuery],
    ) -> Result<impl Stream<Item = Result<UsageEvent, StoreError>> + use<>, StoreError> {
        let mut filter = envelope(tenant, queries);
        let meters: BTreeSet<&str> = queries.iter().map(|query| query.meter.as_str()).collect();
        filter.insert("meter", doc! { "$in": Vec::from_iter(meters) });
        let order = doc! { "customer": 1, "meter": 1, "timestamp": 1, "created": 1, "_id": 1 };
        let events = self.collection::<UsageEvent>().find(filter).sort(order).await?;
        Ok(events.map_err(StoreError::from))
    }

    /// Sums usage for many customers in one round trip, each in its own window, as (customer, meter key) -> quantity. A meter
    /// of a customer is asked for once at most. A sum that cannot be held exactly is an error of its own, so that it does not
    /// keep the others from being billed.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn usage(&self, tenant: &str, queries: &[UsageQuery]) -> Result<UsageSums, StoreError> {
        if queries.is_empty() {
            return Ok(BTreeMap::new());
        }
        let pipeline = [
            doc! { "$match": envelope(tenant, queries) },
            doc! { "$match": { "$expr": in_own_window(queries) } },
            doc! { "$group": {
                "_id": { "customer": "$customer", "meter": "$meter" }, "quantity": { "$sum": "$quantity" },
            } },
        ];
        let sums: Vec<UsageSum> =
            self.collection::<UsageEvent>().aggregate(pipeline).with_type().await?.try_collect().await?;
        Ok(sums.into_iter().map(|sum| ((sum.key.customer, sum.key.meter), quantity::parse(&sum.quantity))).collect())
    }
}

/// All events that any of the queries may count, found by index. A chunk's customers follow each other in id order, so the
/// range of ids keeps the scan to them also where `$in` alone is not turned into index bounds.
fn envelope(tenant: &str, queries: &[UsageQuery]) -> Document {
    let customers: BTreeSet<&str> = queries.iter().map(|query| query.customer.as_str()).collect();
    let from = queries.iter().map(|query| query.from).min();
    let to = queries.iter().map(|query| query.to).max();
    doc! {
        "tenant": tenant,
        "customer": { "$gte": customers.first(), "$lte": customers.last(), "$in": Vec::from_iter(&customers) },
        "timestamp": { "$gte": from, "$lt": to },
        "replaced_by": null,
    }
}

/// Whether an event lies in the window of its own customer and meter: the windows are looked up by position, since one
/// branch per customer would be planned, and scanned, one by one.
fn in_own_window(queries: &[UsageQuery]) -> Document {
    let mut keys = Vec::new();
    let mut from = Vec::new();
    let mut to = Vec::new();
    for query in queries {
        keys.push(format!("{}:{}", query.customer, query.meter));
        from.push(DateTime::from_jiff(query.from));
        to.push(DateTime::from_jiff(query.to));
    }
    let position = doc! { "$indexOfArray": [ keys, { "$concat": ["$customer", ":", "$meter"] } ] };
    doc! { "$let": {
        "vars": { "position": position },
        "in": { "$and": [
            { "$gte": ["$$position", 0] },
            { "$gte": ["$timestamp", { "$arrayElemAt": [from, "$$position"] }] },
            { "$lt": ["$timestamp", { "$arrayElemAt": [to, "$$position"] }] },
        ] },
    } }
}

/// Which positions of the batch hit the unique id; any other failure is the batch's.
pub(crate) fn taken_positions(error: mongodb::error::Error) -> Result<Vec<usize>, StoreError> {
    match &*error.kind {
        ErrorKind::InsertMany(many) if many.write_concern_error.is_none() => {
            let errors = many.write_errors.as_deref().unwrap_or_default();
            if !errors.is_empty() && errors.iter().all(|write| write.code == DUPLICATE_KEY) {
                return Ok(errors.iter().map(|write| write.index).collect());
            }
            Err(error.into())
        }
        _ => Err(error.into()),
    }
}
