//! `/v1/credit_notes`: how issued invoices are corrected.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{BillingError, Change, NewCreditNote, create_credit_note as decide_creation};
use domain::{CreditOutcome, CreditRequest, CreditRequestLine, Currency};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{CreditNoteRecord, ListFilter};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::refused;
use crate::{
    access::{Allowed, CreateCreditNote, GetCreditNote, ListCreditNotes},
    acts,
    http::{
        headers::ETag,
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::ListQuery,
    },
    read::{self, Reader, Resource},
    state::GatewayState,
    write::{Ground, Write, Writer},
};

/// Lines of a note: as many as the largest invoice has, and more.
const MAX_LINES: usize = 1_000;

/// A credit note to issue: `lines` or `all`.
#[derive(Debug, Deserialize, ToSchema)]
struct CreditNoteRequest {
    /// Id of the invoice, which is open or paid.
    #[schema(example = "inv_20260801a0198f3")]
    invoice: String,
    /// What is credited of which lines.
    #[serde(default)]
    lines: Option<Vec<CreditLineRequest>>,
    /// Everything that is left of the invoice.
    #[serde(default)]
    all: bool,
    /// Where the money goes that the invoice does not need to be paid: to the `balance` (if left out), or as a `refund`
    /// through the payment gateway, which is refused for now.
    #[serde(default)]
    #[schema(value_type = String, required = false, example = "balance", pattern = "^(balance|refund)$")]
    outcome: CreditOutcome,
    /// 1 to 500 characters.
    #[schema(example = "two days of outage")]
    reason: String,
}

/// What is credited of a line.
#[derive(Debug, Deserialize, ToSchema)]
struct CreditLineRequest {
    /// Its place on the invoice, from 1.
    #[schema(minimum = 1, example = 1)]
    line: u32,
    /// Before discount and tax, above zero, at most what is left of the line.
    #[schema(example = 500)]
    amount_minor: i64,
}

/// A credit note. It never changes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreditNote {
    #[schema(example = "cn_0198f3")]
    id: String,
    /// Always `credit_note`.
    #[schema(value_type = String, example = "credit_note")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    /// Gap-free in the tenant.
    #[schema(example = "CN-000001")]
    number: String,
    invoice: String,
    customer: String,
    #[schema(value_type = String, example = "usd")]
    currency: Currency,
    reason: String,
    issued_at: Timestamp,
    #[schema(value_type = String, example = "balance")]
    outcome: CreditOutcome,
    lines: Vec<CreditLine>,
    /// Sum of the lines' amounts.
    subtotal_minor: i64,
    discount_minor: i64,
    tax_minor: i64,
    /// Subtotal less discount plus tax: what the customer gets.
    total_minor: i64,
    /// The part that went off what was open of the invoice.
    offset_minor: i64,
    /// The part that went to the customer's balance.
    balance_minor: i64,
}

/// What was credited of a line; below zero for a credit line.
#[derive(Debug, Serialize, ToSchema)]
struct CreditLine {
    /// Its place on the invoice, from 1.
    #[schema(example = 1)]
    line: usize,
    /// Before discount and tax.
    amount_minor: i64,
    /// Its share of the line's discount.
    discount_minor: i64,
    /// Its share of the line's tax.
    tax_minor: i64,
}

/// Which credit notes are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CreditNoteFilter {
    /// Id of the invoice.
    invoice: Option<String>,
    /// Id of the customer.
    customer: Option<String>,
}

impl CreditNoteRequest {
    fn parse(self) -> Result<NewCreditNote, Problem> {
        let request = match (self.lines, self.all) {
            (None, true) => CreditRequest::All,
            (Some(lines), false) => CreditRequest::Lines(parse_lines(lines)?),
            (None, false) => return Err(refused("/lines", "lines_or_all", "must be there unless `all` is true")),
            (Some(_), true) => return Err(refused("/lines", "lines_or_all", "must not be there if `all` is true")),
        };
        Ok(NewCreditNote { invoice: self.invoice, request, outcome: self.outcome, reason: acts::reason(self.reason)? })
    }
}

fn parse_lines(lines: Vec<CreditLineRequest>) -> Result<Vec<CreditRequestLine>, Problem> {
    if lines.len() > MAX_LINES {
        return Err(refused("/lines", "too_many_lines", "must be at most 1000 lines"));
    }
    let line = |(place, CreditLineRequest { line, amount_minor }): (usize, CreditLineRequest)| {
        let index = usize::try_from(line).ok().and_then(|line| line.checked_sub(1));
        let none = || refused(&format!("/lines/{place}/line"), "invalid_value", "must be from 1 on");
        index.map(|line| CreditRequestLine { line, amount_minor }).ok_or_else(none)
    };
    lines.into_iter().enumerate().map(line).collect()
}

impl CreditNote {
    fn of(record: CreditNoteRecord, livemode: bool) -> Self {
        let CreditNoteRecord { note, settlement, .. } = record;
        let line = |line: domain::CreditedLine| CreditLine {
            line: line.line + 1,
            amount_minor: line.amount_minor,
            discount_minor: line.discount_minor,
            tax_minor: line.tax_minor,
        };
        Self {
            id: record.id,
            object: "credit_note",
            created: record.created,
            livemode,
            number: record.number,
            invoice: record.invoice,
            customer: record.customer,
            currency: record.currency,
            reason: record.reason,
            issued_at: record.issued_at,
            outcome: record.outcome,
            lines: note.lines.into_iter().map(line).collect(),
            subtotal_minor: note.amount_minor,
            discount_minor: note.discount_minor,
            tax_minor: note.tax_minor,
            total_minor: note.total_minor,
            offset_minor: settlement.offset_minor,
            balance_minor: settlement.balance_minor,
        }
    }
}

struct Creation {
    id: String,
    new: NewCreditNote,
}

impl Write for Creation {
    type Made = CreditNoteRecord;
    type Shown = CreditNote;
    const STATUS: StatusCode = StatusCode::CREATED;
    const ON_CLOCK: bool = true;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_creation(&ground.store, &ground.actor, &ground.time, (&self.id, &self.new)).await
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> CreditNote {
        CreditNote::of(made, livemode)
    }
}

impl Resource for CreditNoteRecord {
    type Shown = CreditNote;
    const OBJECT: &'static str = "credit_note";
    const URL: &'static str = "/v1/credit_notes";

    fn show(self, livemode: bool) -> Result<CreditNote, Problem> {
        Ok(CreditNote::of(self, livemode))
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(create_credit_note, list_credit_notes)).routes(routes!(get_credit_note))
}

/// Issues a credit note: off what is open of the invoice first, the rest to the customer's balance.
#[utoipa::path(post, path = "/v1/credit_notes", tag = "invoices", request_body = CreditNoteRequest,
    responses((status = 201, body = CreditNote), WriteProblems))]
async fn create_credit_note(
    State(gateway): State<GatewayState>,
    writer: Writer<CreateCreditNote>,
    body: StrictJson<CreditNoteRequest>,
) -> Result<Response, Problem> {
    let creation = Creation { id: gateway.app.ids.new_id("cn"), new: body.value.parse()? };
    writer.run(&gateway, (body.body_hash, creation)).await
}

/// Lists credit notes, newest first.
#[utoipa::path(get, path = "/v1/credit_notes", tag = "invoices", params(PageParams, CreditNoteFilter),
    responses((status = 200, body = List<CreditNote>), ReadProblems))]
async fn list_credit_notes(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListCreditNotes>,
    query: ListQuery<CreditNoteFilter>,
) -> Result<Json<List<CreditNote>>, Problem> {
    let CreditNoteFilter { invoice, customer } = query.filter;
    let filter = ListFilter::default().field("invoice", invoice).field("customer", customer);
    read::list::<CreditNoteRecord>(&gateway, &caller, (&query.page, filter)).await
}

/// Gets a credit note.
#[utoipa::path(get, path = "/v1/credit_notes/{id}", tag = "invoices", params(("id" = String, Path)),
    responses((status = 200, body = CreditNote), ReadProblems))]
async fn get_credit_note(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetCreditNote>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<CreditNote>), Problem> {
    read::get::<CreditNoteRecord>(&gateway, &caller, &id).await
}
