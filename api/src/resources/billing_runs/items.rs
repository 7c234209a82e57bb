//! `/v1/billing_runs/{id}/items`: what became of each subscription that a run touched, by state.

use axum::{
    Json,
    extract::{Path, State},
};
use domain::Currency;
use serde::{Deserialize, Serialize};
use store::{FailedItem, ItemState, ListFilter};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::{Allowed, ListBillingRunItems},
    http::{
        openapi::ReadProblems,
        page::{List, PageParams},
        problem::Problem,
        query::ListQuery,
    },
    read,
    state::GatewayState,
};

/// Which items are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ItemFilter {
    /// `failed` lists the subscriptions that could not be billed; the other states the invoices that the run issued:
    /// `draft`, `open` (nothing was tried yet, or the outcome is not known), `payment_failed`, `paid`, `void`,
    /// `uncollectible`. All invoices if left out.
    #[param(value_type = Option<String>, example = "failed")]
    state: Option<StateFilter>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateFilter {
    Failed,
    Draft,
    Open,
    PaymentFailed,
    Paid,
    Void,
    Uncollectible,
}

impl StateFilter {
    /// The invoices wanted; none for failures, which have none.
    fn of_invoices(self) -> Option<ItemState> {
        match self {
            Self::Failed => None,
            Self::Draft => Some(ItemState::Draft),
            Self::Open => Some(ItemState::Open),
            Self::PaymentFailed => Some(ItemState::PaymentFailed),
            Self::Paid => Some(ItemState::Paid),
            Self::Void => Some(ItemState::Void),
            Self::Uncollectible => Some(ItemState::Uncollectible),
        }
    }
}

/// What became of a subscription in a run: an invoice, or a failure.
#[derive(Debug, Serialize, ToSchema)]
struct BillingRunItem {
    /// The invoice's id, or the subscription's if it failed; the cursor of the list.
    #[schema(example = "inv_20260801p0198f3")]
    id: String,
    /// Always `billing_run_item`.
    #[schema(value_type = String, example = "billing_run_item")]
    object: &'static str,
    #[schema(example = "paid")]
    state: &'static str,
    subscription: Option<String>,
    /// Null for a failure.
    customer: Option<String>,
    /// Null for a failure.
    invoice: Option<String>,
    #[schema(value_type = Option<String>, example = "usd")]
    currency: Option<Currency>,
    amount_due_minor: Option<i64>,
    /// Why it failed; null unless it did.
    #[schema(example = "not_billable")]
    code: Option<String>,
    detail: Option<String>,
}

impl BillingRunItem {
    fn of_invoice(invoice: store::Invoice) -> Self {
        Self {
            object: "billing_run_item",
            state: ItemState::of(&invoice).as_str(),
            subscription: invoice.subscription,
            customer: Some(invoice.customer),
            currency: Some(invoice.content.currency),
            amount_due_minor: Some(invoice.content.amount_due_minor),
            invoice: Some(invoice.id.clone()),
            id: invoice.id,
            code: None,
            detail: None,
        }
    }

    fn of_failure(failed: FailedItem) -> Self {
        Self {
            id: failed.subscription.clone(),
            object: "billing_run_item",
            state: "failed",
            subscription: Some(failed.subscription),
            customer: None,
            invoice: None,
            currency: None,
            amount_due_minor: None,
            code: Some(failed.code),
            detail: Some(failed.detail),
        }
    }
}

/// The routes of the items.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(list_billing_run_items))
}

/// Lists what a billing run issued, or what failed in it.
#[utoipa::path(get, path = "/v1/billing_runs/{id}/items", tag = "billing_runs",
    params(("id" = String, Path), PageParams, ItemFilter),
    responses((status = 200, body = List<BillingRunItem>), ReadProblems))]
async fn list_billing_run_items(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListBillingRunItems>,
    Path(id): Path<String>,
    query: ListQuery<ItemFilter>,
) -> Result<Json<List<BillingRunItem>>, Problem> {
    let run: store::BillingRun = read::find(&gateway, &caller, ("billing_run", &id)).await?;
    let url = format!("/v1/billing_runs/{id}/items");
    let state = query.filter.state.map(StateFilter::of_invoices);
    if state == Some(None) {
        let request = read::page_request(&query.page);
        let page = gateway.app.billing.store.failed_items((&run.tenant, &run.id), &request).await?;
        let rows = page.data.into_iter().map(BillingRunItem::of_failure).collect();
        return Ok(Json(List::new(&url, page.has_more, rows)));
    }
    let filter = ListFilter::default().field("billing_run", Some(run.id)).item_state(state.flatten());
    let page = read::page(&gateway, &caller, &query.page, filter).await?;
    let rows = page.data.into_iter().map(BillingRunItem::of_invoice).collect();
    Ok(Json(List::new(&url, page.has_more, rows)))
}
