//! Who does something, and the record of it.

use jiff::Timestamp;
use serde_json::Value;
use store::{AuditEntry, Due, Event, StoreError, UnitOfWork, event_id};

/// The verified caller of an API request, or the job that acts by itself.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The only source of the tenant anywhere.
    pub tenant: String,
    /// User id, or `system`.
    pub id: String,
    /// Request that caused it; in logs, audit entries and jobs.
    pub request_id: Option<String>,
}

/// Something that an action did to one object.
pub(crate) struct Fact<'a> {
    /// Event type and audit action, past tense: `customer.created`.
    pub name: &'static str,
    /// Id of the object.
    pub subject: &'a str,
    /// The object's revision after the change.
    pub revision: i64,
    /// Facts for listeners and auditors; no secrets.
    pub data: Value,
}

impl Actor {
    /// A job of a tenant, acting by itself.
    #[must_use]
    pub fn system(tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), id: "system".to_owned(), request_id: None }
    }

    /// Adds a fact's event to the unit that causes it.
    pub(crate) fn announce(&self, unit: &mut UnitOfWork, wall: Timestamp, fact: Fact<'_>) -> Result<(), StoreError> {
        unit.record_event(&Event {
            id: event_id(fact.subject, fact.revision, fact.name),
            tenant: self.tenant.clone(),
            created: wall,
            event_type: fact.name.to_owned(),
            subject: fact.subject.to_owned(),
            data: fact.data,
            due: Due::at(wall),
        })
    }

    /// Adds a fact's audit entry and event to the unit that causes it.
    pub(crate) fn record(&self, unit: &mut UnitOfWork, wall: Timestamp, fact: Fact<'_>) -> Result<(), StoreError> {
        self.audit(unit, wall, &fact)?;
        self.announce(unit, wall, fact)
    }

    /// Adds a fact's audit entry to the unit that causes it.
    pub(crate) fn audit(&self, unit: &mut UnitOfWork, wall: Timestamp, fact: &Fact<'_>) -> Result<(), StoreError> {
        unit.insert(&AuditEntry {
            id: format!("aud_{}_{}_{}", fact.subject, fact.revision, fact.name),
            tenant: self.tenant.clone(),
            created: wall,
            actor: self.id.clone(),
            action: fact.name.to_owned(),
            subject: fact.subject.to_owned(),
            request_id: self.request_id.clone(),
            changes: fact.data.clone(),
        })
    }
}
