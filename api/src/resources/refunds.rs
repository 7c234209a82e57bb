//! `/v1/refunds`: money that goes back to customers.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{BillingError, Change, NewRefund, create_refund as decide_creation};
use domain::Currency;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{ListFilter, RefundState};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access, acts,
    http::{
        headers::ETag,
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::ListQuery,
    },
    read::{self, Reader},
    state::GatewayState,
    write::{Ground, Write, Writer},
};

const URL: &str = "/v1/refunds";

/// A refund to make.
#[derive(Debug, Deserialize, ToSchema)]
struct RefundRequest {
    /// Id of the payment, which has succeeded.
    #[schema(example = "pay_20260801a0198f3_1")]
    payment: String,
    /// All that is left of the payment, if left out.
    #[serde(default)]
    #[schema(minimum = 1, example = 500)]
    amount_minor: Option<i64>,
    /// 1 to 500 characters.
    #[schema(example = "ordered by mistake")]
    reason: String,
}

/// Money on its way back, or back.
#[derive(Debug, Serialize, ToSchema)]
struct Refund {
    #[schema(example = "re_0198f3")]
    id: String,
    /// Always `refund`.
    #[schema(value_type = String, example = "refund")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    payment: String,
    invoice: String,
    customer: String,
    amount_minor: i64,
    #[schema(value_type = String, example = "usd")]
    currency: Currency,
    reason: String,
    /// `pending` until the gateway has said how it ends; `succeeded` or `failed`.
    #[schema(value_type = String, example = "succeeded")]
    status: RefundState,
    /// The payment gateway's id of it.
    gateway_refund: Option<String>,
    /// Why no money went back.
    failure_code: Option<String>,
    settled_at: Option<Timestamp>,
}

/// Which refunds are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RefundFilter {
    /// Id of the payment.
    payment: Option<String>,
    /// Id of the invoice.
    invoice: Option<String>,
    /// How far they are: `pending`, `succeeded` or `failed`.
    #[param(value_type = Option<String>)]
    status: Option<RefundState>,
}

impl Refund {
    fn of(refund: store::Refund, livemode: bool) -> Self {
        Self {
            id: refund.id,
            object: "refund",
            created: refund.created,
            livemode,
            payment: refund.payment,
            invoice: refund.invoice,
            customer: refund.customer,
            amount_minor: refund.amount.minor(),
            currency: refund.amount.currency(),
            reason: refund.reason,
            status: refund.state,
            gateway_refund: refund.gateway_refund,
            failure_code: refund.failure_code,
            settled_at: refund.settled_at,
        }
    }
}

struct Creation {
    id: String,
    new: NewRefund,
}

impl Write for Creation {
    type Made = store::Refund;
    type Shown = Refund;
    const STATUS: StatusCode = StatusCode::CREATED;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_creation(&ground.store, &ground.actor, &ground.time, (&self.id, &self.new)).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> Refund {
        Refund::of(made, livemode)
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(create_refund, list_refunds)).routes(routes!(get_refund))
}

/// Refunds a payment, in part or what is left of it. It is pending until the gateway has said how it ends.
#[utoipa::path(post, path = "/v1/refunds", tag = "invoices", request_body = RefundRequest,
    responses((status = 201, body = Refund), WriteProblems))]
async fn create_refund(
    State(gateway): State<GatewayState>,
    writer: Writer<access::CreateRefund>,
    body: StrictJson<RefundRequest>,
) -> Result<Response, Problem> {
    let RefundRequest { payment, amount_minor, reason } = body.value;
    let new = NewRefund { payment, amount_minor, reason: acts::reason(reason)? };
    let creation = Creation { id: gateway.app.ids.new_id("re"), new };
    writer.run(&gateway, (body.body_hash, creation)).await
}

/// Lists refunds, newest first.
#[utoipa::path(get, path = "/v1/refunds", tag = "invoices", params(PageParams, RefundFilter),
    responses((status = 200, body = List<Refund>), ReadProblems))]
async fn list_refunds(
    State(gateway): State<GatewayState>,
    caller: access::Allowed<access::ListRefunds>,
    query: ListQuery<RefundFilter>,
) -> Result<Json<List<Refund>>, Problem> {
    let RefundFilter { payment, invoice, status } = query.filter;
    let status = status.map(|status| status.as_str().to_owned());
    let filter = ListFilter::default().field("payment", payment).field("invoice", invoice).field("state", status);
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let page = read::page(&gateway, &caller, &query.page, filter).await?;
    let rows = page.data.into_iter().map(|refund| Refund::of(refund, livemode)).collect();
    Ok(Json(List::new(URL, page.has_more, rows)))
}

/// Gets a refund.
#[utoipa::path(get, path = "/v1/refunds/{id}", tag = "invoices", params(("id" = String, Path)),
    responses((status = 200, body = Refund), ReadProblems))]
async fn get_refund(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<access::GetRefund>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<Refund>), Problem> {
    let refund: store::Refund = read::find(&gateway, &caller, ("refund", &id)).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    Ok((ETag::of_revision(refund.revision), Json(Refund::of(refund, livemode))))
}
