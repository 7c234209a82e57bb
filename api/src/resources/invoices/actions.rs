//! What can be done to invoices: issue one by itself, finalise a draft, void, write off.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{
    BillingError, Change, NewOneOffInvoice, create_one_off_invoice, finalize_invoice as decide_finalization,
    mark_uncollectible as decide_write_off, send_invoice as decide_sending, void_invoice as decide_void,
};
use domain::{OneOffLine, OneOffLineSpec};
use serde::Deserialize;
use store::StoreError;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Invoice;
use crate::{
    access::{Action, CreateInvoice, FinalizeInvoice, MarkInvoiceUncollectible, SendInvoice, VoidInvoice},
    http::{headers::ETag, json::StrictJson, openapi::WriteProblems, problem::Problem},
    problems::rule_of_spec,
    resources::fields::{NoFields, refused},
    state::GatewayState,
    write::{Ground, Write, Writer},
};

/// Lines of a one-off invoice: as many as a plan may have prices.
const MAX_LINES: usize = 100;

/// An invoice to issue by itself.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct InvoiceRequest {
    /// Id of the customer.
    #[schema(example = "cus_0198f3")]
    customer: String,
    /// 1 to 100.
    #[schema(value_type = Vec<OneOffLineBody>)]
    lines: Vec<OneOffLineSpec>,
}

/// Something that is billed by itself; read by the domain's own type, documented here.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only documents what the domain reads")]
pub(super) struct OneOffLineBody {
    /// What is sold: 1 to 64 lower-case letters, digits, `_` or `-`. Wallets may be limited to it.
    #[schema(example = "setup")]
    key: String,
    /// Shown on the invoice; the key if left out.
    #[schema(example = "Setup fee")]
    description: Option<String>,
    /// Units, not below zero; 1 if left out.
    #[schema(example = "1", default = "1", required = false)]
    quantity: String,
    /// Price of one, in major units, not below zero.
    #[schema(example = "250.00")]
    unit_amount: String,
    /// In place of the customer's.
    tax_rates: Option<Vec<crate::resources::customers::TaxRate>>,
}

impl InvoiceRequest {
    fn parse(self) -> Result<NewOneOffInvoice, Problem> {
        if !(1..=MAX_LINES).contains(&self.lines.len()) {
            return Err(refused("/lines", "out_of_range", &format!("must be 1 to {MAX_LINES} lines")));
        }
        let line = |(index, spec): (usize, OneOffLineSpec)| {
            OneOffLine::try_from(spec).map_err(|error| rule_of_spec("", &error.below(&format!("lines[{index}]"))))
        };
        let lines = self.lines.into_iter().enumerate().map(line).collect::<Result<_, _>>()?;
        Ok(NewOneOffInvoice { customer: self.customer, lines })
    }
}

/// An invoice as it is about to be written, explained while that can still fail.
struct Made {
    revision: i64,
    invoice: Invoice,
}

fn made(change: Change<store::Invoice>) -> Result<Change<Made>, BillingError> {
    let Change { result, unit, follow_up } = change;
    let revision = result.revision;
    let damaged = |error| StoreError::Corrupt(format!("an invoice cannot be explained: {error}"));
    // Whether it is real money is only known when it is shown.
    let invoice = Invoice::of(result, false).map_err(damaged)?;
    Ok(Change { result: Made { revision, invoice }, unit, follow_up })
}

struct Creation {
    id: String,
    new: NewOneOffInvoice,
}

impl Write for Creation {
    type Made = Made;
    type Shown = Invoice;
    const STATUS: StatusCode = StatusCode::CREATED;
    const ON_CLOCK: bool = true;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        made(create_one_off_invoice(&ground.store, &ground.actor, &ground.time, (&self.id, &self.new)).await?)
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> Invoice {
        Invoice { livemode, ..made.invoice }
    }
}

/// What is done to an invoice that there is.
#[derive(Clone, Copy)]
enum Deed {
    Finalize,
    Void,
    WriteOff,
    Send,
}

struct Step {
    id: String,
    deed: Deed,
}

impl Write for Step {
    type Made = Made;
    type Shown = Invoice;
    const STATUS: StatusCode = StatusCode::OK;
    const ON_CLOCK: bool = true;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        let Ground { store, actor, time } = ground;
        made(match self.deed {
            Deed::Finalize => decide_finalization(store, actor, time, &self.id).await?,
            Deed::Void => decide_void(store, actor, time, &self.id).await?,
            Deed::WriteOff => decide_write_off(store, actor, time, &self.id).await?,
            Deed::Send => decide_sending(store, actor, time, &self.id).await?,
        })
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> Invoice {
        Invoice { livemode, ..made.invoice }
    }
}

/// The routes of this resource, besides the creation, which shares its path with the list.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(finalize_invoice))
        .routes(routes!(void_invoice))
        .routes(routes!(mark_invoice_uncollectible))
        .routes(routes!(send_invoice))
}

/// Issues a one-off invoice: numbered, mailed and collected at once.
#[utoipa::path(post, path = "/v1/invoices", tag = "invoices", request_body = InvoiceRequest,
    responses((status = 201, body = Invoice), WriteProblems))]
pub(super) async fn create_invoice(
    State(gateway): State<GatewayState>,
    writer: Writer<CreateInvoice>,
    body: StrictJson<InvoiceRequest>,
) -> Result<Response, Problem> {
    let creation = Creation { id: gateway.app.ids.new_id("inv"), new: body.value.parse()? };
    writer.run(&gateway, (body.body_hash, creation)).await
}

async fn act<A: Action>(
    gateway: &GatewayState,
    writer: Writer<A>,
    (id, body): (String, StrictJson<NoFields>),
    deed: Deed,
) -> Result<Response, Problem> {
    writer.run(gateway, (body.body_hash, Step { id, deed })).await
}

/// Finalises a draft before its grace period is over.
#[utoipa::path(post, path = "/v1/invoices/{id}/finalize", tag = "invoices", params(("id" = String, Path)),
    request_body = NoFields, responses((status = 200, body = Invoice), WriteProblems))]
async fn finalize_invoice(
    State(gateway): State<GatewayState>,
    writer: Writer<FinalizeInvoice>,
    Path(id): Path<String>,
    body: StrictJson<NoFields>,
) -> Result<Response, Problem> {
    act(&gateway, writer, (id, body), Deed::Finalize).await
}

/// Voids an open invoice: wallets and balance get back what they paid, and nothing is collected any more.
#[utoipa::path(post, path = "/v1/invoices/{id}/void", tag = "invoices", params(("id" = String, Path)),
    request_body = NoFields, responses((status = 200, body = Invoice), WriteProblems))]
async fn void_invoice(
    State(gateway): State<GatewayState>,
    writer: Writer<VoidInvoice>,
    Path(id): Path<String>,
    body: StrictJson<NoFields>,
) -> Result<Response, Problem> {
    act(&gateway, writer, (id, body), Deed::Void).await
}

/// Writes an open invoice off.
#[utoipa::path(post, path = "/v1/invoices/{id}/mark_uncollectible", tag = "invoices", params(("id" = String, Path)),
    request_body = NoFields, responses((status = 200, body = Invoice), WriteProblems))]
async fn mark_invoice_uncollectible(
    State(gateway): State<GatewayState>,
    writer: Writer<MarkInvoiceUncollectible>,
    Path(id): Path<String>,
    body: StrictJson<NoFields>,
) -> Result<Response, Problem> {
    act(&gateway, writer, (id, body), Deed::WriteOff).await
}

/// Mails an issued invoice to its customer once more.
#[utoipa::path(post, path = "/v1/invoices/{id}/send", tag = "invoices", params(("id" = String, Path)),
    request_body = NoFields, responses((status = 200, body = Invoice), WriteProblems))]
async fn send_invoice(
    State(gateway): State<GatewayState>,
    writer: Writer<SendInvoice>,
    Path(id): Path<String>,
    body: StrictJson<NoFields>,
) -> Result<Response, Problem> {
    act(&gateway, writer, (id, body), Deed::Send).await
}
