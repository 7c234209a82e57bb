//! `POST /v1/auth/register`: a new organisation and the user who owns it.

use axum::{Json, extract::State, http::StatusCode};
use billing::{BillingError, NewTenant, register_tenant};
use secrecy::SecretString;
use serde::Deserialize;
use store::StoreError;
use utoipa::ToSchema;

use super::{AuthState, me::Account};
use crate::{
    auth::passwords::NewPassword,
    http::{json::StrictJson, openapi::PublicWriteProblems, problem::Problem, request_id::RequestId},
    resources::fields,
};

/// An organisation to register, and its owner.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct RegisterRequest {
    /// Name of the organisation; signs its mails.
    #[schema(example = "Acme GmbH")]
    organization: String,
    /// Name of the owner.
    #[schema(example = "Ada Lovelace")]
    name: String,
    /// Signs in; letter case does not matter.
    #[schema(example = "ada@acme.example")]
    email: String,
    /// 8 to 128 characters, and none of the common ones.
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// Registers an organisation. It starts in test mode.
#[utoipa::path(post, path = "/v1/auth/register", tag = "auth", security(()), request_body = RegisterRequest,
    responses((status = 201, body = Account), PublicWriteProblems))]
pub(super) async fn register(
    State(service): State<AuthState>,
    request_id: RequestId,
    body: StrictJson<RegisterRequest>,
) -> Result<(StatusCode, Json<Account>), Problem> {
    let RegisterRequest { organization, name, email, password } = body.value;
    let organization = fields::name("/organization", organization)?;
    let name = fields::name("/name", name)?;
    let email = fields::email("/email", email)?.to_lowercase();
    let password = NewPassword::parse(password).map_err(|rule| rule.problem("/password"))?;
    let password_hash = service.passwords.hash(password).await?;
    let ids = service.app.ids;
    let (tenant_id, user_id) = (ids.new_id("ten"), ids.new_id("usr"));
    let new = NewTenant { tenant_id, user_id, organization, name, email, password_hash };
    let (tenant, user) = commit(&service, new, request_id.to_string()).await?;
    Ok((StatusCode::CREATED, Json(Account::of(tenant, user))))
}

async fn commit(
    service: &AuthState,
    new: NewTenant,
    request_id: String,
) -> Result<(store::Tenant, store::User), BillingError> {
    let billing = &service.app.billing;
    let decide = async || {
        let wall = service.app.clock.now();
        register_tenant(&billing.store, new.clone(), wall, Some(request_id.clone())).await
    };
    match billing.commit(decide().await?).await {
        // Another registration took the address at the same moment: asked again, the use case sees it.
        Err(BillingError::Store(StoreError::Duplicate(_) | StoreError::Conflict(_))) => {
            billing.commit(decide().await?).await
        }
        outcome => outcome,
    }
}
