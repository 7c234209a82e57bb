//! `/v1/api_keys`: credentials of programs. A key is shown once, when it is made or replaced.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{
    BillingError, Change, NewApiKey, create_api_key as decide_creation, revoke_api_key as decide_revocation,
    roll_api_key as decide_roll,
};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use store::ListFilter;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::{self, Instant, refused};
use crate::{
    access::{Allowed, CreateApiKey, GetApiKey, ListApiKeys, RevokeApiKey, RollApiKey, is_for_programs},
    auth::{caller::Caller, opaque::NewKey, role::Scopes},
    http::{
        headers::ETag,
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::{ListQuery, NoFilter},
    },
    read::{self, Reader},
    state::{Gateway, GatewayState},
    write::{Ground, Write, Writer},
};

const URL: &str = "/v1/api_keys";

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
struct ApiKeyRequest {
    /// What it is for.
    #[schema(example = "usage reporter")]
    name: String,
    /// What it may be used for: scopes of whoever makes it, but for those about accounts.
    #[schema(example = json!(["usage:write"]))]
    scopes: Vec<String>,
    /// When it stops being good; never if left out.
    #[serde(default)]
    #[schema(value_type = Option<Timestamp>)]
    expires_at: Option<Instant>,
}

/// The body of an action that needs none.
#[derive(Debug, Deserialize, ToSchema)]
struct NoBody {}

/// A key. Its secret is shown once.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ApiKey {
    #[schema(example = "key_0198f3")]
    id: String,
    /// Always `api_key`.
    #[schema(value_type = String, example = "api_key")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    name: String,
    /// What it begins with.
    #[schema(example = "sk_test_")]
    prefix: String,
    /// What it ends with.
    #[schema(example = "x7qa")]
    last_four: String,
    scopes: Vec<String>,
    /// The user who made it.
    created_by: String,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    /// The key itself, in the first answer of its making alone; null ever after.
    secret: Option<String>,
}

impl ApiKey {
    fn of(key: store::ApiKey, livemode: bool) -> Self {
        Self {
            id: key.id,
            object: "api_key",
            created: key.created,
            livemode,
            name: key.name,
            prefix: key.prefix,
            last_four: key.last_four,
            scopes: key.scopes.split(' ').map(ToOwned::to_owned).collect(),
            created_by: key.created_by,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            secret: None,
        }
    }
}

impl ApiKeyRequest {
    /// The name, the scopes and the end.
    fn parse(self, caller: &Caller, now: Timestamp) -> Result<(String, String, Option<Timestamp>), Problem> {
        let name = fields::name("/name", self.name)?;
        if self.scopes.is_empty() {
            return Err(refused("/scopes", "out_of_range", "must name a scope"));
        }
        for (index, scope) in self.scopes.iter().enumerate() {
            if !is_for_programs(scope) || !caller.scopes.contains(scope) {
                let rule = "must be a scope of yours, and none about accounts";
                return Err(refused(&format!("/scopes/{index}"), "invalid_scope", rule));
            }
        }
        let expires_at = self.expires_at.map(|Instant(at)| at);
        if expires_at.is_some_and(|at| at <= now) {
            return Err(refused("/expires_at", "out_of_range", "must lie in the future"));
        }
        let scopes: Scopes = self.scopes.iter().map(String::as_str).collect();
        Ok((name, scopes.to_string(), expires_at))
    }
}

/// A key that was made for this request.
struct Fresh {
    key: NewApiKey,
    secret: SecretString,
}

impl Fresh {
    /// A key under this id, in the mode of the caller's tenant.
    async fn new(gateway: &Gateway, caller: &Caller, id: String) -> Result<Self, Problem> {
        let NewKey { secret, hash, prefix, last_four } = NewKey::new(read::livemode(gateway, &caller.tenant).await?)?;
        Ok(Self { key: NewApiKey { id, hash, prefix, last_four }, secret })
    }

    /// What was decided about it, with its secret.
    fn shown_once(&self, change: Change<store::ApiKey>) -> Change<Made> {
        let Change { result: key, unit, follow_up } = change;
        let secret = Some(self.secret.expose_secret().to_owned());
        Change { result: Made { key, secret }, unit, follow_up }
    }
}

/// A key as it is about to be written, with its secret if this is when it is shown.
struct Made {
    key: store::ApiKey,
    secret: Option<String>,
}

impl Made {
    fn etag(&self) -> Option<ETag> {
        Some(ETag::of_revision(self.key.revision))
    }

    fn show(self, livemode: bool) -> ApiKey {
        ApiKey { secret: self.secret, ..ApiKey::of(self.key, livemode) }
    }
}

struct Creation {
    fresh: Fresh,
    what: (String, String, Option<Timestamp>),
}

impl Write for Creation {
    type Made = Made;
    type Shown = ApiKey;
    const STATUS: StatusCode = StatusCode::CREATED;

    async fn decide(&self, ground: &Ground) -> Result<Change<Made>, BillingError> {
        let created = decide_creation(&ground.actor, &ground.time, self.fresh.key.clone(), self.what.clone())?;
        Ok(self.fresh.shown_once(created))
    }

    fn etag(made: &Made) -> Option<ETag> {
        made.etag()
    }

    fn show(made: Made, livemode: bool) -> ApiKey {
        made.show(livemode)
    }

    /// A repeat of the request does not get the secret: it is kept nowhere.
    fn kept(shown: &ApiKey) -> impl Serialize {
        ApiKey { secret: None, ..shown.clone() }
    }
}

/// What is done to a key that there is.
enum Step {
    Roll(Fresh),
    Revoke(String),
}

impl Write for Step {
    type Made = Made;
    type Shown = ApiKey;
    const STATUS: StatusCode = StatusCode::OK;

    async fn decide(&self, ground: &Ground) -> Result<Change<Made>, BillingError> {
        let Ground { store, actor, time } = ground;
        match self {
            Self::Roll(fresh) => Ok(fresh.shown_once(decide_roll(store, actor, time, fresh.key.clone()).await?)),
            Self::Revoke(id) => {
                let Change { result: key, unit, follow_up } = decide_revocation(store, actor, time, id).await?;
                Ok(Change { result: Made { key, secret: None }, unit, follow_up })
            }
        }
    }

    fn etag(made: &Made) -> Option<ETag> {
        made.etag()
    }

    fn show(made: Made, livemode: bool) -> ApiKey {
        made.show(livemode)
    }

    fn kept(shown: &ApiKey) -> impl Serialize {
        ApiKey { secret: None, ..shown.clone() }
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(create_api_key, list_api_keys))
        .routes(routes!(get_api_key))
        .routes(routes!(roll_api_key))
        .routes(routes!(revoke_api_key))
}

/// Makes a key. Its secret is in this answer and nowhere else, also not in a replay of it.
#[utoipa::path(post, path = "/v1/api_keys", tag = "auth", request_body = ApiKeyRequest,
    responses((status = 201, body = ApiKey), WriteProblems))]
async fn create_api_key(
    State(gateway): State<GatewayState>,
    writer: Writer<CreateApiKey>,
    body: StrictJson<ApiKeyRequest>,
) -> Result<Response, Problem> {
    let what = body.value.parse(writer.caller(), gateway.app.clock.now())?;
    let fresh = Fresh::new(&gateway, writer.caller(), gateway.app.ids.new_id("key")).await?;
    writer.run(&gateway, (body.body_hash, Creation { fresh, what })).await
}

/// Lists keys, newest first.
#[utoipa::path(get, path = "/v1/api_keys", tag = "auth", params(PageParams),
    responses((status = 200, body = List<ApiKey>), ReadProblems))]
async fn list_api_keys(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListApiKeys>,
    query: ListQuery<NoFilter>,
) -> Result<Json<List<ApiKey>>, Problem> {
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let page = read::page(&gateway, &caller, &query.page, ListFilter::default()).await?;
    let rows = page.data.into_iter().map(|key| ApiKey::of(key, livemode)).collect();
    Ok(Json(List::new(URL, page.has_more, rows)))
}

/// Gets a key.
#[utoipa::path(get, path = "/v1/api_keys/{id}", tag = "auth", params(("id" = String, Path)),
    responses((status = 200, body = ApiKey), ReadProblems))]
async fn get_api_key(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetApiKey>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<ApiKey>), Problem> {
    let key: store::ApiKey = read::find(&gateway, &caller, ("api_key", &id)).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    Ok((ETag::of_revision(key.revision), Json(ApiKey::of(key, livemode))))
}

/// Replaces a key by another one of the same name, scopes and end; the old one is refused within half a minute.
#[utoipa::path(post, path = "/v1/api_keys/{id}/roll", tag = "auth", params(("id" = String, Path)),
    request_body = NoBody, responses((status = 200, body = ApiKey), WriteProblems))]
async fn roll_api_key(
    State(gateway): State<GatewayState>,
    writer: Writer<RollApiKey>,
    Path(id): Path<String>,
    body: StrictJson<NoBody>,
) -> Result<Response, Problem> {
    let step = Step::Roll(Fresh::new(&gateway, writer.caller(), id).await?);
    writer.run(&gateway, (body.body_hash, step)).await
}

/// Revokes a key; it is refused within half a minute.
#[utoipa::path(post, path = "/v1/api_keys/{id}/revoke", tag = "auth", params(("id" = String, Path)),
    request_body = NoBody, responses((status = 200, body = ApiKey), WriteProblems))]
async fn revoke_api_key(
    State(gateway): State<GatewayState>,
    writer: Writer<RevokeApiKey>,
    Path(id): Path<String>,
    body: StrictJson<NoBody>,
) -> Result<Response, Problem> {
    writer.run(&gateway, (body.body_hash, Step::Revoke(id))).await
}
