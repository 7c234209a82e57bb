//! What a subscription will be billed, and what was used so far. Nothing is written.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use billing::{TenantTime, UpcomingInvoice};
use domain::{AmountError, Currency, Exact, Group, InvoiceReason};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::super::{customers::TaxRate, fields::Period, invoices::InvoiceLine};
use crate::{
    access::{GetSubscriptionUsage, GetUpcomingInvoice},
    http::{openapi::ReadProblems, page::List, problem::Problem},
    read::{self, Reader},
    state::GatewayState,
};

/// An invoice that is not issued: what it would say by what is known now, late usage included, and what wallets and balance
/// would pay of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InvoicePreview {
    /// Always `upcoming_invoice`.
    #[schema(value_type = String, example = "upcoming_invoice")]
    object: &'static str,
    livemode: bool,
    /// Id of the customer; null for a prospect.
    customer: Option<String>,
    /// Id of the subscription; null for one that is not created.
    subscription: Option<String>,
    /// Why it would be issued: `subscription_create` or `period`.
    #[schema(value_type = String, example = "period")]
    reason: InvoiceReason,
    /// Local date of the boundary that it would bill.
    boundary: Date,
    /// From the first day to the last that its lines cover.
    period: Period,
    /// The boundary's instant.
    issued_at: Timestamp,
    #[schema(value_type = String, example = "usd")]
    currency: Currency,
    tax_rates: Vec<TaxRate>,
    /// None if nothing would be billed; such an invoice is not issued.
    lines: Vec<InvoiceLine>,
    /// Sum of the lines' amounts.
    subtotal_minor: i64,
    discount_minor: i64,
    tax_minor: i64,
    /// Subtotal less discount plus tax, or zero where that is below.
    total_minor: i64,
    /// What that is below zero, for the customer's balance.
    credited_minor: i64,
    /// What wallets would pay.
    wallet_applied_minor: i64,
    /// What the customer's balance would pay.
    credit_applied_minor: i64,
    /// What would be left to pay.
    amount_due_minor: i64,
}

/// What was used so far, and what came late for periods that were billed before.
#[derive(Debug, Serialize, ToSchema)]
struct SubscriptionUsage {
    #[serde(flatten)]
    used: List<PriceUsage>,
    /// As the next invoice will bill it.
    late: Vec<InvoiceLine>,
}

/// What was used of a price in its window under way.
#[derive(Debug, Serialize, ToSchema)]
struct PriceUsage {
    /// Always `price_usage`.
    #[schema(value_type = String, example = "price_usage")]
    object: &'static str,
    /// Key of the price.
    #[schema(example = "calls")]
    price: String,
    /// Key of its meter.
    #[schema(example = "api_calls")]
    meter: String,
    /// The local days that its line will cover.
    window: Period,
    /// First instant whose events count.
    from: Timestamp,
    /// First instant after those counted so far: now.
    to: Timestamp,
    /// Property -> value, where the price is grouped by properties; null otherwise.
    group: Option<BTreeMap<String, String>>,
    /// The meter's value so far.
    #[schema(value_type = String, example = "1200")]
    quantity: Exact,
    #[schema(value_type = String, example = "usd")]
    currency: Currency,
    /// What it costs if nothing more is used, before minimum, discount and tax.
    amount_minor: i64,
}

impl InvoicePreview {
    /// The same, of a tenant in live or in test mode.
    pub(super) fn in_mode(self, livemode: bool) -> Self {
        Self { livemode, ..self }
    }

    /// # Errors
    /// When a line cannot be computed again, which one that was just computed can.
    pub(super) fn of(upcoming: UpcomingInvoice, livemode: bool) -> Result<Self, AmountError> {
        let UpcomingInvoice { customer, subscription, boundary, content } = upcoming;
        let lines =
            content.lines.iter().map(|line| InvoiceLine::of(line, content.currency)).collect::<Result<_, _>>()?;
        let periods = || content.lines.iter().map(|line| line.period);
        Ok(Self {
            object: "upcoming_invoice",
            livemode,
            customer,
            subscription,
            reason: content.reason,
            boundary,
            period: Period {
                start: periods().map(|period| period.start).min().unwrap_or(boundary),
                end: periods().map(|period| period.end).max().unwrap_or(boundary),
            },
            issued_at: content.issued_at,
            currency: content.currency,
            tax_rates: content.tax_rates.iter().map(TaxRate::of).collect(),
            lines,
            subtotal_minor: content.subtotal_minor,
            discount_minor: content.discount_minor,
            tax_minor: content.tax_minor,
            total_minor: content.total_minor,
            credited_minor: content.credited_minor,
            wallet_applied_minor: content.wallet_applied_minor,
            credit_applied_minor: content.credit_applied_minor,
            amount_due_minor: content.amount_due_minor,
        })
    }
}

impl PriceUsage {
    fn of(usage: billing::PriceUsage) -> Self {
        Self {
            object: "price_usage",
            price: usage.price,
            meter: usage.meter,
            window: usage.window.into(),
            from: usage.from,
            to: usage.to,
            group: usage.group.as_ref().map(properties),
            quantity: usage.quantity,
            currency: usage.currency,
            amount_minor: usage.amount_minor,
        }
    }
}

fn properties(group: &Group) -> BTreeMap<String, String> {
    group.values().map(|(property, value)| (property.to_owned(), value.to_owned())).collect()
}

/// The routes of the outlook.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(get_upcoming_invoice)).routes(routes!(get_subscription_usage))
}

/// Gets what the subscription's next boundary would bill if nothing more happened; 404 once it is over.
#[utoipa::path(get, path = "/v1/subscriptions/{id}/upcoming_invoice", tag = "subscriptions",
    params(("id" = String, Path)), responses((status = 200, body = InvoicePreview), ReadProblems))]
async fn get_upcoming_invoice(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetUpcomingInvoice>,
    Path(id): Path<String>,
) -> Result<Json<InvoicePreview>, Problem> {
    let _: store::SubscriptionRecord = read::find(&gateway, &caller, ("subscription", &id)).await?;
    let store = &gateway.app.billing.store;
    let time = TenantTime::read(store, &caller.tenant, gateway.app.clock.now()).await?;
    let upcoming = billing::upcoming_invoice(store, (&caller.tenant, &time), &id).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    InvoicePreview::of(upcoming, livemode).map(Json).map_err(damaged)
}

/// A line that was just computed can always be computed again.
fn damaged(error: AmountError) -> Problem {
    tracing::error!(%error, "an upcoming invoice cannot be explained");
    Problem::internal()
}

/// Gets what was used of each price in its window under way, and what that costs so far, one row for each group; and what came
/// late for periods that were billed before.
#[utoipa::path(get, path = "/v1/subscriptions/{id}/usage", tag = "subscriptions",
    params(("id" = String, Path)), responses((status = 200, body = SubscriptionUsage), ReadProblems))]
async fn get_subscription_usage(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetSubscriptionUsage>,
    Path(id): Path<String>,
) -> Result<Json<SubscriptionUsage>, Problem> {
    let _: store::SubscriptionRecord = read::find(&gateway, &caller, ("subscription", &id)).await?;
    let store = &gateway.app.billing.store;
    let time = TenantTime::read(store, &caller.tenant, gateway.app.clock.now()).await?;
    let usage = billing::usage_so_far(store, (&caller.tenant, &id), time.now).await?;
    let late = usage.late.iter().map(|line| InvoiceLine::of(line, usage.currency)).collect::<Result<_, _>>();
    let rows = usage.prices.into_iter().map(PriceUsage::of).collect();
    let used = List::new(&format!("/v1/subscriptions/{id}/usage"), false, rows);
    Ok(Json(SubscriptionUsage { used, late: late.map_err(damaged)? }))
}
