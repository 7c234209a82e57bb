//! Who does something, and the record of it.

use jiff::Timestamp;
use serde_json::Value;
use store::{AuditEntry, Due, Event, StoreError, UnitOfWork, event_id};

use crate::EventType;

/// What a fact's data calls the objects that it is about beside its subject, so that events can be found by any of them.
const RELATED: [&str; 8] =
    ["customer", "subscription", "invoice", "payment", "plan", "billing_run", "credit_note", "user"];

/// The verified caller of an API request, or the job that acts by itself.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The only source of the tenant anywhere.
    pub tenant: String,
    /// User id, or `system`.
    pub id: String,
    /// Request that caused it; in logs, audit entries, events and jobs. What a job records without naming one gets the
    /// job's at commit.
    pub request_id: Option<String>,
}

/// Something that an action did to one object.
pub(crate) struct Fact<'a> {
    /// Event type and audit action.
    pub name: EventType,
    /// Id of the object.
    pub subject: &'a str,
    /// The object's revision after the change.
    pub revision: i64,
    /// Facts for listeners and auditors; no secrets. Other objects are named by the words of `RELATED`.
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
            id: event_id(fact.subject, fact.revision, fact.name.as_str()),
            tenant: self.tenant.clone(),
            created: wall,
            event_type: fact.name.as_str().to_owned(),
            subject: fact.subject.to_owned(),
            revision: fact.revision,
            related: related(&fact),
            data: fact.data,
            request_id: self.request_id.clone(),
            due: Due::at(wall),
        })
    }

    /// Adds a fact's audit entry and event to the unit that causes it.
    pub(crate) fn record(&self, unit: &mut UnitOfWork, wall: Timestamp, fact: Fact<'_>) -> Result<(), StoreError> {
        self.audit(unit, wall, &fact)?;
        self.announce(unit, wall, fact)
    }

    /// Records a fact that changed something that was there, with what its data said before.
    pub(crate) fn record_change(
        &self,
        unit: &mut UnitOfWork,
        wall: Timestamp,
        (before, fact): (Value, Fact<'_>),
    ) -> Result<(), StoreError> {
        unit.record_audit(&AuditEntry { before: Some(before), ..self.audit_entry(wall, &fact) })?;
        self.announce(unit, wall, fact)
    }

    /// Adds a fact's audit entry to the unit that causes it.
    pub(crate) fn audit(&self, unit: &mut UnitOfWork, wall: Timestamp, fact: &Fact<'_>) -> Result<(), StoreError> {
        unit.record_audit(&self.audit_entry(wall, fact))
    }

    fn audit_entry(&self, wall: Timestamp, fact: &Fact<'_>) -> AuditEntry {
        AuditEntry {
            id: format!("aud_{}_{}_{}", fact.subject, fact.revision, fact.name),
            tenant: self.tenant.clone(),
            created: wall,
            actor: self.id.clone(),
            action: fact.name.as_str().to_owned(),
            subject: fact.subject.to_owned(),
            request_id: self.request_id.clone(),
            before: None,
            after: fact.data.clone(),
            seal: None,
            due: Due::at(wall),
        }
    }
}

/// The objects that a fact's data names, and its subject.
fn related(fact: &Fact<'_>) -> Vec<String> {
    let named = RELATED.iter().filter_map(|name| fact.data.get(name)?.as_str()).map(ToOwned::to_owned);
    std::iter::once(fact.subject.to_owned()).chain(named).collect()
}
