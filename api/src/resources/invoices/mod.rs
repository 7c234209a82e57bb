//! `/v1/invoices`: what was billed.
//!
//! Most are issued by subscriptions and billing runs; one-off ones and what can be done to an invoice are in `actions`, how its
//! amounts came to be in `explanation`.

mod actions;
mod explanation;
mod lines;
mod pay;

use axum::{
    Json,
    extract::{Path, State},
};
use domain::{AmountError, Coupon, Currency, InvoiceContent, InvoiceReason, InvoiceStatus, TaxRounding};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use store::{Collection, DunningWait, ListFilter};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) use self::lines::InvoiceLine;
use super::{customers::TaxRate, fields::Period, subscriptions::CollectionShown};
use crate::{
    access::{Allowed, GetInvoice, ListInvoices},
    http::{
        headers::ETag,
        openapi::ReadProblems,
        page::{List, PageParams},
        problem::Problem,
        query::ListQuery,
    },
    read::{self, Reader, Resource},
    state::GatewayState,
};

/// An invoice. What it says never changes; only how far it is collected does.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Invoice {
    #[schema(example = "inv_20260801a0198f3")]
    id: String,
    /// Always `invoice`.
    #[schema(value_type = String, example = "invoice")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    /// Gap-free in the tenant; null while it is a draft.
    #[schema(example = "INV-000001")]
    number: Option<String>,
    customer: String,
    /// Null for a one-off invoice.
    subscription: Option<String>,
    /// The run that issued it; null for what was issued by itself.
    billing_run: Option<String>,
    /// Why it was issued: `subscription_create`, `period`, `change`, `cancel` or `one_off`.
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
    /// How it is collected, with `net_days` if it is sent.
    #[serde(flatten)]
    #[schema(value_type = CollectionShown)]
    collection: Collection,
    /// Until when it is to be paid: at once, or `net_days` after it was issued; null while it is a draft.
    due_at: Option<Timestamp>,
    #[schema(value_type = String, example = "usd")]
    currency: Currency,
    /// On lines that have none of their own.
    tax_rates: Vec<TaxRate>,
    /// Where tax was rounded: once per `invoice`, or per `line` and rate.
    #[schema(value_type = String, example = "invoice")]
    tax_rounding: TaxRounding,
    /// As they were when it was issued, in the order in which they take something off.
    #[schema(value_type = Vec<Object>)]
    coupons: Vec<Coupon>,
    lines: Vec<InvoiceLine>,
    /// Sum of the lines' amounts.
    subtotal_minor: i64,
    discount_minor: i64,
    tax_minor: i64,
    /// Subtotal less discount plus tax, or zero where that is below.
    total_minor: i64,
    /// What the customer's balance got because the total is below zero.
    credited_minor: i64,
    #[serde(flatten)]
    paid_by: PaidBy,
    /// What payments have paid of it.
    paid_minor: i64,
    /// What had to be paid when it was issued: the total less what wallets and balance paid.
    amount_due_minor: i64,
    #[serde(flatten)]
    notes: Notes,
    /// What is still to be paid; zero unless it is open.
    amount_remaining_minor: i64,
    /// Attempts to collect it so far.
    payment_attempts: i32,
    paid_at: Option<Timestamp>,
    /// When it is attempted next, by itself; null while nothing is planned or its billing run sees to it.
    next_payment_attempt_at: Option<Timestamp>,
    /// When a draft is finalised by itself; null for what is no draft.
    finalizes_at: Option<Timestamp>,
}

/// What paid an invoice before the payment gateway was asked.
#[derive(Debug, Serialize, ToSchema)]
struct PaidBy {
    /// What each wallet paid, in their order.
    wallet_applied: Vec<WalletUse>,
    /// Sum of it.
    wallet_applied_minor: i64,
    /// What the customer's balance paid.
    credit_applied_minor: i64,
}

/// What a wallet paid of an invoice.
#[derive(Debug, Serialize, ToSchema)]
struct WalletUse {
    #[schema(example = "wal_0198f3")]
    wallet: String,
    amount_minor: i64,
}

/// What credit notes have given back of an invoice.
#[derive(Debug, Serialize, ToSchema)]
struct Notes {
    /// All of it.
    credited_by_notes_minor: i64,
    /// The part that went off what was open; the rest went to the customer's balance.
    offset_by_notes_minor: i64,
}

impl PaidBy {
    fn of(content: &InvoiceContent) -> Self {
        let used =
            |used: &domain::WalletUse| WalletUse { wallet: used.wallet.clone(), amount_minor: used.amount_minor };
        Self {
            wallet_applied: content.wallet_applied.iter().map(used).collect(),
            wallet_applied_minor: content.wallet_applied_minor,
            credit_applied_minor: content.credit_applied_minor,
        }
    }
}

impl Notes {
    fn of(invoice: &store::Invoice) -> Self {
        Self {
            credited_by_notes_minor: invoice.credited_by_notes_minor,
            offset_by_notes_minor: invoice.offset_by_notes_minor,
        }
    }
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
        let (notes, remaining) = (Notes::of(&invoice), invoice.amount_open());
        let content = invoice.content;
        let lines =
            content.lines.iter().map(|line| InvoiceLine::of(line, content.currency)).collect::<Result<_, _>>()?;
        let tried_again = invoice.dunning.is_none_or(|dunning| dunning.waits_for == DunningWait::Retry);
        let waits = invoice.status == InvoiceStatus::Open && invoice.collectible && tried_again;
        let is_draft = invoice.status == InvoiceStatus::Draft;
        Ok(Self {
            id: invoice.id,
            object: "invoice",
            created: invoice.created,
            livemode,
            number: Some(invoice.number).filter(|number| !number.is_empty()),
            customer: invoice.customer,
            subscription: invoice.subscription,
            billing_run: invoice.billing_run,
            reason: content.reason,
            status: invoice.status,
            boundary: invoice.boundary,
            period: span(&content, invoice.boundary),
            issued_at: content.issued_at,
            collection: invoice.collection,
            due_at: invoice.payable_until,
            currency: content.currency,
            tax_rates: content.tax_rates.iter().map(TaxRate::of).collect(),
            tax_rounding: content.tax_rounding,
            paid_by: PaidBy::of(&content),
            coupons: content.coupons,
            lines,
            subtotal_minor: content.subtotal_minor,
            discount_minor: content.discount_minor,
            tax_minor: content.tax_minor,
            total_minor: content.total_minor,
            credited_minor: content.credited_minor,
            paid_minor: invoice.paid_minor,
            amount_due_minor: content.amount_due_minor,
            notes,
            amount_remaining_minor: remaining.minor(),
            payment_attempts: invoice.attempts,
            paid_at: invoice.paid_at,
            next_payment_attempt_at: invoice.due.at.filter(|_| waits),
            finalizes_at: invoice.due.at.filter(|_| is_draft),
        })
    }
}

/// What the lines cover together; a draft whose usage was corrected away has none.
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

impl Resource for store::Invoice {
    type Shown = Invoice;
    const OBJECT: &'static str = "invoice";
    const URL: &'static str = "/v1/invoices";

    fn show(self, livemode: bool) -> Result<Invoice, Problem> {
        Invoice::of(self, livemode).map_err(damaged)
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(list_invoices, actions::create_invoice))
        .routes(routes!(get_invoice))
        .merge(actions::routes())
        .merge(pay::routes())
        .merge(explanation::routes())
}

/// Lists invoices, newest first.
#[utoipa::path(get, path = "/v1/invoices", tag = "invoices", params(PageParams, InvoiceFilter),
    responses((status = 200, body = List<Invoice>), ReadProblems))]
async fn list_invoices(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListInvoices>,
    query: ListQuery<InvoiceFilter>,
) -> Result<Json<List<Invoice>>, Problem> {
    read::list::<store::Invoice>(&gateway, &caller, (&query.page, query.filter.into_store())).await
}

/// Gets an invoice; a draft with the usage that is known by now.
#[utoipa::path(get, path = "/v1/invoices/{id}", tag = "invoices", params(("id" = String, Path)),
    responses((status = 200, body = Invoice), ReadProblems))]
async fn get_invoice(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetInvoice>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<Invoice>), Problem> {
    let invoice: store::Invoice = read::find(&gateway, &caller, ("invoice", &id)).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let etag = ETag::of_revision(invoice.revision);
    let invoice = billing::current_invoice(&gateway.app.billing.store, invoice).await?;
    Ok((etag, Json(Invoice::of(invoice, livemode).map_err(damaged)?)))
}
