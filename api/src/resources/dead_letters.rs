//! `/v1/dead_letters`: jobs that were given up, one by one and by their cause. Acting on many is in `operations`.
//!
//! **Invariant:** the tenant of every look and every act is the caller's.

use std::cmp::Reverse;

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use billing::{BillingError, jobs::queues};
use jiff::Timestamp;
use queue::{DeadCursor, DeadFilter, Edited, QueueClient, Requeued};
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::{
        Allowed, DiscardDeadLetter, EditDeadLetter, GetDeadLetter, GroupDeadLetters, ListDeadLetters, RetryDeadLetter,
    },
    acts::{self, About, Act, Acting, refusal_at},
    http::{
        headers::{ETag, IfMatch},
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::{Created, Cursor, List, Page},
        problem::Problem,
        query::ListQuery,
    },
    read::{self, Reader},
    shown::{DeadLetter, DeadLetterGroup, DeadLetterState, JOB_PREFIX, payload},
    state::GatewayState,
    write::Writer,
};

const URL: &str = "/v1/dead_letters";
const GROUPS_URL: &str = "/v1/dead_letters/groups";

/// Code of an edit that was made to another content.
const STALE: &str = "stale";

/// Which dead letters are wanted: those that meet all conditions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeadLetterFilter {
    queue: Option<String>,
    /// The job's type.
    job: Option<String>,
    /// The error's code.
    code: Option<String>,
    /// Of one cause.
    fingerprint: Option<String>,
}

/// The page of a list that goes on in one direction alone, for the document.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only documents what the list's query reads")]
struct ForwardPage {
    /// Rows wanted.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// Id of a dead letter: the rows after (older than) it.
    starting_after: Option<String>,
}

/// When the letters died, for the document.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only documents what the list's query reads")]
struct Died {
    /// Only what died at this instant or later.
    #[param(rename = "created[gte]")]
    created_gte: Option<Timestamp>,
    /// Only what died after this instant.
    #[param(rename = "created[gt]")]
    created_gt: Option<Timestamp>,
    /// Only what died at this instant or earlier.
    #[param(rename = "created[lte]")]
    created_lte: Option<Timestamp>,
    /// Only what died before this instant.
    #[param(rename = "created[lt]")]
    created_lt: Option<Timestamp>,
}

/// The size of a list that is not continued, for the document.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only documents what the list's query reads")]
struct FirstPage {
    /// Rows wanted.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
}

/// A payload to put in place of a dead letter's.
#[derive(Debug, Deserialize, ToSchema)]
struct EditRequest {
    /// All of it. A field that is still shown as `***` keeps its value.
    #[schema(value_type = Object)]
    payload: Value,
    /// Why: 1 to 500 characters.
    reason: String,
}

/// A dead letter to be tried again.
#[derive(Debug, Deserialize, ToSchema)]
struct RetryRequest {
    /// Why: up to 500 characters.
    #[serde(default)]
    reason: Option<String>,
}

/// A dead letter to be given up for good.
#[derive(Debug, Deserialize, ToSchema)]
struct DiscardRequest {
    /// Why: 1 to 500 characters.
    reason: String,
}

impl DeadLetterFilter {
    /// The queues that are meant, and the conditions in the queue's words.
    fn resolve(
        self,
        client: &QueueClient,
        (tenant, died): (&str, Created),
    ) -> Result<(Vec<String>, DeadFilter), Problem> {
        if self.queue.as_ref().is_some_and(|wanted| !queues::ALL.contains(&wanted.as_str())) {
            return Err(invalid("queue", "unknown_queue", "there is no such queue"));
        }
        let names = queues::partitions(client, self.queue.as_deref());
        let filter = DeadFilter {
            job: self.job,
            tenant: Some(tenant.to_owned()),
            code: self.code,
            fingerprint: self.fingerprint,
            died_from_ms: died.from.map(Timestamp::as_millisecond),
            died_until_ms: died.until.map(Timestamp::as_millisecond),
        };
        Ok((names, filter))
    }
}

fn invalid(parameter: &str, code: &str, detail: &str) -> Problem {
    Problem::malformed("invalid_query", "the query does not fit this route").at(parameter, code, detail)
}

/// A dead letter of a tenant's, by the id that clients know.
async fn find(queue: &QueueClient, tenant: &str, id: &str) -> Result<queue::DeadLetter, BillingError> {
    let missing = || BillingError::NotFound { object: "dead_letter", id: id.to_owned() };
    let bare = id.strip_prefix(JOB_PREFIX).ok_or_else(missing)?;
    for name in queues::partitions(queue, None) {
        if let Some(letter) = queue.dead_letter(&name, bare).await? {
            return Some(letter).filter(|letter| letter.tenant.as_deref() == Some(tenant)).ok_or_else(missing);
        }
    }
    Err(missing())
}

struct Retrying {
    id: String,
    reason: String,
}

impl Act for Retrying {
    type Shown = DeadLetter;
    const ACTION: &'static str = "dead_letter.requeued";

    fn about(&self) -> About<'_> {
        About { subject: &self.id, reason: &self.reason }
    }

    async fn carry_out(&self, acting: &Acting<'_>) -> Result<DeadLetter, BillingError> {
        let letter = find(acting.queue, acting.tenant, &self.id).await?;
        let refused = |code, detail: &str| Err(BillingError::State { code, detail: detail.to_owned() });
        match acting.queue.requeue_dead(&letter.queue, &letter.id, &acting.by).await? {
            Requeued::Requeued => Ok(DeadLetter { state: DeadLetterState::Requeued, ..letter.into() }),
            Requeued::Missing => Err(BillingError::NotFound { object: "dead_letter", id: self.id.clone() }),
            Requeued::Duplicate => refused("duplicate_job", "another job waits or runs that holds its unique key"),
            Requeued::Malformed => refused("malformed_job", "it is no job and cannot run; it can be discarded"),
        }
    }

    fn show(shown: DeadLetter, livemode: bool) -> DeadLetter {
        DeadLetter { livemode: Some(livemode), ..shown }
    }
}

struct Discarding {
    id: String,
    reason: String,
}

impl Act for Discarding {
    type Shown = DeadLetter;
    const ACTION: &'static str = "dead_letter.discarded";

    fn about(&self) -> About<'_> {
        About { subject: &self.id, reason: &self.reason }
    }

    async fn carry_out(&self, acting: &Acting<'_>) -> Result<DeadLetter, BillingError> {
        let letter = find(acting.queue, acting.tenant, &self.id).await?;
        let discarded = acting.queue.discard_dead(&letter.queue, &letter.id, &acting.by).await;
        if discarded.map_err(refusal_at("/reason"))? {
            return Ok(DeadLetter { state: DeadLetterState::Discarded, ..letter.into() });
        }
        Err(BillingError::NotFound { object: "dead_letter", id: self.id.clone() })
    }

    fn show(shown: DeadLetter, livemode: bool) -> DeadLetter {
        DeadLetter { livemode: Some(livemode), ..shown }
    }
}

struct Editing {
    id: String,
    payload: Value,
    reason: String,
    condition: IfMatch,
}

impl Act for Editing {
    type Shown = DeadLetter;
    const ACTION: &'static str = "dead_letter.edited";

    fn about(&self) -> About<'_> {
        About { subject: &self.id, reason: &self.reason }
    }

    async fn carry_out(&self, acting: &Acting<'_>) -> Result<DeadLetter, BillingError> {
        const POINTER: &str = "/payload";
        let letter = find(acting.queue, acting.tenant, &self.id).await?;
        let shown = DeadLetter::from(letter.clone());
        if self.condition.check(ETag::of_revision(shown.revision)).is_err() {
            return Err(BillingError::State { code: STALE, detail: String::new() });
        }
        let edited = payload::restored(self.payload.clone(), &letter.payload).map_err(|unknown| {
            BillingError::Rule { code: "unknown_secret", pointer: POINTER, detail: unknown.to_string() }
        })?;
        let edited = edited.to_string();
        let done = acting.queue.edit_dead(&letter.queue, &letter.id, &edited, &acting.by).await;
        match done.map_err(refusal_at(POINTER))? {
            Edited::Edited => Ok(queue::DeadLetter { payload: edited, ..letter }.into()),
            Edited::Missing => Err(BillingError::NotFound { object: "dead_letter", id: self.id.clone() }),
            Edited::Malformed => Err(BillingError::State {
                code: "malformed_job",
                detail: "it is no job and has no payload; it can be discarded".to_owned(),
            }),
        }
    }

    fn etag(shown: &DeadLetter) -> Option<ETag> {
        Some(ETag::of_revision(shown.revision))
    }

    fn show(shown: DeadLetter, livemode: bool) -> DeadLetter {
        DeadLetter { livemode: Some(livemode), ..shown }
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(list_dead_letters))
        .routes(routes!(group_dead_letters))
        .routes(routes!(get_dead_letter, edit_dead_letter))
        .routes(routes!(retry_dead_letter))
        .routes(routes!(discard_dead_letter))
}

/// Lists dead letters, those that died last first. Pages go on from a letter that is still dead.
#[utoipa::path(get, path = "/v1/dead_letters", tag = "operations", params(ForwardPage, Died, DeadLetterFilter),
    responses((status = 200, body = List<DeadLetter>), ReadProblems))]
async fn list_dead_letters(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListDeadLetters>,
    query: ListQuery<DeadLetterFilter>,
) -> Result<Json<List<DeadLetter>>, Problem> {
    let queue = &gateway.app.billing.queue;
    let (names, filter) = query.filter.resolve(queue, (&caller.tenant, query.page.created()))?;
    let before = match query.page.cursor() {
        Cursor::Newest => None,
        Cursor::After(id) => Some(position(queue, &caller.tenant, id).await?),
        Cursor::Before(_) => return Err(invalid("ending_before", "unknown_parameter", "this list only goes on")),
    };
    let limit = rows_wanted(&query.page);
    let mut rows = Vec::new();
    for name in names {
        // One more than wanted tells whether more follow.
        let page = queue::Page { before: before.clone(), limit: limit + 1 };
        rows.extend(queue.dead_letters(&name, &filter, page).await.map_err(BillingError::from)?);
    }
    rows.sort_by(|one, other| (other.died_at_ms, &other.id).cmp(&(one.died_at_ms, &one.id)));
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let rows = rows.into_iter().map(|letter| DeadLetter::of_tenant(letter, livemode)).collect();
    Ok(Json(List::new(URL, has_more, rows)))
}

fn rows_wanted(page: &Page) -> usize {
    // At most a hundred.
    usize::try_from(page.limit()).unwrap_or_default()
}

async fn position(queue: &QueueClient, tenant: &str, id: &str) -> Result<DeadCursor, Problem> {
    match find(queue, tenant, id).await {
        Ok(letter) => Ok(DeadCursor { died_at_ms: letter.died_at_ms, id: letter.id }),
        Err(BillingError::NotFound { .. }) => {
            Err(invalid("starting_after", "unknown_object", "it is the id of no letter that is still dead"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Groups dead letters by their cause, the largest groups first.
#[utoipa::path(get, path = "/v1/dead_letters/groups", tag = "operations", params(FirstPage, Died, DeadLetterFilter),
    responses((status = 200, body = List<DeadLetterGroup>), ReadProblems))]
async fn group_dead_letters(
    State(gateway): State<GatewayState>,
    caller: Allowed<GroupDeadLetters>,
    query: ListQuery<DeadLetterFilter>,
) -> Result<Json<List<DeadLetterGroup>>, Problem> {
    let not_continued = |name| invalid(name, "unknown_parameter", "groups are not continued; filter them");
    match query.page.cursor() {
        Cursor::Newest => {}
        Cursor::After(_) => return Err(not_continued("starting_after")),
        Cursor::Before(_) => return Err(not_continued("ending_before")),
    }
    let queue = &gateway.app.billing.queue;
    let (names, filter) = query.filter.resolve(queue, (&caller.tenant, query.page.created()))?;
    let mut groups = Vec::new();
    for name in names {
        let found = queue.dead_groups(&name, &filter).await.map_err(BillingError::from)?;
        groups.extend(found.into_iter().map(|group| DeadLetterGroup::of(&name, group)));
    }
    groups.sort_by_key(|group| Reverse((group.count, group.last_at)));
    let limit = rows_wanted(&query.page);
    let has_more = groups.len() > limit;
    groups.truncate(limit);
    Ok(Json(List::new(GROUPS_URL, has_more, groups)))
}

/// Gets a dead letter.
#[utoipa::path(get, path = "/v1/dead_letters/{id}", tag = "operations", params(("id" = String, Path)),
    responses((status = 200, body = DeadLetter), ReadProblems))]
async fn get_dead_letter(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetDeadLetter>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<DeadLetter>), Problem> {
    let letter = find(&gateway.app.billing.queue, &caller.tenant, &id).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let letter = DeadLetter::of_tenant(letter, livemode);
    Ok((ETag::of_revision(letter.revision), Json(letter)))
}

/// Puts another payload in place of a dead letter's.
#[utoipa::path(patch, path = "/v1/dead_letters/{id}", tag = "operations", params(("id" = String, Path)),
    request_body = EditRequest, responses((status = 200, body = DeadLetter), WriteProblems))]
async fn edit_dead_letter(
    State(gateway): State<GatewayState>,
    Path(id): Path<String>,
    condition: IfMatch,
    writer: Writer<EditDeadLetter>,
    body: StrictJson<EditRequest>,
) -> Result<Response, Problem> {
    let EditRequest { payload, reason } = body.value;
    let editing = Editing { id, payload, reason: acts::reason(reason)?, condition };
    let edited = acts::carry_out(&gateway, writer, (body.body_hash, editing)).await;
    edited.map_err(|problem| if problem.code() == STALE { Problem::precondition_failed() } else { problem })
}

/// Puts a dead letter back into its queue, with all attempts ahead of it.
#[utoipa::path(post, path = "/v1/dead_letters/{id}/retry", tag = "operations", params(("id" = String, Path)),
    request_body = RetryRequest, responses((status = 200, body = DeadLetter), WriteProblems))]
async fn retry_dead_letter(
    State(gateway): State<GatewayState>,
    Path(id): Path<String>,
    writer: Writer<RetryDeadLetter>,
    body: StrictJson<RetryRequest>,
) -> Result<Response, Problem> {
    let retrying = Retrying { id, reason: acts::optional_reason(body.value.reason)? };
    acts::carry_out(&gateway, writer, (body.body_hash, retrying)).await
}

/// Gives a dead letter up for good.
#[utoipa::path(post, path = "/v1/dead_letters/{id}/discard", tag = "operations", params(("id" = String, Path)),
    request_body = DiscardRequest, responses((status = 200, body = DeadLetter), WriteProblems))]
async fn discard_dead_letter(
    State(gateway): State<GatewayState>,
    Path(id): Path<String>,
    writer: Writer<DiscardDeadLetter>,
    body: StrictJson<DiscardRequest>,
) -> Result<Response, Problem> {
    let discarding = Discarding { id, reason: acts::reason(body.value.reason)? };
    acts::carry_out(&gateway, writer, (body.body_hash, discarding)).await
}
