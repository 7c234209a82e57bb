//! `/v1/customers`: who is billed.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{
    BillingError, Change, CustomerPatch, NewCustomer, OpenInvoices, Patch, Target, create_customer as decide_creation,
    delete_customer as decide_deletion, update_customer as decide_update,
};
use domain::{Currency, Locale, TaxRounding, Zone};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use store::ListFilter;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    address::Address,
    fields::{self, Metadata, MetadataPatch},
    tax_rates::{TaxRateChoice, chosen},
};
use crate::{
    access::{
        Allowed, AttachPaymentMethod, CreateCustomer, DeleteCustomer, GetCustomer, ListCustomers, UpdateCustomer,
    },
    http::{
        headers::ETag,
        json::{BodyHash, StrictJson},
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::ListQuery,
    },
    problems::rule_of_spec,
    read::{self, Reader, Resource},
    state::{Gateway, GatewayState},
    write::{Aim, Asked, Ground, Write, Writer},
};

/// What a customer is billed in when the client does not say.
pub(crate) const DEFAULT_CURRENCY: &str = "usd";

/// Longest grace period: two months, so that drafts of a monthly subscription do not pile up.
const MAX_GRACE_DAYS: u16 = 60;

/// A customer to create.
#[derive(Debug, Deserialize, ToSchema)]
struct CustomerRequest {
    /// Shown on invoices.
    #[schema(example = "Analytical Engines Ltd.")]
    name: String,
    /// Where invoices are sent.
    #[schema(example = "ada@customers.example")]
    email: String,
    /// ISO 4217, lower case; `usd` if left out.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "usd")]
    currency: Option<Currency>,
    /// IANA name; the local days that are billed. `UTC` if left out.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "Europe/Berlin")]
    timezone: Option<Zone>,
    /// How its mails write dates and amounts; `en` if left out.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "de", pattern = "^(en|en-GB|de|fr|es|pt-BR|ja)$")]
    locale: Option<Locale>,
    #[serde(default)]
    address: Option<Address>,
    /// Ids of tax rates or bodies, at most ten, all on the same base; a price's own replace them.
    #[serde(default)]
    tax_rates: Vec<TaxRateChoice>,
    /// Where tax is rounded: once per `invoice` (if left out), or per `line` and rate.
    #[serde(default)]
    #[schema(value_type = String, required = false, example = "invoice", pattern = "^(invoice|line)$")]
    tax_rounding: TaxRounding,
    /// The payment gateway's token; without one nothing is collected.
    #[serde(default)]
    #[schema(example = "pm_sandbox_ok")]
    payment_method: Option<String>,
    /// Days for which its periodic invoices stay drafts, up to 60; none if left out.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 60, default = 0)]
    invoice_grace_days: u16,
    /// Up to 50 strings of the client's.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
}

/// What changes of a customer. What is left out stays; null takes away what it may be without.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "payment_method": "pm_sandbox_ok" }))]
struct CustomerUpdate {
    /// Shown on invoices.
    name: Option<String>,
    /// Where invoices are sent.
    email: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<Address>)]
    address: Patch<Address>,
    /// IANA name; boundaries follow it from the next one on.
    #[schema(value_type = Option<String>, example = "Europe/Berlin")]
    timezone: Option<Zone>,
    /// How its mails write dates and amounts.
    #[schema(value_type = Option<String>, example = "de", pattern = "^(en|en-GB|de|fr|es|pt-BR|ja)$")]
    locale: Option<Locale>,
    /// All of them: ids of tax rates or bodies.
    tax_rates: Option<Vec<TaxRateChoice>>,
    /// `invoice` or `line`.
    #[schema(value_type = Option<String>, pattern = "^(invoice|line)$")]
    tax_rounding: Option<TaxRounding>,
    /// The payment gateway's token.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    payment_method: Patch<String>,
    /// Days for which its periodic invoices stay drafts.
    #[schema(minimum = 0, maximum = 60)]
    invoice_grace_days: Option<u16>,
    /// Keys to set; null takes a key away.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    metadata: MetadataPatch,
}

/// A payment method to attach.
#[derive(Debug, Deserialize, ToSchema)]
struct PaymentMethodRequest {
    /// The payment gateway's token.
    #[schema(example = "pm_sandbox_ok")]
    token: String,
}

/// How a customer is deleted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Deletion {
    /// Whether invoices that are open are written off; refused with open invoices if left out.
    #[serde(default)]
    #[param(required = false, default = false)]
    force: bool,
}

/// Which customers are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CustomerFilter {
    /// Its e-mail address, exactly.
    email: Option<String>,
}

/// A tax on every line of a customer's invoices.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TaxRate {
    /// Shown on invoices.
    #[schema(example = "VAT")]
    name: String,
    /// 0 to 100, with at most six digits after the point.
    #[schema(example = "19")]
    percent: Decimal,
}

/// A customer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Customer {
    #[schema(example = "cus_0198f3")]
    id: String,
    /// Always `customer`.
    #[schema(value_type = String, example = "customer")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    name: String,
    /// Empty once it is deleted.
    email: String,
    address: Option<Address>,
    #[schema(value_type = String, example = "usd")]
    currency: Currency,
    #[schema(value_type = String, example = "Europe/Berlin")]
    timezone: Zone,
    /// How its mails write dates and amounts.
    #[schema(value_type = String, example = "de")]
    locale: Locale,
    tax_rates: Vec<TaxRate>,
    #[schema(value_type = String, example = "invoice")]
    tax_rounding: TaxRounding,
    /// The payment gateway's token.
    payment_method: Option<String>,
    /// Above zero in its favour: what it does not owe any more, and pays its next invoices. See also its wallets.
    balance_minor: i64,
    /// Days for which its periodic invoices stay drafts.
    invoice_grace_days: u16,
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
    /// When it was deleted; null while it is not. Lists leave it out then.
    deleted_at: Option<Timestamp>,
}

impl TaxRate {
    pub(super) fn of(rate: &domain::TaxRate) -> Self {
        Self { name: rate.name().to_owned(), percent: rate.percent() }
    }
}

impl CustomerRequest {
    async fn parse(self, gateway: &Gateway, tenant: &str) -> Result<NewCustomer, Problem> {
        let currency = match self.currency {
            Some(currency) => currency,
            None => DEFAULT_CURRENCY.parse().map_err(|_| Problem::internal())?,
        };
        Ok(NewCustomer {
            name: fields::name("/name", self.name)?,
            email: fields::email("/email", self.email)?,
            currency,
            timezone: self.timezone.unwrap_or_default(),
            locale: self.locale.unwrap_or_default(),
            address: self.address.map(Address::parse).transpose()?,
            tax_rates: tax_rates(gateway, tenant, self.tax_rates).await?,
            tax_rounding: self.tax_rounding,
            payment_method: self.payment_method.map(|token| fields::token("/payment_method", token)).transpose()?,
            invoice_grace_days: grace_days(self.invoice_grace_days)?,
            metadata: fields::metadata(self.metadata)?,
        })
    }
}

impl CustomerUpdate {
    async fn parse(self, gateway: &Gateway, tenant: &str) -> Result<CustomerPatch, Problem> {
        let tax_rates = match self.tax_rates {
            Some(choices) => Some(tax_rates(gateway, tenant, choices).await?),
            None => None,
        };
        Ok(CustomerPatch {
            name: self.name.map(|name| fields::name("/name", name)).transpose()?,
            email: self.email.map(|email| fields::email("/email", email)).transpose()?,
            address: self.address.try_map(Address::parse)?,
            timezone: self.timezone,
            locale: self.locale,
            tax_rates,
            tax_rounding: self.tax_rounding,
            payment_method: self.payment_method.try_map(|token| fields::token("/payment_method", token))?,
            invoice_grace_days: self.invoice_grace_days.map(grace_days).transpose()?,
            metadata: fields::metadata_patch(self.metadata)?,
        })
    }
}

async fn tax_rates(
    gateway: &Gateway,
    tenant: &str,
    choices: Vec<TaxRateChoice>,
) -> Result<Vec<domain::TaxRate>, Problem> {
    let specs = chosen(gateway, tenant, ("/tax_rates", choices)).await?;
    domain::tax_rates("tax_rates", specs).map_err(|error| rule_of_spec("", &error))
}

impl Customer {
    fn of(customer: store::Customer, livemode: bool) -> Self {
        Self {
            id: customer.id,
            object: "customer",
            created: customer.created,
            livemode,
            name: customer.name,
            email: customer.email,
            address: customer.address.map(Address::of),
            currency: customer.currency,
            timezone: customer.timezone,
            locale: customer.locale,
            tax_rates: customer.tax_rates.iter().map(TaxRate::of).collect(),
            tax_rounding: customer.tax_rounding,
            payment_method: customer.payment_method,
            balance_minor: customer.balance_minor,
            invoice_grace_days: customer.invoice_grace_days,
            metadata: customer.metadata,
            deleted_at: customer.deleted_at,
        }
    }
}

fn grace_days(days: u16) -> Result<u16, Problem> {
    if days <= MAX_GRACE_DAYS {
        return Ok(days);
    }
    Err(fields::refused("/invoice_grace_days", "out_of_range", &format!("must be between 0 and {MAX_GRACE_DAYS}")))
}

struct Creation {
    id: String,
    new: NewCustomer,
}

impl Write for Creation {
    type Made = store::Customer;
    type Shown = Customer;
    const STATUS: StatusCode = StatusCode::CREATED;
    const ON_CLOCK: bool = true;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_creation(&ground.actor, &ground.time, self.id.clone(), self.new.clone())
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> Customer {
        Customer::of(made, livemode)
    }
}

struct Update {
    target: Target,
    patch: CustomerPatch,
}

impl Write for Update {
    type Made = store::Customer;
    type Shown = Customer;
    const STATUS: StatusCode = StatusCode::OK;
    const ON_CLOCK: bool = true;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_update(&ground.store, &ground.actor, &ground.time, (&self.target, self.patch.clone())).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> Customer {
        Customer::of(made, livemode)
    }
}

struct Removal {
    target: Target,
    open: OpenInvoices,
}

impl Write for Removal {
    type Made = store::Customer;
    type Shown = Customer;
    const STATUS: StatusCode = StatusCode::OK;
    const ON_CLOCK: bool = true;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_deletion(&ground.store, &ground.actor, &ground.time, (&self.target, self.open)).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> Customer {
        Customer::of(made, livemode)
    }
}

impl Resource for store::Customer {
    type Shown = Customer;
    const OBJECT: &'static str = "customer";
    const URL: &'static str = "/v1/customers";

    fn show(self, livemode: bool) -> Result<Customer, Problem> {
        Ok(Customer::of(self, livemode))
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(create_customer, list_customers))
        .routes(routes!(get_customer, update_customer, delete_customer))
        .routes(routes!(attach_payment_method))
}

/// Creates a customer.
#[utoipa::path(post, path = "/v1/customers", tag = "customers", request_body = CustomerRequest,
    responses((status = 201, body = Customer), WriteProblems))]
async fn create_customer(
    State(gateway): State<GatewayState>,
    writer: Writer<CreateCustomer>,
    body: StrictJson<CustomerRequest>,
) -> Result<Response, Problem> {
    let creation =
        Creation { id: gateway.app.ids.new_id("cus"), new: body.value.parse(&gateway, writer.tenant()).await? };
    writer.run(&gateway, (body.body_hash, creation)).await
}

/// Lists customers, newest first.
#[utoipa::path(get, path = "/v1/customers", tag = "customers", params(PageParams, CustomerFilter),
    responses((status = 200, body = List<Customer>), ReadProblems))]
async fn list_customers(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListCustomers>,
    query: ListQuery<CustomerFilter>,
) -> Result<Json<List<Customer>>, Problem> {
    let filter = ListFilter::default().field("email", query.filter.email).without("deleted_at");
    read::list::<store::Customer>(&gateway, &caller, (&query.page, filter)).await
}

/// Gets a customer.
#[utoipa::path(get, path = "/v1/customers/{id}", tag = "customers", params(("id" = String, Path)),
    responses((status = 200, body = Customer), ReadProblems))]
async fn get_customer(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetCustomer>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<Customer>), Problem> {
    read::get::<store::Customer>(&gateway, &caller, &id).await
}

/// Changes a customer. Invoices that are issued stay as they are.
#[utoipa::path(patch, path = "/v1/customers/{id}", tag = "customers", params(("id" = String, Path)),
    request_body = CustomerUpdate, responses((status = 200, body = Customer), WriteProblems))]
async fn update_customer(
    State(gateway): State<GatewayState>,
    writer: Writer<UpdateCustomer>,
    Aim(target): Aim,
    body: StrictJson<CustomerUpdate>,
) -> Result<Response, Problem> {
    let patch = body.value.parse(&gateway, writer.tenant()).await?;
    writer.run(&gateway, (body.body_hash, Update { target, patch })).await
}

/// Deletes a customer: what names a person is taken away and its subscriptions end at once, without another invoice. Invoices
/// that are issued stay as they are. Refused while one is a draft, or open unless `force` writes it off.
#[utoipa::path(delete, path = "/v1/customers/{id}", tag = "customers", params(("id" = String, Path), Deletion),
    responses((status = 200, body = Customer), WriteProblems))]
async fn delete_customer(
    State(gateway): State<GatewayState>,
    Asked(writer, query): Asked<DeleteCustomer, Deletion>,
    Aim(target): Aim,
) -> Result<Response, Problem> {
    let open = if query.force { OpenInvoices::WriteOff } else { OpenInvoices::Refuse };
    writer.run(&gateway, (BodyHash::of(&[]), Removal { target, open })).await
}

/// Attaches a payment method, in place of the one there is.
#[utoipa::path(post, path = "/v1/customers/{id}/payment_methods", tag = "customers", params(("id" = String, Path)),
    request_body = PaymentMethodRequest, responses((status = 200, body = Customer), WriteProblems))]
async fn attach_payment_method(
    State(gateway): State<GatewayState>,
    writer: Writer<AttachPaymentMethod>,
    Path(id): Path<String>,
    body: StrictJson<PaymentMethodRequest>,
) -> Result<Response, Problem> {
    let _: store::Customer = read::find(&gateway, writer.caller(), ("customer", &id)).await?;
    let payment_method = Patch::Set(fields::token("/token", body.value.token)?);
    let patch = CustomerPatch { payment_method, ..CustomerPatch::default() };
    writer.run(&gateway, (body.body_hash, Update { target: Target::any(&id), patch })).await
}
