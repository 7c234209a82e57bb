//! `/v1/customers`: who is billed.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{BillingError, Change, NewCustomer, create_customer as decide_creation};
use domain::{Currency, Locale, TaxRateSpec, TaxRounding, Zone};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use store::ListFilter;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::{self, Metadata};
use crate::{
    access::{Allowed, CreateCustomer, GetCustomer, ListCustomers},
    http::{
        headers::ETag,
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::{ListQuery, NoFilter},
    },
    problems::rule_of_spec,
    read::{self, Reader},
    state::GatewayState,
    write::{Ground, Write, Writer},
};

const URL: &str = "/v1/customers";

/// What a customer is billed in when the client does not say.
const DEFAULT_CURRENCY: &str = "usd";

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
    /// At most ten, all on the same base; a price's own replace them.
    #[serde(default)]
    #[schema(value_type = Vec<TaxRate>)]
    tax_rates: Vec<TaxRateSpec>,
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
struct Customer {
    #[schema(example = "cus_0198f3")]
    id: String,
    /// Always `customer`.
    #[schema(value_type = String, example = "customer")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    name: String,
    email: String,
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
}

impl TaxRate {
    pub(super) fn of(rate: &domain::TaxRate) -> Self {
        Self { name: rate.name().to_owned(), percent: rate.percent() }
    }
}

impl CustomerRequest {
    fn parse(self) -> Result<NewCustomer, Problem> {
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
            tax_rates: domain::tax_rates("tax_rates", self.tax_rates).map_err(|error| rule_of_spec("", &error))?,
            tax_rounding: self.tax_rounding,
            payment_method: fields::payment_method("/payment_method", self.payment_method)?,
            invoice_grace_days: grace_days(self.invoice_grace_days)?,
            metadata: fields::metadata(self.metadata)?,
        })
    }
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
            currency: customer.currency,
            timezone: customer.timezone,
            locale: customer.locale,
            tax_rates: customer.tax_rates.iter().map(TaxRate::of).collect(),
            tax_rounding: customer.tax_rounding,
            payment_method: customer.payment_method,
            balance_minor: customer.balance_minor,
            invoice_grace_days: customer.invoice_grace_days,
            metadata: customer.metadata,
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

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(create_customer, list_customers)).routes(routes!(get_customer))
}

/// Creates a customer.
#[utoipa::path(post, path = "/v1/customers", tag = "customers", request_body = CustomerRequest,
    responses((status = 201, body = Customer), WriteProblems))]
async fn create_customer(
    State(gateway): State<GatewayState>,
    writer: Writer<CreateCustomer>,
    body: StrictJson<CustomerRequest>,
) -> Result<Response, Problem> {
    let creation = Creation { id: gateway.app.ids.new_id("cus"), new: body.value.parse()? };
    writer.run(&gateway, (body.body_hash, creation)).await
}

/// Lists customers, newest first.
#[utoipa::path(get, path = "/v1/customers", tag = "customers", params(PageParams),
    responses((status = 200, body = List<Customer>), ReadProblems))]
async fn list_customers(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListCustomers>,
    query: ListQuery<NoFilter>,
) -> Result<Json<List<Customer>>, Problem> {
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let page = read::page(&gateway, &caller, &query.page, ListFilter::default()).await?;
    let rows = page.data.into_iter().map(|customer| Customer::of(customer, livemode)).collect();
    Ok(Json(List::new(URL, page.has_more, rows)))
}

/// Gets a customer.
#[utoipa::path(get, path = "/v1/customers/{id}", tag = "customers", params(("id" = String, Path)),
    responses((status = 200, body = Customer), ReadProblems))]
async fn get_customer(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetCustomer>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<Customer>), Problem> {
    let customer: store::Customer = read::find(&gateway, &caller, ("customer", &id)).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    Ok((ETag::of_revision(customer.revision), Json(Customer::of(customer, livemode))))
}
