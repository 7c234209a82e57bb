//! `/v1/webhook_endpoints`: where a tenant wants to hear of its events.
//!
//! **Invariant:** an endpoint's secret is in the answers that make it, creation and rotation, and in no other.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{
    BillingError, Change, NewWebhookEndpoint, Patch, SecretRotation, Target, WebhookEndpointPatch,
    create_webhook_endpoint as decide_creation, delete_webhook_endpoint as decide_deletion,
    rotate_webhook_secret as decide_rotation, test_webhook_endpoint as decide_test,
    update_webhook_endpoint as decide_update,
};
use gateways::webhook::{WebhookUrl, new_secret};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{EndpointState, ListFilter, SecretText};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    fields::{self, Metadata, MetadataPatch},
    webhook_deliveries::WebhookDelivery,
};
use crate::{
    access::{
        Allowed, CreateWebhookEndpoint, DeleteWebhookEndpoint, GetWebhookEndpoint, ListWebhookEndpoints,
        RotateWebhookSecret, TestWebhookEndpoint, UpdateWebhookEndpoint,
    },
    http::{
        headers::ETag,
        json::{BodyHash, StrictJson},
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::{ListQuery, NoFilter},
    },
    read::{self, Reader},
    state::{Gateway, GatewayState},
    write::{Aim, Ground, Write, Writer},
};

const URL: &str = "/v1/webhook_endpoints";
/// How long both secrets sign unless somebody asks for another time: a day's work to change over.
const DEFAULT_OVERLAP_HOURS: u16 = 24;

/// An endpoint to create.
#[derive(Debug, Deserialize, ToSchema)]
struct WebhookEndpointRequest {
    /// Absolute, `http` or `https`, without user and password, on port 80, 443, 8080 or 8443, and public.
    #[schema(example = "https://hooks.acme.example/billing")]
    url: String,
    /// What it wants to hear of: `invoice.paid`, all of `invoice.*`, or everything, `*`, which it is if left out.
    #[serde(default = "everything")]
    #[schema(required = false, example = json!(["invoice.*"]), min_items = 1, max_items = 50)]
    events: Vec<String>,
    /// For people.
    #[serde(default)]
    description: Option<String>,
    /// At most 50 entries.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
}

/// What changes of an endpoint. What is left out stays; null takes the description away.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "events": ["invoice.*", "customer.created"] }))]
struct WebhookEndpointUpdate {
    url: Option<String>,
    #[schema(min_items = 1, max_items = 50)]
    events: Option<Vec<String>>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    description: Patch<String>,
    /// Whether anything is sent to it; true gives one that said it is gone another chance.
    enabled: Option<bool>,
    /// Keys to set; null takes a key away.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    metadata: MetadataPatch,
}

/// How a secret is rotated.
#[derive(Debug, Deserialize, ToSchema)]
struct RotationRequest {
    /// Hours for which the secret before signs as well; 24 if left out, 0 for a secret that has leaked.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 168)]
    overlap_hours: Option<u16>,
}

/// A webhook endpoint.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookEndpoint {
    #[schema(example = "whe_0198f3")]
    id: String,
    /// Always `webhook_endpoint`.
    #[schema(value_type = String, example = "webhook_endpoint")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    #[schema(example = "https://hooks.acme.example/billing")]
    url: String,
    events: Vec<String>,
    description: Option<String>,
    /// `enabled`; `disabled` by a person; `gone` once it has answered 410.
    #[schema(value_type = String, example = "enabled")]
    state: EndpointState,
    /// `whsec_...`: only in the answers that make it, and nowhere again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// Until when the secret before signs as well; null when there is none.
    previous_secret_until: Option<Timestamp>,
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
}

fn everything() -> Vec<String> {
    vec!["*".to_owned()]
}

impl WebhookEndpoint {
    fn of(endpoint: store::WebhookEndpoint, livemode: bool) -> Self {
        Self {
            id: endpoint.id,
            object: "webhook_endpoint",
            created: endpoint.created,
            livemode,
            url: endpoint.url,
            events: endpoint.events,
            description: endpoint.description,
            state: endpoint.state,
            secret: None,
            previous_secret_until: endpoint.previous_secret.map(|previous| previous.until),
            metadata: endpoint.metadata,
        }
    }

    fn with_secret(endpoint: store::WebhookEndpoint, livemode: bool) -> Self {
        let secret = Some(endpoint.secret.expose().to_owned());
        Self { secret, ..Self::of(endpoint, livemode) }
    }
}

/// The address, as it will be called.
fn url(gateway: &Gateway, text: &str) -> Result<String, Problem> {
    let url = WebhookUrl::parse(text, gateway.app.billing.webhooks.rules());
    Ok(url.map_err(|refusal| fields::refused("/url", "invalid_url", &refusal.to_string()))?.to_string())
}

fn secret(gateway: &Gateway) -> Result<SecretText, Problem> {
    let random = gateway.app.ids.secret().map_err(|error| {
        tracing::error!(%error, "the system gives no random bytes");
        Problem::internal()
    })?;
    Ok(new_secret(random).into())
}

fn description(text: String) -> Result<String, Problem> {
    fields::name("/description", text)
}

struct Creation(NewWebhookEndpoint);

impl Write for Creation {
    type Made = store::WebhookEndpoint;
    type Shown = WebhookEndpoint;
    const STATUS: StatusCode = StatusCode::CREATED;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_creation(&ground.store, &ground.actor, &ground.time, self.0.clone()).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> WebhookEndpoint {
        WebhookEndpoint::with_secret(made, livemode)
    }
}

struct Update {
    target: Target,
    patch: WebhookEndpointPatch,
}

impl Write for Update {
    type Made = store::WebhookEndpoint;
    type Shown = WebhookEndpoint;
    const STATUS: StatusCode = StatusCode::OK;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_update(&ground.store, &ground.actor, &ground.time, (&self.target, self.patch.clone())).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> WebhookEndpoint {
        WebhookEndpoint::of(made, livemode)
    }
}

struct Deletion(Target);

impl Write for Deletion {
    type Made = store::WebhookEndpoint;
    type Shown = WebhookEndpoint;
    const STATUS: StatusCode = StatusCode::OK;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_deletion(&ground.store, &ground.actor, &ground.time, &self.0).await
    }

    fn etag(_: &Self::Made) -> Option<ETag> {
        None
    }

    fn show(made: Self::Made, livemode: bool) -> WebhookEndpoint {
        WebhookEndpoint::of(made, livemode)
    }
}

struct Rotation {
    id: String,
    rotation: SecretRotation,
}

impl Write for Rotation {
    type Made = store::WebhookEndpoint;
    type Shown = WebhookEndpoint;
    const STATUS: StatusCode = StatusCode::OK;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_rotation(&ground.store, &ground.actor, &ground.time, (&self.id, self.rotation.clone())).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> WebhookEndpoint {
        WebhookEndpoint::with_secret(made, livemode)
    }
}

/// A test of an endpoint; `cause` makes the delivery's id its own.
struct Test {
    id: String,
    cause: String,
}

impl Write for Test {
    type Made = store::WebhookDelivery;
    type Shown = WebhookDelivery;
    const STATUS: StatusCode = StatusCode::ACCEPTED;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_test(&ground.store, &ground.actor, &ground.time, (&self.id, &self.cause)).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> WebhookDelivery {
        WebhookDelivery::of(made, livemode)
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(create_webhook_endpoint, list_webhook_endpoints))
        .routes(routes!(get_webhook_endpoint, update_webhook_endpoint, delete_webhook_endpoint))
        .routes(routes!(rotate_webhook_secret))
        .routes(routes!(test_webhook_endpoint))
}

/// Creates a webhook endpoint; its secret is in this answer alone.
#[utoipa::path(post, path = "/v1/webhook_endpoints", tag = "webhooks", request_body = WebhookEndpointRequest,
    responses((status = 201, body = WebhookEndpoint), WriteProblems))]
async fn create_webhook_endpoint(
    State(gateway): State<GatewayState>,
    writer: Writer<CreateWebhookEndpoint>,
    body: StrictJson<WebhookEndpointRequest>,
) -> Result<Response, Problem> {
    let WebhookEndpointRequest { url: address, events, description: about, metadata } = body.value;
    let new = NewWebhookEndpoint {
        id: gateway.app.ids.new_id("whe"),
        url: url(&gateway, &address)?,
        description: about.map(description).transpose()?,
        events,
        secret: secret(&gateway)?,
        metadata: fields::metadata(metadata)?,
    };
    writer.run(&gateway, (body.body_hash, Creation(new))).await
}

/// Lists webhook endpoints, newest first.
#[utoipa::path(get, path = "/v1/webhook_endpoints", tag = "webhooks", params(PageParams),
    responses((status = 200, body = List<WebhookEndpoint>), ReadProblems))]
async fn list_webhook_endpoints(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListWebhookEndpoints>,
    query: ListQuery<NoFilter>,
) -> Result<Json<List<WebhookEndpoint>>, Problem> {
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let page = read::page(&gateway, &caller, &query.page, ListFilter::default()).await?;
    let rows = page.data.into_iter().map(|endpoint| WebhookEndpoint::of(endpoint, livemode)).collect();
    Ok(Json(List::new(URL, page.has_more, rows)))
}

/// Gets a webhook endpoint.
#[utoipa::path(get, path = "/v1/webhook_endpoints/{id}", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 200, body = WebhookEndpoint), ReadProblems))]
async fn get_webhook_endpoint(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetWebhookEndpoint>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<WebhookEndpoint>), Problem> {
    let endpoint: store::WebhookEndpoint = read::find(&gateway, &caller, ("webhook_endpoint", &id)).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    Ok((ETag::of_revision(endpoint.revision), Json(WebhookEndpoint::of(endpoint, livemode))))
}

/// Changes a webhook endpoint, also whether anything is sent to it. What is under way to it is sent as it is then.
#[utoipa::path(patch, path = "/v1/webhook_endpoints/{id}", tag = "webhooks", params(("id" = String, Path)),
    request_body = WebhookEndpointUpdate, responses((status = 200, body = WebhookEndpoint), WriteProblems))]
async fn update_webhook_endpoint(
    State(gateway): State<GatewayState>,
    writer: Writer<UpdateWebhookEndpoint>,
    Aim(target): Aim,
    body: StrictJson<WebhookEndpointUpdate>,
) -> Result<Response, Problem> {
    let update = body.value;
    let state = |enabled| if enabled { EndpointState::Enabled } else { EndpointState::Disabled };
    let patch = WebhookEndpointPatch {
        url: update.url.map(|text| url(&gateway, &text)).transpose()?,
        description: update.description.try_map(description)?,
        events: update.events,
        state: update.enabled.map(state),
        metadata: fields::metadata_patch(update.metadata)?,
    };
    writer.run(&gateway, (body.body_hash, Update { target, patch })).await
}

/// Deletes a webhook endpoint. What is under way to it is not sent any more; its deliveries can be looked at for a month.
#[utoipa::path(delete, path = "/v1/webhook_endpoints/{id}", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 200, body = WebhookEndpoint), WriteProblems))]
async fn delete_webhook_endpoint(
    State(gateway): State<GatewayState>,
    writer: Writer<DeleteWebhookEndpoint>,
    Aim(target): Aim,
) -> Result<Response, Problem> {
    writer.run(&gateway, (BodyHash::of(&[]), Deletion(target))).await
}

/// Gives a webhook endpoint a new secret, which is in this answer alone. Meanwhile both sign.
#[utoipa::path(post, path = "/v1/webhook_endpoints/{id}/rotate_secret", tag = "webhooks",
    params(("id" = String, Path)), request_body = RotationRequest,
    responses((status = 200, body = WebhookEndpoint), WriteProblems))]
async fn rotate_webhook_secret(
    State(gateway): State<GatewayState>,
    writer: Writer<RotateWebhookSecret>,
    Path(id): Path<String>,
    body: StrictJson<RotationRequest>,
) -> Result<Response, Problem> {
    let overlap_hours = body.value.overlap_hours.unwrap_or(DEFAULT_OVERLAP_HOURS);
    let rotation = SecretRotation { secret: secret(&gateway)?, overlap_hours };
    writer.run(&gateway, (body.body_hash, Rotation { id, rotation })).await
}

/// Sends `webhook_endpoint.test` to a webhook endpoint: a delivery like any other, about nothing.
#[utoipa::path(post, path = "/v1/webhook_endpoints/{id}/test", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 202, body = WebhookDelivery), WriteProblems))]
async fn test_webhook_endpoint(
    State(gateway): State<GatewayState>,
    writer: Writer<TestWebhookEndpoint>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let cause = gateway.app.ids.new_id("test");
    writer.run(&gateway, (BodyHash::of(&[]), Test { id, cause })).await
}
