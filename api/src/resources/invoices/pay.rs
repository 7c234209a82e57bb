//! `POST /v1/invoices/{id}/pay`: through the gateway now, or by recording money that has arrived by itself.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use billing::{BillingError, Change, PaymentAnswer, RecordedPayment, Wanted, record_payment};
use serde::Deserialize;
use store::{AttemptState, PaymentAttempt, StoreError};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Invoice;
use crate::{
    access, charge,
    http::{headers::ETag, json::StrictJson, openapi::WriteProblems, problem::Problem},
    resources::fields::{self, refused},
    state::GatewayState,
    write::{Ground, Write, Writer},
};

/// Longest reference of a payment that is recorded: a line of a bank statement.
const MAX_REFERENCE_CHARS: usize = 200;

/// How an invoice is paid.
#[derive(Debug, Deserialize, ToSchema)]
struct PayRequest {
    /// All that is open, if left out. Through the gateway at most that; what is recorded beyond it goes to the customer's
    /// balance.
    #[serde(default)]
    #[schema(minimum = 1, example = 2_000)]
    amount_minor: Option<i64>,
    /// The payment gateway's token; the customer's if left out.
    #[serde(default)]
    #[schema(example = "pm_sandbox_ok")]
    payment_method: Option<String>,
    /// Money that has arrived by itself, to be recorded: nothing is charged.
    #[serde(default)]
    manual: Option<ManualPayment>,
}

/// A payment that has arrived by itself.
#[derive(Debug, Deserialize, ToSchema)]
struct ManualPayment {
    /// By which you find it again: 1 to 200 characters.
    #[schema(example = "bank transfer of 3 August, statement 31")]
    reference: String,
}

/// One of the two ways.
enum Way {
    Online(Wanted),
    Manual(RecordedPayment),
}

impl PayRequest {
    fn parse(self, invoice: String) -> Result<Way, Problem> {
        let amount_minor = self.amount_minor;
        let Some(ManualPayment { reference }) = self.manual else {
            let payment_method =
                self.payment_method.map(|token| fields::token("/payment_method", token)).transpose()?;
            return Ok(Way::Online(Wanted { invoice, amount_minor, payment_method }));
        };
        if self.payment_method.is_some() {
            let rule = "must not be there: what is recorded is charged to nothing";
            return Err(refused("/payment_method", "manual_payment", rule));
        }
        let chars = reference.trim().chars().count();
        if chars == 0 || reference.chars().count() > MAX_REFERENCE_CHARS {
            return Err(refused("/manual/reference", "invalid_reference", "must be 1 to 200 characters"));
        }
        Ok(Way::Manual(RecordedPayment { invoice, amount_minor, reference }))
    }
}

struct Recording(RecordedPayment);

impl Write for Recording {
    type Made = (i64, Invoice);
    type Shown = Invoice;
    const STATUS: StatusCode = StatusCode::OK;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        let change = record_payment(&ground.store, &ground.actor, &ground.time, &self.0).await?;
        let Change { result: PaymentAnswer { invoice, .. }, unit, follow_up } = change;
        let revision = invoice.revision;
        let damaged = |error| StoreError::Corrupt(format!("an invoice cannot be explained: {error}"));
        // Whether it is real money is only known when it is shown.
        let shown = Invoice::of(invoice, false).map_err(damaged)?;
        Ok(Change { result: (revision, shown), unit, follow_up })
    }

    fn etag((revision, _): &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(*revision))
    }

    fn show((_, invoice): Self::Made, livemode: bool) -> Invoice {
        Invoice { livemode, ..invoice }
    }
}

/// The invoice as it is after its payment, or why it is not paid.
fn show(PaymentAnswer { invoice, attempt }: PaymentAnswer, livemode: bool) -> Result<Response, Problem> {
    match attempt.state {
        AttemptState::Succeeded => {
            let etag = ETag::of_revision(invoice.revision);
            let shown = Invoice::of(invoice, livemode).map_err(super::damaged)?;
            Ok((etag, Json(shown)).into_response())
        }
        AttemptState::Failed => Err(declined(&attempt)),
        AttemptState::RequiresAction => {
            let place = attempt.action_url.as_deref().unwrap_or("where its payment method was issued");
            let detail = format!("the customer has to confirm payment {}: {place}", attempt.id);
            Err(Problem::payment_failed("payment_action_required", detail))
        }
        AttemptState::Pending => {
            let detail =
                format!("what became of payment {} is not known yet; repeat the request, or read it", attempt.id);
            Err(Problem::gateway_failed("payment_unknown", detail))
        }
    }
}

fn declined(attempt: &PaymentAttempt) -> Problem {
    let why = attempt.failure.as_ref().map_or("it was declined", |failure| failure.message.as_str());
    let code = attempt.failure_code().unwrap_or("declined");
    Problem::payment_failed("payment_declined", format!("payment {} was declined ({code}): {why}", attempt.id))
}

/// The route of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(pay_invoice))
}

/// Pays an open invoice. Under an idempotency key it is charged once, for ever: a repeat resumes the same payment, and tells
/// what became of it.
#[utoipa::path(post, path = "/v1/invoices/{id}/pay", tag = "invoices", params(("id" = String, Path)),
    request_body = PayRequest, responses((status = 200, body = Invoice), WriteProblems))]
async fn pay_invoice(
    State(gateway): State<GatewayState>,
    writer: Writer<access::PayInvoice>,
    Path(id): Path<String>,
    body: StrictJson<PayRequest>,
) -> Result<Response, Problem> {
    match body.value.parse(id)? {
        Way::Online(wanted) => charge::pay(&gateway, writer, (body.body_hash, wanted), show).await,
        Way::Manual(payment) => writer.run(&gateway, (body.body_hash, Recording(payment))).await,
    }
}
