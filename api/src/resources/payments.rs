//! `/v1/payments`: attempts to collect invoices. Read only: the workers make them.

use axum::{
    Json,
    extract::{Path, State},
};
use domain::Currency;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{AttemptGateway, AttemptState, DisputeState, ListFilter, PaymentAttempt};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::{Allowed, GetPayment, ListPayments},
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

/// How far a payment is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PaymentStatus {
    /// The outcome is not known yet.
    Pending,
    /// Its customer has to confirm it.
    RequiresAction,
    /// The payment gateway has charged.
    Succeeded,
    /// Nothing was charged.
    Failed,
}

/// An attempt to collect an invoice.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Payment {
    #[schema(example = "pay_20260801a0198f3_1")]
    id: String,
    /// Always `payment`.
    #[schema(value_type = String, example = "payment")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    invoice: String,
    customer: String,
    /// Which attempt of the invoice's it is, from 1.
    attempt: i32,
    amount_minor: i64,
    #[schema(value_type = String, example = "usd")]
    currency: Currency,
    /// Who moves the money: the tenant's gateway (`online`), or its sender by itself (`manual`).
    #[schema(value_type = String, example = "online")]
    gateway: AttemptGateway,
    /// The token that is charged, or the reference of what was recorded.
    payment_method: String,
    status: PaymentStatus,
    /// The payment gateway's id of it.
    gateway_payment: Option<String>,
    /// Where its customer confirms it.
    action_url: Option<String>,
    /// The part of it that went to the customer's balance, since the invoice did not need it.
    overpaid_minor: i64,
    /// What goes back of it, or is back.
    refunded_minor: i64,
    /// Where it stands when the customer's bank has called it back: `needs_response`, `under_review`, `won` or `lost`.
    #[schema(value_type = Option<String>, example = "needs_response")]
    dispute: Option<DisputeState>,
    /// Why it was declined.
    failure_code: Option<String>,
    failure_message: Option<String>,
    /// When its outcome was known.
    settled_at: Option<Timestamp>,
}

/// Which payments are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PaymentFilter {
    /// Id of the invoice.
    invoice: Option<String>,
    /// How far they are.
    #[param(inline)]
    status: Option<PaymentStatus>,
}

impl PaymentStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::RequiresAction => "requires_action",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

impl From<AttemptState> for PaymentStatus {
    fn from(state: AttemptState) -> Self {
        match state {
            AttemptState::Pending => Self::Pending,
            AttemptState::RequiresAction => Self::RequiresAction,
            AttemptState::Succeeded => Self::Succeeded,
            AttemptState::Failed => Self::Failed,
        }
    }
}

impl Payment {
    fn of(attempt: PaymentAttempt, livemode: bool) -> Self {
        let failure_code = attempt.failure_code().map(ToOwned::to_owned);
        Self {
            id: attempt.id,
            object: "payment",
            created: attempt.created,
            livemode,
            invoice: attempt.invoice,
            customer: attempt.customer,
            attempt: attempt.number,
            amount_minor: attempt.amount.minor(),
            currency: attempt.amount.currency(),
            gateway: attempt.gateway,
            payment_method: attempt.payment_method,
            status: attempt.state.into(),
            gateway_payment: attempt.gateway_payment,
            action_url: attempt.action_url,
            overpaid_minor: attempt.overpaid_minor,
            refunded_minor: attempt.refunded_minor,
            dispute: attempt.dispute.map(|dispute| dispute.state),
            failure_code,
            failure_message: attempt.failure.map(|failure| failure.message),
            settled_at: attempt.settled_at,
        }
    }
}

impl Resource for PaymentAttempt {
    type Shown = Payment;
    const OBJECT: &'static str = "payment";
    const URL: &'static str = "/v1/payments";

    fn show(self, livemode: bool) -> Result<Payment, Problem> {
        Ok(Payment::of(self, livemode))
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(list_payments)).routes(routes!(get_payment))
}

/// Lists payments, newest first.
#[utoipa::path(get, path = "/v1/payments", tag = "invoices", params(PageParams, PaymentFilter),
    responses((status = 200, body = List<Payment>), ReadProblems))]
async fn list_payments(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListPayments>,
    query: ListQuery<PaymentFilter>,
) -> Result<Json<List<Payment>>, Problem> {
    let PaymentFilter { invoice, status } = query.filter;
    let status = status.map(|status| status.as_str().to_owned());
    let filter = ListFilter::default().field("invoice", invoice).field("state", status);
    read::list::<PaymentAttempt>(&gateway, &caller, (&query.page, filter)).await
}

/// Gets a payment.
#[utoipa::path(get, path = "/v1/payments/{id}", tag = "invoices", params(("id" = String, Path)),
    responses((status = 200, body = Payment), ReadProblems))]
async fn get_payment(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetPayment>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<Payment>), Problem> {
    read::get::<PaymentAttempt>(&gateway, &caller, &id).await
}
