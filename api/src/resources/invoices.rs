//! `/v1/invoices`: what was billed. Read only: invoices are issued by subscriptions and billing runs.

use axum::{
    Json,
    extract::{Path, State},
};
use domain::{AmountError, Currency, InvoiceContent, InvoiceReason, InvoiceStatus};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use store::ListFilter;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    customers::TaxRate,
    fields::Period,
    invoice_lines::{ExplainedLine, InvoiceLine},
};
use crate::{
    auth::caller::Caller,
    http::{
        headers::ETag,
        openapi::ReadProblems,
        page::{List, PageParams},
        problem::Problem,
        query::ListQuery,
    },
    read::{self, Reader},
    state::GatewayState,
};

const URL: &str = "/v1/invoices";

/// An invoice. What it says never changes; only how far it is collected does.
#[derive(Debug, Serialize, ToSchema)]
struct Invoice {
    #[schema(example = "inv_20260801a0198f3")]
    id: String,
    /// Always `invoice`.
    #[schema(value_type = String, example = "invoice")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    /// Gap-free in the tenant.
    #[schema(example = "INV-000001")]
    number: String,
    customer: String,
    subscription: String,
    /// The run that issued it; null for a subscription's initial invoice.
    billing_run: Option<String>,
    /// Why it was issued: `subscription_create` or `period`.
    #[schema(value_type = String, example = "period")]
    reason: InvoiceReason,
    #[schema(value_type = String, example = "open")]
    status: InvoiceStatus,
    /// Local date of the boundary that it bills.
    boundary: Date,
    /// From the first day to the last that its lines cover.
    period: Period,
    /// The boundary's instant.
    issued_at: Timestamp,
    /// It is payable when it is issued.
    due_at: Timestamp,
    #[schema(value_type = String, example = "usd")]
    currency: Currency,
    tax_rates: Vec<TaxRate>,
    lines: Vec<InvoiceLine>,
    /// Sum of the lines' amounts.
    subtotal_minor: i64,
    discount_minor: i64,
    tax_minor: i64,
    /// Subtotal less discount plus tax.
    total_minor: i64,
    /// What had to be paid when it was issued.
    amount_due_minor: i64,
    /// Attempts to collect it so far.
    payment_attempts: i32,
    paid_at: Option<Timestamp>,
    /// When it is attempted next, by itself; null while nothing is planned or its billing run sees to it.
    next_payment_attempt_at: Option<Timestamp>,
}

/// How every amount of an invoice came to be.
#[derive(Debug, Serialize, ToSchema)]
struct InvoiceExplanation {
    /// Always `invoice_explanation`.
    #[schema(value_type = String, example = "invoice_explanation")]
    object: &'static str,
    /// Id of the invoice.
    invoice: String,
    /// Version of the rules that computed it.
    engine_version: u16,
    #[schema(value_type = String, example = "usd")]
    currency: Currency,
    tax_rates: Vec<TaxRate>,
    lines: Vec<ExplainedLine>,
    subtotal_minor: i64,
    discount_minor: i64,
    tax_minor: i64,
    total_minor: i64,
}

/// Which invoices are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct InvoiceFilter {
    /// Id of the customer.
    customer: Option<String>,
    /// Id of the subscription.
    subscription: Option<String>,
    /// Where they stand: `draft`, `open`, `paid`, `void` or `uncollectible`.
    #[param(value_type = Option<String>)]
    status: Option<InvoiceStatus>,
    /// Id of the run that issued them.
    billing_run: Option<String>,
    number: Option<String>,
}

impl InvoiceFilter {
    fn into_store(self) -> ListFilter {
        ListFilter::default()
            .field("customer", self.customer)
            .field("subscription", self.subscription)
            .field("status", self.status.map(|status| status.as_str().to_owned()))
            .field("billing_run", self.billing_run)
            .field("number", self.number)
    }
}

impl Invoice {
    fn of(invoice: store::Invoice, livemode: bool) -> Result<Self, AmountError> {
        let content = invoice.content;
        let lines =
            content.lines.iter().map(|line| InvoiceLine::of(line, content.currency)).collect::<Result<_, _>>()?;
        let waits = invoice.status == InvoiceStatus::Open && invoice.collectible;
        Ok(Self {
            id: invoice.id,
            object: "invoice",
            created: invoice.created,
            livemode,
            number: invoice.number,
            customer: invoice.customer,
            subscription: invoice.subscription,
            billing_run: invoice.billing_run,
            reason: content.reason,
            status: invoice.status,
            boundary: invoice.boundary,
            period: span(&content, invoice.boundary),
            issued_at: content.issued_at,
            due_at: content.issued_at,
            currency: content.currency,
            tax_rates: content.tax_rates.iter().map(TaxRate::of).collect(),
            lines,
            subtotal_minor: content.subtotal_minor,
            discount_minor: content.discount_minor,
            tax_minor: content.tax_minor,
            total_minor: content.total_minor,
            amount_due_minor: content.amount_due_minor,
            payment_attempts: invoice.attempts,
            paid_at: invoice.paid_at,
            next_payment_attempt_at: invoice.due.at.filter(|_| waits),
        })
    }
}

impl InvoiceExplanation {
    fn of(invoice: store::Invoice) -> Result<Self, AmountError> {
        let content = invoice.content;
        let explained = |line| ExplainedLine::of(line, content.currency);
        Ok(Self {
            object: "invoice_explanation",
            invoice: invoice.id,
            engine_version: content.engine_version,
            currency: content.currency,
            tax_rates: content.tax_rates.iter().map(TaxRate::of).collect(),
            lines: content.lines.iter().map(explained).collect::<Result<_, _>>()?,
            subtotal_minor: content.subtotal_minor,
            discount_minor: content.discount_minor,
            tax_minor: content.tax_minor,
            total_minor: content.total_minor,
        })
    }
}

/// What the lines cover together; an issued invoice has at least one.
fn span(content: &InvoiceContent, boundary: Date) -> Period {
    let periods = || content.lines.iter().map(|line| line.period);
    Period {
        start: periods().map(|period| period.start).min().unwrap_or(boundary),
        end: periods().map(|period| period.end).max().unwrap_or(boundary),
    }
}

/// An issued invoice can always be computed again; if not, its document is damaged.
fn damaged(error: AmountError) -> Problem {
    tracing::error!(%error, "a stored invoice cannot be explained");
    Problem::internal()
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(list_invoices)).routes(routes!(get_invoice)).routes(routes!(explain_invoice))
}

/// Lists invoices, newest first.
#[utoipa::path(get, path = "/v1/invoices", tag = "invoices", params(PageParams, InvoiceFilter),
    responses((status = 200, body = List<Invoice>), ReadProblems))]
async fn list_invoices(
    State(gateway): State<GatewayState>,
    caller: Caller,
    query: ListQuery<InvoiceFilter>,
) -> Result<Json<List<Invoice>>, Problem> {
    caller.require("invoices:read")?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let page = read::page(&gateway, &caller.tenant, &query.page, query.filter.into_store()).await?;
    let rows = page.data.into_iter().map(|invoice| Invoice::of(invoice, livemode)).collect::<Result<_, _>>();
    Ok(Json(List::new(URL, page.has_more, rows.map_err(damaged)?)))
}

/// Gets an invoice.
#[utoipa::path(get, path = "/v1/invoices/{id}", tag = "invoices", params(("id" = String, Path)),
    responses((status = 200, body = Invoice), ReadProblems))]
async fn get_invoice(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader,
    Path(id): Path<String>,
) -> Result<(ETag, Json<Invoice>), Problem> {
    caller.require("invoices:read")?;
    let invoice: store::Invoice = read::find(&gateway, &caller.tenant, ("invoice", &id)).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let etag = ETag::of_revision(invoice.revision);
    Ok((etag, Json(Invoice::of(invoice, livemode).map_err(damaged)?)))
}

/// Explains an invoice: how every amount came to be, from the inputs that were frozen when it was issued.
#[utoipa::path(get, path = "/v1/invoices/{id}/explain", tag = "invoices", params(("id" = String, Path)),
    responses((status = 200, body = InvoiceExplanation), ReadProblems))]
async fn explain_invoice(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader,
    Path(id): Path<String>,
) -> Result<Json<InvoiceExplanation>, Problem> {
    caller.require("invoices:read")?;
    let invoice: store::Invoice = read::find(&gateway, &caller.tenant, ("invoice", &id)).await?;
    InvoiceExplanation::of(invoice).map(Json).map_err(damaged)
}
