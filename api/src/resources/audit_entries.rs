//! `/v1/audit_entries`: who did what, and whether anybody has tampered with the record of it. Read only.

use axum::{
    Json,
    extract::{Path, State},
};
use billing::{AuditVerification, BrokenLink, Damage, verify_audit};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::ListFilter;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::{Allowed, GetAuditEntry, ListAuditEntries, VerifyAuditEntries},
    http::{
        openapi::ReadProblems,
        page::{List, PageParams},
        problem::Problem,
        query::ListQuery,
    },
    read::{self, Reader},
    state::GatewayState,
};

const URL: &str = "/v1/audit_entries";

/// What somebody did. It never changes, but gets its seal some seconds after it was written.
#[derive(Debug, Serialize, ToSchema)]
struct AuditEntry {
    #[schema(example = "aud_cus_0198f3_1_customer.created")]
    id: String,
    /// Always `audit_entry`.
    #[schema(value_type = String, example = "audit_entry")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    /// Id of the user or API key, or `system` for work that goes on by itself.
    #[schema(example = "usr_0198f3")]
    actor: String,
    /// What was done, past tense.
    #[schema(example = "customer.created")]
    action: String,
    /// Id of the object that it was done to.
    #[schema(example = "cus_0198f3")]
    subject: String,
    /// The `Request-Id` of the request that caused it.
    request_id: Option<String>,
    /// What the object said before, as far as that was changed.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// What it says now.
    #[schema(value_type = Object)]
    after: Value,
    /// Its place in the chain.
    seal: Option<Seal>,
}

/// A place in the tenant's chain of entries.
#[derive(Debug, Serialize, ToSchema)]
struct Seal {
    /// From 1, without gaps.
    number: i64,
    /// SHA-256 of the entry and the hash before it.
    hash: String,
}

/// Whether the chain holds.
#[derive(Debug, Serialize, ToSchema)]
struct Verification {
    /// Always `audit_verification`.
    #[schema(value_type = String, example = "audit_verification")]
    object: &'static str,
    livemode: bool,
    /// Whether every entry is what was sealed, and none is missing.
    valid: bool,
    /// Entries in the chain, as far as it holds.
    sealed: i64,
    /// Entries that wait to be sealed: nothing is known of these.
    unsealed: u64,
    /// Hash of the last entry that holds. Keep it elsewhere: whoever can write everything can write another chain, but none
    /// that goes through this hash.
    head: Option<String>,
    /// The first place at which it does not hold.
    broken: Option<Broken>,
}

/// A place at which the chain does not hold.
#[derive(Debug, Serialize, ToSchema)]
struct Broken {
    number: i64,
    /// The entry that is found there.
    entry: Option<String>,
    reason: Reason,
}

/// What is wrong with a place.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    /// The entry is not what was sealed there: edited, or moved.
    Altered,
    /// There is none, and there are later ones.
    Missing,
    /// The chain was longer.
    Truncated,
    /// The number was never given.
    Forged,
}

/// Which entries are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AuditFilter {
    /// Only what this user or API key did.
    actor: Option<String>,
    /// Only what this was.
    #[param(example = "customer.created")]
    action: Option<String>,
    /// Only what was done to this object.
    subject: Option<String>,
    /// Only what this request caused.
    request_id: Option<String>,
}

impl AuditEntry {
    fn of(entry: store::AuditEntry, livemode: bool) -> Self {
        Self {
            id: entry.id,
            object: "audit_entry",
            created: entry.created,
            livemode,
            actor: entry.actor,
            action: entry.action,
            subject: entry.subject,
            request_id: entry.request_id,
            before: entry.before,
            after: entry.after,
            seal: entry.seal.map(|seal| Seal { number: seal.number, hash: seal.hash }),
        }
    }
}

impl Verification {
    fn of(verification: AuditVerification, livemode: bool) -> Self {
        let AuditVerification { sealed, unsealed, head, broken } = verification;
        Self {
            object: "audit_verification",
            livemode,
            valid: broken.is_none(),
            sealed,
            unsealed,
            head: Some(head).filter(|head| !head.is_empty()),
            broken: broken.map(Broken::of),
        }
    }
}

impl Broken {
    fn of(BrokenLink { number, entry, damage }: BrokenLink) -> Self {
        let reason = match damage {
            Damage::Altered => Reason::Altered,
            Damage::Missing => Reason::Missing,
            Damage::Truncated => Reason::Truncated,
            Damage::Forged => Reason::Forged,
        };
        Self { number, entry, reason }
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(list_audit_entries))
        .routes(routes!(verify_audit_entries))
        .routes(routes!(get_audit_entry))
}

/// Lists audit entries, newest first.
#[utoipa::path(get, path = "/v1/audit_entries", tag = "operations", params(PageParams, AuditFilter),
    responses((status = 200, body = List<AuditEntry>), ReadProblems))]
async fn list_audit_entries(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListAuditEntries>,
    query: ListQuery<AuditFilter>,
) -> Result<Json<List<AuditEntry>>, Problem> {
    let AuditFilter { actor, action, subject, request_id } = query.filter;
    let filter = ListFilter::default().field("actor", actor).field("action", action);
    let filter = filter.field("subject", subject).field("request_id", request_id);
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let page = read::page(&gateway, &caller, &query.page, filter).await?;
    let rows = page.data.into_iter().map(|entry| AuditEntry::of(entry, livemode)).collect();
    Ok(Json(List::new(URL, page.has_more, rows)))
}

/// Verifies the chain of audit entries: recomputes every hash, and compares its end with what is kept apart.
#[utoipa::path(get, path = "/v1/audit_entries/verify", tag = "operations",
    responses((status = 200, body = Verification), ReadProblems))]
async fn verify_audit_entries(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<VerifyAuditEntries>,
) -> Result<Json<Verification>, Problem> {
    let verification = verify_audit(&gateway.app.billing.store, &caller.tenant).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    Ok(Json(Verification::of(verification, livemode)))
}

/// Gets an audit entry.
#[utoipa::path(get, path = "/v1/audit_entries/{id}", tag = "operations", params(("id" = String, Path)),
    responses((status = 200, body = AuditEntry), ReadProblems))]
async fn get_audit_entry(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetAuditEntry>,
    Path(id): Path<String>,
) -> Result<Json<AuditEntry>, Problem> {
    let entry: store::AuditEntry = read::find(&gateway, &caller, ("audit_entry", &id)).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    Ok(Json(AuditEntry::of(entry, livemode)))
}
