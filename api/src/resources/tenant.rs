//! `/v1/tenant`: the caller's own organisation and its settings.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use billing::{BillingError, Change, Patch, Target, TenantPatch, update_tenant as decide_update};
use domain::{DunningOutcome, DunningPolicy, DunningPolicySpec};
use gateways::mail::letter::Colour;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::Brand;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields;
use crate::{
    access::{GetTenant, UpdateTenant},
    cached,
    http::{
        headers::{ETag, IfMatch},
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        problem::Problem,
    },
    problems::rule_of_spec,
    read::Reader,
    state::GatewayState,
    write::{Ground, Write, Writer},
};

/// What follows a declined payment.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct Dunning {
    /// Days after the first failure on which a declined invoice is tried again: ascending, 1 to 60, at most ten.
    #[schema(example = json!([1, 3, 5, 7]), max_items = 10)]
    retry_days: Vec<u16>,
    /// What becomes of the subscription after the last one: `past_due`, `unpaid` or `cancel`.
    #[schema(value_type = String, example = "past_due", pattern = "^(past_due|unpaid|cancel)$")]
    outcome: DunningOutcome,
}

/// What the tenant's customers know it by, beside its name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct BrandBody {
    /// Of buttons and labels in mails; ours if null.
    #[serde(default)]
    #[schema(example = "#0b6e57")]
    colour: Option<String>,
    /// Where customers ask; shown in mails.
    #[serde(default)]
    #[schema(example = "help@acme.example")]
    support_email: Option<String>,
}

/// The caller's tenant.
#[derive(Debug, Serialize, ToSchema)]
struct TenantSettings {
    #[schema(example = "ten_0198f3")]
    id: String,
    /// Always `tenant`.
    #[schema(value_type = String, example = "tenant")]
    object: &'static str,
    created: Timestamp,
    /// Whether it bills real money.
    livemode: bool,
    /// Signs its mails.
    #[schema(example = "Acme GmbH")]
    name: String,
    /// The test clock that its time is read on.
    test_clock: Option<String>,
    /// The plan, by id or key, that new customers are subscribed to.
    default_plan: Option<String>,
    dunning: Dunning,
    brand: BrandBody,
}

/// What changes of it. What is left out stays; null takes away what it may be without.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "default_plan": null }))]
struct TenantUpdate {
    name: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    default_plan: Patch<String>,
    dunning: Option<Dunning>,
    brand: Option<BrandBody>,
}

impl TenantSettings {
    fn of(tenant: store::Tenant) -> Self {
        let DunningPolicySpec { retry_days, outcome } = tenant.dunning.into();
        let Brand { colour, support_email } = tenant.brand;
        Self {
            id: tenant.id,
            object: "tenant",
            created: tenant.created,
            livemode: tenant.livemode,
            name: tenant.name,
            test_clock: tenant.test_clock,
            default_plan: tenant.default_plan,
            dunning: Dunning { retry_days, outcome },
            brand: BrandBody { colour, support_email },
        }
    }
}

impl TenantUpdate {
    fn parse(self) -> Result<TenantPatch, Problem> {
        let policy = |Dunning { retry_days, outcome }| {
            DunningPolicy::try_from(DunningPolicySpec { retry_days, outcome })
                .map_err(|error| rule_of_spec("/dunning", &error))
        };
        Ok(TenantPatch {
            name: self.name.map(|name| fields::name("/name", name)).transpose()?,
            default_plan: self.default_plan,
            dunning: self.dunning.map(policy).transpose()?,
            brand: self.brand.map(BrandBody::parse).transpose()?,
        })
    }
}

impl BrandBody {
    fn parse(self) -> Result<Brand, Problem> {
        let colour = |text: String| match text.parse::<Colour>() {
            Ok(colour) => Ok(colour.to_string()),
            Err(rule) => Err(fields::refused("/brand/colour", "invalid_colour", rule)),
        };
        let address = |address| fields::email("/brand/support_email", address);
        Ok(Brand {
            colour: self.colour.map(colour).transpose()?,
            support_email: self.support_email.map(address).transpose()?,
        })
    }
}

struct Update {
    expected: Option<Vec<i64>>,
    patch: TenantPatch,
}

impl Write for Update {
    type Made = store::Tenant;
    type Shown = TenantSettings;
    const STATUS: StatusCode = StatusCode::OK;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        let target = Target { id: ground.actor.tenant.clone(), expected: self.expected.clone() };
        decide_update(&ground.store, &ground.actor, &ground.time, (&target, self.patch.clone())).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, _livemode: bool) -> TenantSettings {
        TenantSettings::of(made)
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(get_tenant, update_tenant))
}

/// Gets the caller's tenant and its settings.
#[utoipa::path(get, path = "/v1/tenant", tag = "operations",
    responses((status = 200, body = TenantSettings), ReadProblems))]
async fn get_tenant(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetTenant>,
) -> Result<(ETag, Json<TenantSettings>), Problem> {
    let tenant = cached::tenant(&gateway, &caller.tenant).await?;
    Ok((ETag::of_revision(tenant.revision), Json(TenantSettings::of(tenant))))
}

/// Changes the settings of the caller's tenant.
#[utoipa::path(patch, path = "/v1/tenant", tag = "operations", request_body = TenantUpdate,
    responses((status = 200, body = TenantSettings), WriteProblems))]
async fn update_tenant(
    State(gateway): State<GatewayState>,
    condition: IfMatch,
    writer: Writer<UpdateTenant>,
    body: StrictJson<TenantUpdate>,
) -> Result<Response, Problem> {
    let update = Update { expected: condition.revisions(), patch: body.value.parse()? };
    writer.run(&gateway, (body.body_hash, update)).await
}
