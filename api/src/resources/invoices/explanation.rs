//! `/v1/invoices/{id}/explain`: how every amount of an invoice came to be, rendered from what was frozen when it was issued.

use axum::{
    Json,
    extract::{Path, State},
};
use domain::{AmountError, Coupon, CouponOff, Currency, InvoiceContent, Money, TaxRounding};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Notes, PaidBy, damaged, lines::ExplainedLine};
use crate::{
    access::ExplainInvoice,
    http::{openapi::ReadProblems, problem::Problem},
    read::{self, Reader},
    resources::customers::TaxRate,
    state::GatewayState,
};

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
    #[schema(value_type = String, example = "invoice")]
    tax_rounding: TaxRounding,
    #[schema(value_type = Vec<Object>)]
    coupons: Vec<Coupon>,
    lines: Vec<ExplainedLine>,
    subtotal_minor: i64,
    discount_minor: i64,
    tax_minor: i64,
    total_minor: i64,
    credited_minor: i64,
    #[serde(flatten)]
    paid_by: PaidBy,
    amount_due_minor: i64,
    #[serde(flatten)]
    notes: Notes,
    amount_remaining_minor: i64,
    /// The way from the lines to what is to be paid, step by step.
    #[schema(example = json!(["subtotal: 20.00", "tax: VAT 19 %, rounded once = 3.80", "total: 20.00 - 0.00 + 3.80 = 23.80"]))]
    explain: Vec<String>,
}

impl InvoiceExplanation {
    fn of(invoice: store::Invoice) -> Result<Self, AmountError> {
        let explain = steps(&invoice);
        let (notes, remaining) = (Notes::of(&invoice), invoice.amount_open());
        let content = invoice.content;
        let explained = |line| ExplainedLine::of(line, content.currency);
        Ok(Self {
            object: "invoice_explanation",
            invoice: invoice.id,
            engine_version: content.engine_version,
            currency: content.currency,
            tax_rates: content.tax_rates.iter().map(TaxRate::of).collect(),
            tax_rounding: content.tax_rounding,
            lines: content.lines.iter().map(explained).collect::<Result<_, _>>()?,
            subtotal_minor: content.subtotal_minor,
            discount_minor: content.discount_minor,
            tax_minor: content.tax_minor,
            total_minor: content.total_minor,
            credited_minor: content.credited_minor,
            paid_by: PaidBy::of(&content),
            amount_due_minor: content.amount_due_minor,
            notes,
            amount_remaining_minor: remaining.minor(),
            explain,
            coupons: content.coupons,
        })
    }
}

/// Only what changes something is a step.
fn steps(invoice: &store::Invoice) -> Vec<String> {
    let content = &invoice.content;
    let major = |minor: i64| Money::new(minor, content.currency).major();
    let mut steps = vec![format!("subtotal: {}", major(content.subtotal_minor))];
    if content.discount_minor != 0 {
        let coupons = content.coupons.iter().map(|one| coupon(one, content)).collect::<Vec<_>>().join(", then ");
        steps.push(format!("discount: {coupons} = {}", major(content.discount_minor)));
    }
    if content.tax_minor != 0 {
        steps.push(format!("tax: {} = {}", taxes(content), major(content.tax_minor)));
    }
    let balance_minor = content.total_minor - content.credited_minor;
    let [subtotal, discount, tax, total] =
        [content.subtotal_minor, content.discount_minor, content.tax_minor, balance_minor].map(major);
    steps.push(format!("total: {subtotal} - {discount} + {tax} = {total}"));
    if content.credited_minor != 0 {
        steps.push(format!("below zero, so {} went to the balance", major(content.credited_minor)));
    }
    steps.extend(
        content.wallet_applied.iter().map(|used| format!("wallet {}: - {}", used.wallet, major(used.amount_minor))),
    );
    if content.credit_applied_minor != 0 {
        steps.push(format!("balance: - {}", major(content.credit_applied_minor)));
    }
    steps.push(format!("due: {}", major(content.amount_due_minor)));
    if invoice.credited_by_notes_minor != 0 {
        let [credited, offset] = [invoice.credited_by_notes_minor, invoice.offset_by_notes_minor].map(major);
        steps.push(format!("credit notes: {credited}, of which {offset} off what was open"));
        steps.push(format!("remaining: {}", invoice.amount_open().major()));
    }
    steps
}

fn coupon(coupon: &Coupon, content: &InvoiceContent) -> String {
    match coupon.off() {
        CouponOff::Percent(percent) => format!("{} {} %", coupon.name(), percent.normalize()),
        CouponOff::Amount { minor, .. } => {
            format!("{} {}", coupon.name(), Money::new(minor, content.currency).major())
        }
    }
}

fn taxes(content: &InvoiceContent) -> String {
    let rate = |rate: &domain::TaxRate| format!("{} {} %", rate.name(), rate.percent().normalize());
    let mut rates: Vec<String> = content.tax_rates.iter().map(rate).collect();
    if content.lines.iter().any(|line| line.tax_rates.is_some()) {
        rates.push("rates of lines".to_owned());
    }
    let rounded = match content.tax_rounding {
        TaxRounding::Invoice => "rounded once",
        TaxRounding::Line => "rounded by line and rate",
    };
    format!("{}, {rounded}", rates.join(", "))
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(explain_invoice))
}

/// Explains an invoice: how every amount came to be, from the inputs that were frozen when it was issued.
#[utoipa::path(get, path = "/v1/invoices/{id}/explain", tag = "invoices", params(("id" = String, Path)),
    responses((status = 200, body = InvoiceExplanation), ReadProblems))]
async fn explain_invoice(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<ExplainInvoice>,
    Path(id): Path<String>,
) -> Result<Json<InvoiceExplanation>, Problem> {
    let invoice: store::Invoice = read::find(&gateway, &caller, ("invoice", &id)).await?;
    let invoice = billing::current_invoice(&gateway.app.billing.store, invoice).await?;
    InvoiceExplanation::of(invoice).map(Json).map_err(damaged)
}
