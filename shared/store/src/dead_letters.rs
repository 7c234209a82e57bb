//! The mirror of the queues' dead letters, so that losing Redis loses none of them.
//!
//! Redis is where a dead letter lives and where it is operated on; this is written from the queues' journals alone, and read
//! when Redis has lost its data. What was requeued or discarded stays, as the record of who did that and why; nothing expires.
//! It serves the deployment, like the sweep, and so its queries go across tenants.
//!
//! **Invariant:** a letter is changed only by a change that is later than its `last_change`. So a change that is read again,
//! by the same scheduler or by another one at the same time, does nothing.

use std::collections::BTreeMap;

use bson::{Bson, Document, doc};
use futures::TryStreamExt;
use jiff::Timestamp;
use mongodb::{
    Namespace,
    error::{Error, ErrorKind},
    options::{UpdateOneModel, WriteModel},
};
use serde::{Deserialize, Serialize};

use crate::{Record, Store, StoreError, error::DUPLICATE_KEY, instant, record::record};

/// A dead letter as the mirror keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterRecord {
    /// The queue and the job's id in it: `payments:4f...`.
    #[serde(rename = "_id")]
    pub id: String,
    pub queue: String,
    pub state: DeadLetterState,
    /// The latest change that was applied.
    pub last_change: ChangeId,
    /// What it was when it was last read; absent if it was gone before it could be read.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub content: Option<DeadLetterContent>,
    /// Who edited it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<Handled>,
    /// Who requeued or discarded it; absent while it is dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Handled>,
}
record!(DeadLetterRecord, "dead_letters");

/// What became of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterState {
    /// It waits for a person.
    Dead,
    /// It was put back into its queue. If it dies again, it is dead again.
    Requeued,
    /// It was given up.
    Discarded,
}

/// What a dead letter is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterContent {
    /// Absent for jobs of the deployment and for bytes that were no job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Wire name of the job; empty for bytes that were no job.
    pub job: String,
    /// Code of the error it died of; empty if that is not known.
    pub code: String,
    /// Letters of one fingerprint died of the same cause.
    pub fingerprint: String,
    /// By the queue's clock.
    #[serde(with = "instant")]
    pub died_at: Timestamp,
    /// Everything the queue needs to put it back; only the queue reads it.
    pub entry: String,
}

/// An act of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handled {
    /// Who; empty if the queue does not know.
    pub by: String,
    /// Why; may be empty for what needs no reason.
    pub reason: String,
    /// By the queue's clock.
    #[serde(with = "instant")]
    pub at: Timestamp,
}

/// The place of a change in its queue's journal, in a form that sorts as text: milliseconds and sequence with leading zeros.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChangeId(String);

impl ChangeId {
    /// The place that the queue calls `<milliseconds>-<sequence>`; nothing for anything else.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        let (ms, sequence) = id.split_once('-')?;
        let (ms, sequence): (u64, u64) = (ms.parse().ok()?, sequence.parse().ok()?);
        Some(Self(format!("{ms:020}-{sequence:020}")))
    }
}

/// Something that happened to a dead letter.
#[derive(Clone, Debug)]
pub struct DeadLetterChange {
    pub queue: String,
    /// The job's id, as the queue knows it.
    pub id: String,
    pub change: ChangeId,
    pub event: DeadLetterEvent,
    /// The letter as it is now; absent if it is no dead letter any more.
    pub content: Option<DeadLetterContent>,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum DeadLetterEvent {
    Died,
    Edited(Handled),
    Requeued(Handled),
    Discarded(Handled),
}

/// A letter to put back into its queue.
#[derive(Clone, Debug)]
pub struct LostDeadLetter {
    /// The mirror's id, from which the next page goes on.
    pub mirror_id: String,
    pub queue: String,
    /// The job's id, as the queue knows it.
    pub id: String,
    pub died_at: Timestamp,
    pub entry: String,
}

/// All changes of one letter in a batch, as one update.
struct Fold {
    last_change: ChangeId,
    set: Document,
    unset: Document,
}

impl Store {
    /// Applies changes to the mirror, those of one letter in the order given; what is known already does nothing. Acknowledged
    /// by a majority of the replica set when it returns.
    ///
    /// # Errors
    /// `Unavailable` when any part may be missing: apply the same changes again.
    pub async fn mirror_dead_letters(&self, changes: Vec<DeadLetterChange>) -> Result<(), StoreError> {
        let folds = fold(changes)?;
        // Where a letter is known with a later change, or another scheduler inserts it at this moment, the insert of an
        // upsert meets the existing one. Now that it exists, the same update without an insert decides by `last_change`.
        let met = self.update_dead_letters(&folds.iter().collect::<Vec<_>>(), Missing::Insert).await?;
        let again: Vec<_> = met.into_iter().filter_map(|index| folds.get(index)).collect();
        self.update_dead_letters(&again, Missing::Skip).await?;
        Ok(())
    }

    /// Writes in as few round trips as possible; returns the indexes of those that met an existing letter.
    async fn update_dead_letters(&self, folds: &[&(String, Fold)], missing: Missing) -> Result<Vec<usize>, StoreError> {
        if folds.is_empty() {
            return Ok(Vec::new());
        }
        let namespace = Namespace::new(self.database().name(), DeadLetterRecord::COLLECTION);
        let models: Vec<WriteModel> = folds.iter().map(|(id, fold)| fold.model((&namespace, id), missing)).collect();
        match self.client().bulk_write(models).ordered(false).await {
            Ok(_) => Ok(Vec::new()),
            Err(error) => duplicates(error),
        }
    }

    /// Letters that were dead when last heard of, in the order of their ids and so queue by queue, after `after`.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt`.
    pub async fn lost_dead_letters(&self, after: Option<&str>, limit: i64) -> Result<Vec<LostDeadLetter>, StoreError> {
        let filter =
            doc! { "state": "dead", "_id": { "$gt": after.unwrap_or_default() }, "entry": { "$exists": true } };
        let found = self.collection::<DeadLetterRecord>().find(filter).sort(doc! { "_id": 1 }).limit(limit).await?;
        let records: Vec<DeadLetterRecord> = found.try_collect().await?;
        Ok(records.into_iter().filter_map(LostDeadLetter::of).collect())
    }
}

/// What an update does when the letter is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Insert,
    Skip,
}

impl LostDeadLetter {
    fn of(record: DeadLetterRecord) -> Option<Self> {
        let content = record.content?;
        let id = record.id.strip_prefix(&record.queue)?.strip_prefix(':')?.to_owned();
        let DeadLetterContent { died_at, entry, .. } = content;
        Some(Self { mirror_id: record.id, queue: record.queue, id, died_at, entry })
    }
}

/// Folds the changes of each letter into one update.
fn fold(changes: Vec<DeadLetterChange>) -> Result<Vec<(String, Fold)>, StoreError> {
    let mut folds: BTreeMap<String, Fold> = BTreeMap::new();
    for change in changes {
        let id = format!("{}:{}", change.queue, change.id);
        let fold = folds.entry(id).or_insert_with(|| Fold {
            last_change: change.change.clone(),
            set: doc! { "queue": change.queue.as_str() },
            unset: Document::new(),
        });
        fold.add(change)?;
    }
    Ok(folds.into_iter().collect())
}

impl Fold {
    fn add(&mut self, change: DeadLetterChange) -> Result<(), StoreError> {
        self.last_change = change.change;
        match change.event {
            DeadLetterEvent::Died => {
                self.set.remove("resolved");
                self.unset.insert("resolved", "");
                self.state(DeadLetterState::Dead)?;
            }
            DeadLetterEvent::Edited(handled) => {
                self.set.insert("edited", bson::serialize_to_bson(&handled)?);
                // Of a letter that is met for the first time, its death was read by somebody else.
                self.dead_unless_known()?;
            }
            DeadLetterEvent::Requeued(handled) => self.resolved(DeadLetterState::Requeued, &handled)?,
            DeadLetterEvent::Discarded(handled) => self.resolved(DeadLetterState::Discarded, &handled)?,
        }
        if let Some(content) = &change.content {
            self.set.extend(bson::serialize_to_document(content)?);
        }
        Ok(())
    }

    fn dead_unless_known(&mut self) -> Result<(), StoreError> {
        if self.set.contains_key("state") { Ok(()) } else { self.state(DeadLetterState::Dead) }
    }

    fn resolved(&mut self, state: DeadLetterState, handled: &Handled) -> Result<(), StoreError> {
        self.unset.remove("resolved");
        self.set.insert("resolved", bson::serialize_to_bson(handled)?);
        self.state(state)
    }

    fn state(&mut self, state: DeadLetterState) -> Result<(), StoreError> {
        self.set.insert("state", bson::serialize_to_bson(&state)?);
        Ok(())
    }

    fn model(&self, (namespace, id): (&Namespace, &str), missing: Missing) -> WriteModel {
        let last_change = Bson::String(self.last_change.0.clone());
        let mut set = self.set.clone();
        set.insert("last_change", last_change.clone());
        let mut update = doc! { "$set": set };
        if !self.unset.is_empty() {
            update.insert("$unset", self.unset.clone());
        }
        WriteModel::UpdateOne(
            UpdateOneModel::builder()
                .namespace(namespace.clone())
                .filter(doc! { "_id": id, "last_change": { "$lt": last_change } })
                .update(update)
                .upsert(missing == Missing::Insert)
                .build(),
        )
    }
}

/// The writes of a bulk that met an existing document, if nothing else went wrong.
fn duplicates(error: Error) -> Result<Vec<usize>, StoreError> {
    match &*error.kind {
        ErrorKind::BulkWrite(bulk)
            if bulk.write_concern_errors.is_empty()
                && !bulk.write_errors.is_empty()
                && bulk.write_errors.values().all(|write| write.code == DUPLICATE_KEY) =>
        {
            Ok(bulk.write_errors.keys().copied().collect())
        }
        _ => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_ids_sort_by_time_and_then_by_sequence() {
        let ids = ["9-10", "10-2", "10-11", "1700000000000-0"].map(|id| ChangeId::parse(id).unwrap());
        assert!(ids.is_sorted());
        for id in ["", "1", "1-", "-1", "a-1", "1-2-3"] {
            assert_eq!(ChangeId::parse(id), None, "{id:?}");
        }
    }
}
