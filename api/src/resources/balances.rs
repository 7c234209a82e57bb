//! `/v1/customers/{id}/balance` and its history: what is credited to a customer, and who changed that and why.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{BalanceAdjustment, BillingError, Change, adjust_balance as decide_adjustment};
use domain::Currency;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{BalanceEntryKind, ListFilter};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::{AdjustBalance, Allowed, GetBalance, ListBalanceEntries},
    acts,
    http::{
        headers::ETag,
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::{ListQuery, NoFilter},
    },
    read::{self, Reader, Resource},
    state::GatewayState,
    write::{Ground, Write, Writer},
};

/// What is credited to a customer.
#[derive(Debug, Serialize, ToSchema)]
struct Balance {
    /// Always `balance`.
    #[schema(value_type = String, example = "balance")]
    object: &'static str,
    customer: String,
    #[schema(value_type = String, example = "usd")]
    currency: Currency,
    /// Above zero in the customer's favour; it pays the next invoices.
    balance_minor: i64,
}

/// A correction of a balance.
#[derive(Debug, Deserialize, ToSchema)]
struct AdjustmentRequest {
    /// Above zero in the customer's favour; not zero.
    #[schema(example = 500)]
    amount_minor: i64,
    /// 1 to 500 characters.
    #[schema(example = "goodwill")]
    reason: String,
}

/// A change of a balance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BalanceEntry {
    #[schema(example = "bal_0198f3_00000002")]
    id: String,
    /// Always `balance_entry`.
    #[schema(value_type = String, example = "balance_entry")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    customer: String,
    /// Id of the user, or `system`.
    actor: String,
    /// What changed it: `adjustment`, `invoice_issued`, `invoice_voided` or `credit_note`.
    #[schema(value_type = String, example = "adjustment")]
    kind: BalanceEntryKind,
    /// Id of the invoice or credit note; null for an adjustment.
    source: Option<String>,
    reason: Option<String>,
    #[schema(value_type = String, example = "usd")]
    currency: Currency,
    amount_minor: i64,
    balance_after_minor: i64,
}

impl BalanceEntry {
    fn of(entry: store::BalanceEntry, livemode: bool) -> Self {
        Self {
            id: entry.id,
            object: "balance_entry",
            created: entry.created,
            livemode,
            customer: entry.customer,
            actor: entry.actor,
            kind: entry.kind,
            source: entry.source,
            reason: entry.reason,
            currency: entry.currency,
            amount_minor: entry.amount_minor,
            balance_after_minor: entry.balance_after_minor,
        }
    }
}

impl Resource for store::BalanceEntry {
    type Shown = BalanceEntry;
    const OBJECT: &'static str = "balance_entry";
    const URL: &'static str = "/v1/customers/{id}/balance_entries";

    fn show(self, livemode: bool) -> Result<BalanceEntry, Problem> {
        Ok(BalanceEntry::of(self, livemode))
    }
}

struct Adjustment {
    customer: String,
    adjustment: BalanceAdjustment,
}

impl Write for Adjustment {
    type Made = store::BalanceEntry;
    type Shown = BalanceEntry;
    const STATUS: StatusCode = StatusCode::CREATED;
    const ON_CLOCK: bool = true;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_adjustment(&ground.store, &ground.actor, &ground.time, (&self.customer, &self.adjustment)).await
    }

    fn etag(_: &Self::Made) -> Option<ETag> {
        None
    }

    fn show(made: Self::Made, livemode: bool) -> BalanceEntry {
        BalanceEntry::of(made, livemode)
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(get_balance))
        .routes(routes!(list_balance_entries))
        .routes(routes!(adjust_balance))
}

/// Gets a customer's balance.
#[utoipa::path(get, path = "/v1/customers/{id}/balance", tag = "customers", params(("id" = String, Path)),
    responses((status = 200, body = Balance), ReadProblems))]
async fn get_balance(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetBalance>,
    Path(id): Path<String>,
) -> Result<Json<Balance>, Problem> {
    let customer: store::Customer = read::find(&gateway, &caller, ("customer", &id)).await?;
    let store::Customer { id: customer, currency, balance_minor, .. } = customer;
    Ok(Json(Balance { object: "balance", customer, currency, balance_minor }))
}

/// Lists the changes of a customer's balance, newest first.
#[utoipa::path(get, path = "/v1/customers/{id}/balance_entries", tag = "customers",
    params(("id" = String, Path), PageParams), responses((status = 200, body = List<BalanceEntry>), ReadProblems))]
async fn list_balance_entries(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListBalanceEntries>,
    Path(id): Path<String>,
    query: ListQuery<NoFilter>,
) -> Result<Json<List<BalanceEntry>>, Problem> {
    let customer: store::Customer = read::find(&gateway, &caller, ("customer", &id)).await?;
    let filter = ListFilter::default().field("customer", Some(customer.id));
    let url = format!("/v1/customers/{id}/balance_entries");
    read::list_at::<store::BalanceEntry>(&gateway, &caller, &url, (&query.page, filter)).await
}

/// Adjusts a customer's balance: a gift, a correction, a debt.
#[utoipa::path(post, path = "/v1/customers/{id}/balance_adjustments", tag = "customers",
    params(("id" = String, Path)), request_body = AdjustmentRequest,
    responses((status = 201, body = BalanceEntry), WriteProblems))]
async fn adjust_balance(
    State(gateway): State<GatewayState>,
    writer: Writer<AdjustBalance>,
    Path(id): Path<String>,
    body: StrictJson<AdjustmentRequest>,
) -> Result<Response, Problem> {
    let AdjustmentRequest { amount_minor, reason } = body.value;
    let adjustment = BalanceAdjustment { amount_minor, reason: acts::reason(reason)? };
    writer.run(&gateway, (body.body_hash, Adjustment { customer: id, adjustment })).await
}
