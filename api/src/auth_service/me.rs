//! `GET /v1/auth/me`: who is signed in, and how tenants are shown.

use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{AuthService, AuthState};
use crate::{
    access::{Allowed, GetMe},
    http::{
        openapi::ReadProblems,
        problem::Problem,
        query::{NoFilter, StrictQuery},
    },
    shown::User,
};

/// An organisation that bills its customers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tenant {
    #[schema(example = "ten_0198f3")]
    id: String,
    /// Always `tenant`.
    #[schema(value_type = String, example = "tenant")]
    object: &'static str,
    created: Timestamp,
    /// Whether it bills real money.
    livemode: bool,
    name: String,
    /// The test clock that its time is read on; null for the wall clock.
    test_clock: Option<String>,
}

/// A user and its tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Account {
    user: User,
    tenant: Tenant,
}

/// Who is signed in, and what the token may be used for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Me {
    user: User,
    tenant: Tenant,
    /// Scopes, separated by spaces.
    #[schema(example = "customers:read customers:write")]
    scope: String,
}

impl Account {
    pub(super) fn of(tenant: store::Tenant, user: store::User) -> Self {
        let user = User::of(user, tenant.livemode);
        let tenant = Tenant {
            id: tenant.id,
            object: "tenant",
            created: tenant.created,
            livemode: tenant.livemode,
            name: tenant.name,
            test_clock: tenant.test_clock,
        };
        Self { user, tenant }
    }
}

/// Says who is signed in.
#[utoipa::path(get, path = "/v1/auth/me", tag = "auth", responses((status = 200, body = Me), ReadProblems))]
pub(super) async fn get_me(
    State(service): State<AuthState>,
    caller: Allowed<GetMe>,
    _: StrictQuery<NoFilter>,
) -> Result<Json<Me>, Problem> {
    let store = &service.app.billing.store;
    let tenant: Option<store::Tenant> = store.find(&caller.tenant, &caller.tenant).await?;
    let user: Option<store::User> = store.find(&caller.tenant, &caller.id).await?;
    let (Some(tenant), Some(user)) = (tenant, user) else {
        return Err(Problem::refused_credentials("invalid_token", "the token's user is gone"));
    };
    let Account { user, tenant } = Account::of(tenant, user);
    Ok(Json(Me { user, tenant, scope: caller.scopes.to_string() }))
}

impl AuthService {
    /// A user as clients see it.
    pub(super) async fn shown(&self, user: store::User) -> Result<User, Problem> {
        let tenant: Option<store::Tenant> = self.app.billing.store.find(&user.tenant, &user.tenant).await?;
        let tenant = tenant.ok_or_else(|| Problem::not_found("tenant"))?;
        Ok(User::of(user, tenant.livemode))
    }
}
