//! Acts on queues and dead letters: carried out in Redis, then recorded with their reply.
//!
//! Redis and the database have no transaction in common. The act comes first, since each of them may be repeated and Redis
//! itself keeps who acted and why (with a pause, in the journal of the dead letters); the audit entry and the reply follow in
//! one transaction. A process that dies in between leaves an act without an audit entry, and the client without an answer.
//!
//! **Invariant:** a request acts once, however often its transaction is tried.

use axum::{http::StatusCode, response::Response};
use billing::{BillingError, Change};
use queue::{By, QueueClient, QueueError};
use serde::Serialize;
use serde_json::{Value, json};
use store::{AuditEntry, Due, UnitOfWork};
use tokio::sync::OnceCell;

use crate::{
    access::Action,
    http::{headers::ETag, json::BodyHash, problem::Problem},
    state::GatewayState,
    write::{Ground, Write, Writer},
};

/// Longest reason in characters: a sentence, which is repeated with everything that it is about.
const MAX_REASON_CHARS: usize = 500;

/// Who acts, why, and for whom.
pub(crate) struct Acting<'a> {
    pub queue: &'a QueueClient,
    pub tenant: &'a str,
    pub by: By,
}

/// What is acted on, and why.
pub(crate) struct About<'a> {
    /// Id of what is acted on.
    pub subject: &'a str,
    /// Empty where no reason has to be given.
    pub reason: &'a str,
}

/// One kind of act.
pub(crate) trait Act: Send + Sync + 'static {
    /// What is shown of it.
    type Shown: Serialize + Clone + Send + Sync;
    /// Past tense, for the audit entry: `queue.paused`.
    const ACTION: &'static str;

    /// What is acted on, and why.
    fn about(&self) -> About<'_>;

    /// What is changed besides, without secrets.
    fn changes(&self) -> Value {
        json!({ "reason": self.about().reason })
    }

    /// Acts. Not called again once it has succeeded.
    fn carry_out(&self, acting: &Acting<'_>) -> impl Future<Output = Result<Self::Shown, BillingError>> + Send;

    /// The entity tag of what was changed, if it has one.
    fn etag(_: &Self::Shown) -> Option<ETag> {
        None
    }

    /// What is shown of what was done, of a tenant in live or in test mode.
    fn show(shown: Self::Shown, _livemode: bool) -> Self::Shown {
        shown
    }
}

/// Carries an act out for whoever writes.
///
/// # Errors
/// Those of the act, and of [`Writer::run`].
pub(crate) async fn carry_out<A: Act, P: Action>(
    gateway: &GatewayState,
    writer: Writer<P>,
    (body_hash, act): (BodyHash, A),
) -> Result<Response, Problem> {
    let queue = gateway.app.billing.queue.clone();
    let audit_id = gateway.app.ids.new_id("aud");
    writer.run(gateway, (body_hash, Once { act, queue, audit_id, done: OnceCell::new() })).await
}

/// An act with its outcome, once there is one.
struct Once<A: Act> {
    act: A,
    queue: QueueClient,
    audit_id: String,
    done: OnceCell<A::Shown>,
}

impl<A: Act> Once<A> {
    fn audit_entry(&self, ground: &Ground) -> AuditEntry {
        AuditEntry {
            id: self.audit_id.clone(),
            tenant: ground.actor.tenant.clone(),
            created: ground.time.wall,
            actor: ground.actor.id.clone(),
            action: A::ACTION.to_owned(),
            subject: self.act.about().subject.to_owned(),
            request_id: ground.actor.request_id.clone(),
            before: None,
            after: self.act.changes(),
            seal: None,
            due: Due::at(ground.time.wall),
        }
    }
}

impl<A: Act> Write for Once<A> {
    type Made = A::Shown;
    type Shown = A::Shown;
    const STATUS: StatusCode = StatusCode::OK;

    async fn decide(&self, ground: &Ground) -> Result<Change<A::Shown>, BillingError> {
        let by = By { who: ground.actor.id.clone(), reason: self.act.about().reason.to_owned() };
        let acting = Acting { queue: &self.queue, tenant: &ground.actor.tenant, by };
        let result = self.done.get_or_try_init(|| self.act.carry_out(&acting)).await?.clone();
        let mut unit = UnitOfWork::default();
        unit.record_audit(&self.audit_entry(ground))?;
        Ok(Change { result, unit, follow_up: Vec::new() })
    }

    fn etag(made: &A::Shown) -> Option<ETag> {
        A::etag(made)
    }

    fn show(made: A::Shown, livemode: bool) -> A::Shown {
        A::show(made, livemode)
    }
}

/// A reason that must be given.
///
/// # Errors
/// 422 unless it is 1 to 500 characters.
pub(crate) fn reason(reason: String) -> Result<String, Problem> {
    if reason.trim().is_empty() {
        return Err(refused_reason("reason_required", "say why"));
    }
    optional_reason(Some(reason))
}

/// A reason that may be left out.
///
/// # Errors
/// 422 beyond 500 characters.
pub(crate) fn optional_reason(reason: Option<String>) -> Result<String, Problem> {
    let reason = reason.unwrap_or_default();
    if reason.chars().count() > MAX_REASON_CHARS {
        return Err(refused_reason("reason_too_long", "a reason has at most 500 characters"));
    }
    Ok(reason)
}

fn refused_reason(code: &str, detail: &str) -> Problem {
    Problem::rule_violated(code, detail).at("/reason", code, detail)
}

/// The queue's refusal of a field as a rule's, which the client can mend; `pointer` is the field's place.
pub(crate) fn refusal_at(pointer: &'static str) -> impl FnOnce(QueueError) -> BillingError {
    move |error| match error {
        QueueError::Invalid { .. } => BillingError::Rule { code: "rule_violated", pointer, detail: error.to_string() },
        error => error.into(),
    }
}
