//! The unit of work: what a use case decided, committed in one transaction or not at all.
//!
//! **Invariant:** a replaced document is compared on the revision that was loaded; if any has moved on, nothing of the unit
//! is written and the caller gets [`StoreError::Conflict`], loads again and decides again. **Invariant:** numbers of invoices
//! and credit notes are taken in the same transaction that writes these, so they have no gaps whatever crashes. One unit
//! numbers one series.

use bson::{Document, doc};
use mongodb::{
    Client, ClientSession, Namespace,
    error::UNKNOWN_TRANSACTION_COMMIT_RESULT,
    options::{DeleteOneModel, InsertOneModel, ReplaceOneModel, WriteModel},
};

use crate::{
    AuditEntry, CreditNoteRecord, Event, Invoice, LateMark, Record, Revised, Store, StoreError,
    counters::{self, NextNumber, Series},
};

/// How often a commit whose outcome is unknown is asked for again; the server answers a repeated commit truthfully.
const COMMIT_TRIES: u32 = 5;

/// What is recorded of a change names the request that caused it.
const RECORDS: [&str; 2] = [AuditEntry::COLLECTION, Event::COLLECTION];

/// Documents to insert, replace and delete together. See the module's invariants.
#[derive(Debug, Default)]
#[must_use = "a unit of work does nothing until it is committed"]
pub struct UnitOfWork {
    inserts: Vec<(&'static str, Document)>,
    replaces: Vec<(&'static str, Document, Document)>,
    deletes: Vec<(&'static str, Document)>,
    numbered: Vec<Numbered>,
    expected: Option<NextNumber>,
    announced: Vec<Announced>,
    audit_tenants: Vec<String>,
}

/// An object that an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    pub tenant: String,
    /// Its id.
    pub subject: String,
    /// Its revision after the change.
    pub revision: i64,
}

/// A document that gets its number at commit.
#[derive(Debug)]
struct Numbered {
    tenant: String,
    series: Series,
    collection: &'static str,
    /// What it replaces; inserted if none.
    replaces: Option<Document>,
    document: Document,
}

impl UnitOfWork {
    /// Inserts a new document.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be written as BSON.
    pub fn insert<R: Record>(&mut self, record: &R) -> Result<(), StoreError> {
        self.inserts.push((R::COLLECTION, bson::serialize_to_document(record)?));
        Ok(())
    }

    /// Inserts an issued invoice; its number is taken at commit, in the order of these calls.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be written as BSON.
    pub fn insert_invoice(&mut self, invoice: &Invoice) -> Result<(), StoreError> {
        self.number(Series::Invoices, (&invoice.tenant, invoice), None)
    }

    /// Replaces a draft by the invoice it has become, as [`UnitOfWork::replace`] does; its number is taken at commit.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be written as BSON.
    pub fn finalise_invoice(&mut self, invoice: &mut Invoice) -> Result<(), StoreError> {
        let filter = raise_revision(invoice);
        self.number(Series::Invoices, (&invoice.tenant, invoice), Some(filter))
    }

    /// Inserts a credit note; its number is taken at commit.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be written as BSON.
    pub fn insert_credit_note(&mut self, note: &CreditNoteRecord) -> Result<(), StoreError> {
        self.number(Series::CreditNotes, (&note.tenant, note), None)
    }

    /// Lets the commit fail with `Conflict` unless the first number it takes is this one: for whoever has to say it before.
    pub fn expect_number(&mut self, next: NextNumber) {
        self.expected = Some(next);
    }

    fn number<R: Record>(
        &mut self,
        series: Series,
        (tenant, record): (&str, &R),
        replaces: Option<Document>,
    ) -> Result<(), StoreError> {
        let document = bson::serialize_to_document(record)?;
        let (tenant, collection) = (tenant.to_owned(), R::COLLECTION);
        self.numbered.push(Numbered { tenant, series, collection, replaces, document });
        Ok(())
    }

    /// Records a domain event together with the change that caused it.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be written as BSON.
    pub fn record_event(&mut self, event: &Event) -> Result<(), StoreError> {
        let Event { tenant, subject, revision, .. } = event;
        self.announced.push(Announced { tenant: tenant.clone(), subject: subject.clone(), revision: *revision });
        self.insert(event)
    }

    /// Records who did what together with the doing.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be written as BSON.
    pub fn record_audit(&mut self, entry: &AuditEntry) -> Result<(), StoreError> {
        if !self.audit_tenants.contains(&entry.tenant) {
            self.audit_tenants.push(entry.tenant.clone());
        }
        self.insert(entry)
    }

    /// Puts its seal on an audit entry that has none; otherwise the commit fails with `Conflict`.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be written as BSON.
    pub fn seal(&mut self, entry: &AuditEntry) -> Result<(), StoreError> {
        let unsealed = doc! { "_id": &entry.id, "tenant": &entry.tenant, "seal": { "$exists": false } };
        self.replaces.push((AuditEntry::COLLECTION, unsealed, bson::serialize_to_document(entry)?));
        Ok(())
    }

    /// Replaces a loaded document by its changed self and raises its revision.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be written as BSON.
    pub fn replace<R: Revised>(&mut self, record: &mut R) -> Result<(), StoreError> {
        let filter = raise_revision(record);
        self.replaces.push((R::COLLECTION, filter, bson::serialize_to_document(record)?));
        Ok(())
    }

    /// Deletes a document if it is there.
    pub fn delete<R: Record>(&mut self, id: &str) {
        self.deletes.push((R::COLLECTION, doc! { "_id": id }));
    }

    /// Names the request that caused all that is recorded here and names none yet: audit entries and events of jobs.
    pub fn caused_by(&mut self, request_id: &str) {
        let records = self.inserts.iter_mut().filter(|(collection, _)| RECORDS.contains(collection));
        for (_, document) in records {
            document.entry("request_id".to_owned()).or_insert_with(|| request_id.into());
        }
    }

    /// Deletes a late mark, unless it has been widened since it was read.
    pub fn delete_mark(&mut self, mark: &LateMark) {
        self.deletes.push((LateMark::COLLECTION, mark.unchanged()));
    }

    /// The objects whose changes this unit announces: dispatching the events is the follow-up of the commit.
    #[must_use]
    pub fn announced(&self) -> &[Announced] {
        &self.announced
    }

    /// The tenants whose audit entries this unit records: sealing them is the follow-up of the commit.
    #[must_use]
    pub fn audit_tenants(&self) -> &[String] {
        &self.audit_tenants
    }

    fn is_empty(&self) -> bool {
        self.inserts.is_empty() && self.replaces.is_empty() && self.deletes.is_empty() && self.numbered.is_empty()
    }

    /// The replacements, and everything else.
    fn models(self, database: &str) -> (Vec<WriteModel>, Vec<WriteModel>) {
        let namespace = |collection: &str| Namespace::new(database, collection);
        let mut replaces = self.replaces;
        let mut numbered = Vec::new();
        for Numbered { collection, replaces: filter, document, .. } in self.numbered {
            match filter {
                Some(filter) => replaces.push((collection, filter, document)),
                None => numbered.push((collection, document)),
            }
        }
        let replaces = replaces.into_iter().map(|(collection, filter, replacement)| {
            WriteModel::ReplaceOne(
                ReplaceOneModel::builder()
                    .namespace(namespace(collection))
                    .filter(filter)
                    .replacement(replacement)
                    .build(),
            )
        });
        let inserts = numbered.into_iter().chain(self.inserts).map(|(collection, document)| {
            WriteModel::InsertOne(InsertOneModel::builder().namespace(namespace(collection)).document(document).build())
        });
        let deletes = self.deletes.into_iter().map(|(collection, filter)| {
            WriteModel::DeleteOne(DeleteOneModel::builder().namespace(namespace(collection)).filter(filter).build())
        });
        (replaces.collect(), inserts.chain(deletes).collect())
    }
}

impl Store {
    /// Commits everything in `unit`, or nothing.
    ///
    /// # Errors
    /// `Conflict` when a replaced document has moved on or a concurrent transaction came first: load and decide again.
    /// `Duplicate` when an inserted document exists. `Unavailable` when the outcome could not be learnt.
    pub async fn commit(&self, unit: UnitOfWork) -> Result<(), StoreError> {
        if unit.is_empty() {
            return Ok(());
        }
        let mut session = self.client().start_session().await?;
        session.start_transaction().await?;
        match self.write(unit, &mut session).await {
            Ok(()) => commit(&mut session).await,
            Err(error) => {
                // The server drops an abandoned transaction by itself; aborting only frees it earlier.
                session.abort_transaction().await.ok();
                Err(error)
            }
        }
    }

    async fn write(&self, mut unit: UnitOfWork, session: &mut ClientSession) -> Result<(), StoreError> {
        take_numbers(self, &mut unit, session).await?;
        let (replaces, rest) = unit.models(self.database().name());
        let expected = i64::try_from(replaces.len()).unwrap_or(i64::MAX);
        // Replacements go first and alone. Where one is not at the loaded revision, whoever moved it on has often inserted
        // the same documents as well: that is a change that came first, and must not be taken for a duplicate.
        let matched = self.bulk_write(replaces, session).await?;
        if matched != expected {
            return Err(StoreError::Conflict(format!("{matched} of {expected} documents were at the loaded revision")));
        }
        self.bulk_write(rest, session).await?;
        Ok(())
    }

    /// Writes in one round trip; returns how many documents to replace were found.
    async fn bulk_write(&self, models: Vec<WriteModel>, session: &mut ClientSession) -> Result<i64, StoreError> {
        if models.is_empty() {
            return Ok(0);
        }
        let client: &Client = self.client();
        Ok(client.bulk_write(models).ordered(true).session(session).await?.matched_count)
    }
}

/// Raises the revision of a document to replace and returns the filter that finds it as it was loaded.
fn raise_revision<R: Revised>(record: &mut R) -> Document {
    let loaded = record.revision();
    record.set_revision(loaded + 1);
    doc! { "_id": record.id(), "revision": loaded }
}

async fn take_numbers(store: &Store, unit: &mut UnitOfWork, session: &mut ClientSession) -> Result<(), StoreError> {
    let mut start = 0;
    while start < unit.numbered.len() {
        let Numbered { tenant, series, .. } = &unit.numbered[start];
        let (tenant, series) = (tenant.clone(), *series);
        let same = |other: &&Numbered| other.tenant == tenant && other.series == series;
        let count = unit.numbered[start..].iter().take_while(same).count();
        let first = counters::take(store, session, (&tenant, series), count).await?;
        if let Some(expected) = unit.expected.take()
            && expected != (NextNumber { series, counter: first })
        {
            return Err(StoreError::Conflict(format!("{expected} was taken by somebody else")));
        }
        for (offset, numbered) in unit.numbered[start..start + count].iter_mut().enumerate() {
            let number = u64::try_from(offset).unwrap_or(u64::MAX).saturating_add(first);
            numbered.document.insert("number", series.number(number));
        }
        start += count;
    }
    Ok(())
}

async fn commit(session: &mut ClientSession) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match session.commit_transaction().await {
            Ok(()) => return Ok(()),
            Err(error) if tries < COMMIT_TRIES && error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
