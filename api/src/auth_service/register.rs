//! `POST /v1/auth/register`: a new organisation and the user who owns it. `POST /v1/onboarding/register`: a new customer of
//! one, and the user who signs in for it.
//!
//! **Invariant:** an address that is taken is answered like one that is not; the mail to it says which it was.

use axum::{Json, extract::State, http::StatusCode};
use billing::{NewAccount, NewCustomer, NewTenant, onboard_customer, register_tenant};
use domain::{Currency, Locale, TaxRounding, Zone};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AuthState, me::Account};
use crate::{
    auth::passwords::NewPassword,
    http::{json::StrictJson, openapi::PublicWriteProblems, problem::Problem, request_id::RequestId},
    resources::{customers::DEFAULT_CURRENCY, fields},
    shown::User,
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

/// A customer that registers itself.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct OnboardingRequest {
    /// Id of the organisation whose customer it becomes.
    #[schema(example = "ten_0198f3")]
    tenant: String,
    /// Shown on its invoices.
    #[schema(example = "Analytical Engines Ltd.")]
    name: String,
    /// Signs in, and gets the invoices; letter case does not matter.
    #[schema(example = "charles@customers.example")]
    email: String,
    /// 8 to 128 characters, and none of the common ones.
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    /// ISO 4217, lower case; `usd` if left out.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "usd")]
    currency: Option<Currency>,
    /// IANA name; the local days that are billed. `UTC` if left out.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "Europe/Berlin")]
    timezone: Option<Zone>,
}

/// A customer that registered itself: its id, and the user who signs in for it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Onboarded {
    /// Id of the customer.
    #[schema(example = "cus_0198f3")]
    customer: String,
    user: User,
}

/// Registers an organisation. It starts in test mode; its owner signs in once the mailed link was followed.
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
    let (ids, token) = (service.app.ids, service.mailed_token("verify_email")?);
    let (tenant_id, user_id) = (ids.new_id("ten"), ids.new_id("usr"));
    let new = NewTenant { tenant_id, user_id, organization, name, email, password_hash, token };
    let (store, request) = (&service.app.billing.store, &service.request(&request_id));
    let (tenant, user) = service.commit(|| register_tenant(store, new.clone(), request)).await?;
    Ok((StatusCode::CREATED, Json(Account::of(tenant, user))))
}

/// Registers a customer with an organisation. Its user signs in once the mailed link was followed, and sees and changes the
/// customer's own objects alone.
#[utoipa::path(post, path = "/v1/onboarding/register", tag = "auth", security(()), request_body = OnboardingRequest,
    responses((status = 201, body = Onboarded), PublicWriteProblems))]
pub(super) async fn register_customer(
    State(service): State<AuthState>,
    request_id: RequestId,
    body: StrictJson<OnboardingRequest>,
) -> Result<(StatusCode, Json<Onboarded>), Problem> {
    let OnboardingRequest { tenant, name, email, password, currency, timezone } = body.value;
    let store = &service.app.billing.store;
    let known: Option<store::Tenant> = store.find(&tenant, &tenant).await?;
    let known = known.ok_or_else(|| fields::refused("/tenant", "unknown_tenant", "there is no such organisation"))?;
    let currency = match currency {
        Some(currency) => currency,
        None => DEFAULT_CURRENCY.parse().map_err(|_| Problem::internal())?,
    };
    let customer = NewCustomer {
        name: fields::name("/name", name)?,
        email: fields::email("/email", email)?.to_lowercase(),
        address: None,
        currency,
        timezone: timezone.unwrap_or_default(),
        locale: Locale::default(),
        tax_rates: Vec::new(),
        tax_rounding: TaxRounding::default(),
        payment_method: None,
        invoice_grace_days: 0,
        metadata: fields::Metadata::default(),
    };
    let password = NewPassword::parse(password).map_err(|rule| rule.problem("/password"))?;
    let password_hash = service.passwords.hash(password).await?;
    let (ids, token) = (service.app.ids, service.mailed_token("verify_email")?);
    let (customer_id, user_id) = (ids.new_id("cus"), ids.new_id("usr"));
    let new = NewAccount { tenant, customer_id, user_id, customer, password_hash, token };
    let request = &service.request(&request_id);
    let (customer, user) = service.commit(|| onboard_customer(store, new.clone(), request)).await?;
    let onboarded = Onboarded { customer: customer.id, user: User::of(user, known.livemode) };
    Ok((StatusCode::CREATED, Json(onboarded)))
}
