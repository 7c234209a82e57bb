//! Usage events: what customers used, as reported; the first of an id wins.
//!
//! **Invariant:** ingestion decides nothing about which period an event belongs to; billing asks for a window when it bills.
//! **Invariant:** an event changes twice at most, and never back: the first subscription that counts it claims it if it named
//! none, and one other event may correct it.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, DateTime, Document, doc};
use futures::{Stream, TryStreamExt};
use jiff::Timestamp;
use mongodb::{
    Namespace,
    error::ErrorKind,
    options::{UpdateManyModel, WriteModel},
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{Record, Store, StoreError, error::DUPLICATE_KEY, instant, quantity, record::record};

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
    /// The subscription that bills it; none until one claims it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// Whether it named its customer only.
    #[serde(default, skip_serializing_if = "is_false")]
    pub by_customer: bool,
    /// Whether no subscription bills it yet; stored only as long as that is so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unclaimed: bool,
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

fn is_false(value: &bool) -> bool {
    !value
}

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
        // Which subscription the customer's usage went to is not of the report, unless it said so.
        let same_subject = self.by_customer || other.by_customer || self.subscription == other.subscription;
        let reported = Self {
            created: other.created,
            timestamp: other.timestamp,
            subscription: other.subscription.clone(),
            by_customer: other.by_customer,
            unclaimed: other.unclaimed,
            replaced_by: other.replaced_by.clone(),
            ..self.clone()
        };
        same_instant && same_subject && reported == *other
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
    /// What it corrects is no event that counts: there is none, or another one has corrected it.
    NothingToCorrect,
}

/// The usage asked for: of a subscription, on a meter, in a half-open window.
#[derive(Clone, Debug)]
pub struct UsageQuery {
    pub customer: String,
    pub subscription: String,
    /// Key of the meter.
    pub meter: String,
    pub from: Timestamp,
    pub to: Timestamp,
}

/// What is done about events of the customer that no subscription has claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unclaimed {
    /// They are left out.
    LeftOut,
    /// They are counted as the one subscription's that is asked about, without being claimed.
    Counted,
}

/// Usage by subscription and meter key; `Corrupt` where a sum exceeds 28 digits.
pub type UsageSums = BTreeMap<(String, String), Result<Decimal, StoreError>>;

#[derive(Deserialize)]
struct UsageSum {
    #[serde(rename = "_id")]
    key: UsageKey,
    quantity: bson::Decimal128,
}

#[derive(Deserialize)]
struct UsageKey {
    subscription: String,
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
            outcome[index] = taken_by(stored.get(events[index].id.as_str()).copied(), &events[index]);
        }
        Ok(outcome)
    }

    /// Stores an event that corrects another one, which then counts no more: both or neither.
    ///
    /// # Errors
    /// `Conflict` when somebody else corrects the same event at this moment; `Unavailable`. Repeating it is then safe.
    pub async fn insert_correction(&self, event: &UsageEvent) -> Result<Insertion, StoreError> {
        if let Some(stored) = self.find::<UsageEvent>(&event.tenant, &event.id).await? {
            return Ok(taken_by(Some(&stored), event));
        }
        let events = self.collection::<UsageEvent>();
        let counts = doc! { "_id": &event.replaces, "tenant": &event.tenant, "replaced_by": null };
        let corrected = doc! { "$set": { "replaced_by": &event.id } };
        let mut session = self.client().start_session().await?;
        session.start_transaction().await?;
        if events.update_one(counts, corrected).session(&mut session).await?.matched_count == 0 {
            session.abort_transaction().await?;
            return Ok(Insertion::NothingToCorrect);
        }
        events.insert_one(event).session(&mut session).await?;
        session.commit_transaction().await?;
        Ok(Insertion::Accepted)
    }

    /// Has each subscription claim those of its customer's events in a window that no other one has claimed, in two round
    /// trips at most. Whoever comes first has an event for ever.
    ///
    /// # Errors
    /// `Unavailable`; a repeat is harmless.
    pub async fn claim_usage_events(&self, tenant: &str, queries: &[UsageQuery]) -> Result<(), StoreError> {
        let customers: BTreeSet<&str> = queries.iter().map(|query| query.customer.as_str()).collect();
        let unclaimed = doc! {
            "tenant": tenant, "unclaimed": true, "customer": { "$in": Vec::from_iter(&customers) },
        };
        // Most events were claimed when they came.
        let found = self.collection::<UsageEvent>().distinct("customer", unclaimed).await?;
        let found: BTreeSet<&str> = found.iter().filter_map(Bson::as_str).collect();
        let namespace = Namespace::new(self.database().name(), UsageEvent::COLLECTION);
        let claim = |query: &UsageQuery| {
            let filter = doc! {
                "tenant": tenant, "unclaimed": true, "customer": &query.customer, "meter": &query.meter,
                "timestamp": { "$gte": query.from, "$lt": query.to },
            };
            let update = doc! { "$set": { "subscription": &query.subscription }, "$unset": { "unclaimed": "" } };
            let model = UpdateManyModel::builder().namespace(namespace.clone()).filter(filter).update(update);
            WriteModel::UpdateMany(model.build())
        };
        let claims: Vec<WriteModel> =
            queries.iter().filter(|query| found.contains(query.customer.as_str())).map(claim).collect();
        if !claims.is_empty() {
            self.client().bulk_write(claims).ordered(true).await?;
        }
        Ok(())
    }

    /// The events that any of the queries may count, each of a query's subscription and meter, in time order: by customer,
    /// meter, timestamp, time of receipt and id. Events may lie outside the windows where a customer has several.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn usage_events(
        &self,
        tenant: &str,
        queries: &[UsageQuery],
        unclaimed: Unclaimed,
    ) -> Result<impl Stream<Item = Result<UsageEvent, StoreError>> + use<>, StoreError> {
        let mut filter = envelope(tenant, queries, unclaimed);
        let meters: BTreeSet<&str> = queries.iter().map(|query| query.meter.as_str()).collect();
        filter.insert("meter", doc! { "$in": Vec::from_iter(meters) });
        let order = doc! { "customer": 1, "meter": 1, "timestamp": 1, "created": 1, "_id": 1 };
        let events = self.collection::<UsageEvent>().find(filter).sort(order).await?;
        Ok(events.map_err(StoreError::from))
    }

    /// Sums usage for many subscriptions in one round trip, each in its own window, as (subscription, meter key) -> quantity. A
    /// meter of a subscription is asked for once at most. A sum that cannot be held exactly is an error of its own, so that it does not
    /// keep the others from being billed.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn usage(
        &self,
        tenant: &str,
        queries: &[UsageQuery],
        unclaimed: Unclaimed,
    ) -> Result<UsageSums, StoreError> {
        let Some(first) = queries.first() else { return Ok(BTreeMap::new()) };
        let subscription = match unclaimed {
            Unclaimed::LeftOut => Bson::from("$subscription"),
            Unclaimed::Counted => Bson::from(doc! { "$ifNull": ["$subscription", &first.subscription] }),
        };
        let pipeline = [
            doc! { "$match": envelope(tenant, queries, unclaimed) },
            doc! { "$match": { "$expr": in_own_window(queries, &subscription) } },
            doc! { "$group": {
                "_id": { "subscription": subscription, "meter": "$meter" }, "quantity": { "$sum": "$quantity" },
            } },
        ];
        let sums: Vec<UsageSum> =
            self.collection::<UsageEvent>().aggregate(pipeline).with_type().await?.try_collect().await?;
        Ok(sums
            .into_iter()
            .map(|sum| ((sum.key.subscription, sum.key.meter), quantity::parse(&sum.quantity)))
            .collect())
    }
}

/// All events that any of the queries may count, found by index. A chunk's customers follow each other in id order, so the
/// range of ids keeps the scan to them also where `$in` alone is not turned into index bounds.
fn envelope(tenant: &str, queries: &[UsageQuery], unclaimed: Unclaimed) -> Document {
    let customers: BTreeSet<&str> = queries.iter().map(|query| query.customer.as_str()).collect();
    let subscriptions: BTreeSet<&str> = queries.iter().map(|query| query.subscription.as_str()).collect();
    let mut subscriptions: Vec<Bson> = subscriptions.into_iter().map(Bson::from).collect();
    if unclaimed == Unclaimed::Counted {
        subscriptions.push(Bson::Null);
    }
    let from = queries.iter().map(|query| query.from).min();
    let to = queries.iter().map(|query| query.to).max();
    doc! {
        "tenant": tenant,
        "customer": { "$gte": customers.first(), "$lte": customers.last(), "$in": Vec::from_iter(&customers) },
        "timestamp": { "$gte": from, "$lt": to },
        "subscription": { "$in": subscriptions },
        "replaced_by": null,
    }
}

/// Whether an event lies in the window of its own subscription and meter: the windows are looked up by position, since one
/// branch per subscription would be planned, and scanned, one by one.
fn in_own_window(queries: &[UsageQuery], subscription: &Bson) -> Document {
    let mut keys = Vec::new();
    let mut from = Vec::new();
    let mut to = Vec::new();
    for query in queries {
        keys.push(format!("{}:{}", query.subscription, query.meter));
        from.push(DateTime::from_jiff(query.from));
        to.push(DateTime::from_jiff(query.to));
    }
    let position = doc! { "$indexOfArray": [ keys, { "$concat": [subscription, ":", "$meter"] } ] };
    doc! { "$let": {
        "vars": { "position": position },
        "in": { "$and": [
            { "$gte": ["$$position", 0] },
            { "$gte": ["$timestamp", { "$arrayElemAt": [from, "$$position"] }] },
            { "$lt": ["$timestamp", { "$arrayElemAt": [to, "$$position"] }] },
        ] },
    } }
}

/// What becomes of an event whose id is taken.
fn taken_by(stored: Option<&UsageEvent>, event: &UsageEvent) -> Insertion {
    if stored.is_some_and(|stored| stored.same_content(event)) { Insertion::Duplicate } else { Insertion::Conflicting }
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
