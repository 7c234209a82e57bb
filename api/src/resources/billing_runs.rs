//! `/v1/billing_runs`: billing everything that is due up to a moment, as one object that can be watched.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use billing::{BillingError, Change, NewBillingRun, create_billing_run as decide_creation};
use domain::Currency;
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use store::{ChunkState, ChunkSummary, ListFilter, RunAmount, RunState, RunTotals};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::Instant;
use crate::{
    access::{Allowed, CreateBillingRun, GetBillingRun, ListBillingRuns},
    http::{
        headers::ETag,
        json::StrictJson,
        openapi::{ReadProblems, WriteProblems},
        page::{List, PageParams},
        problem::Problem,
        query::{ListQuery, NoFilter},
    },
    read::{self, Reader},
    state::{Gateway, GatewayState},
    write::{Ground, Write, Writer},
};

const URL: &str = "/v1/billing_runs";

/// Digits after the point of a rate.
const RATE_DECIMALS: u32 = 1;

/// A run to start.
#[derive(Debug, Deserialize, ToSchema)]
struct BillingRunRequest {
    /// Everything due up to and including this moment is billed; now (on the tenant's clock) if left out.
    #[serde(default)]
    #[schema(value_type = Option<Timestamp>)]
    as_of: Option<Instant>,
}

/// A billing run. Its tag follows its state, not its totals.
#[derive(Debug, Serialize, ToSchema)]
struct BillingRun {
    #[schema(example = "run_0198f3")]
    id: String,
    /// Always `billing_run`.
    #[schema(value_type = String, example = "billing_run")]
    object: &'static str,
    created: Timestamp,
    livemode: bool,
    /// `planning` while customers are still being found, then `running`, then `completed`.
    #[schema(value_type = String, example = "running")]
    state: RunState,
    as_of: Timestamp,
    totals: BillingRunTotals,
    /// One for each currency.
    amounts: Vec<BillingRunAmount>,
    /// Invoices a second, as a decimal; null before the first.
    #[schema(example = "120.5")]
    rate_per_second: Option<Decimal>,
    /// When it will be done, at the pace so far; null while that is unknown, and when it is done.
    eta: Option<Timestamp>,
    started_at: Timestamp,
    finished_at: Option<Timestamp>,
}

/// What a run has done so far.
#[derive(Debug, Serialize, ToSchema)]
struct BillingRunTotals {
    /// Subscriptions with something due.
    subscriptions: i64,
    /// Invoices issued.
    invoiced: i64,
    /// Boundaries that somebody else had billed meanwhile.
    skipped: i64,
    /// Subscriptions that could not be billed.
    failed: i64,
    /// Invoices paid.
    paid: i64,
    /// Invoices whose payment was declined.
    payment_failed: i64,
    /// Mails sent.
    notified: i64,
}

/// A run's money in one currency.
#[derive(Debug, Serialize, ToSchema)]
struct BillingRunAmount {
    #[schema(value_type = String, example = "usd")]
    currency: Currency,
    invoiced_minor: i64,
    collected_minor: i64,
}

/// A run with its parts at one moment of the wall clock.
struct Watched<'a> {
    run: store::BillingRun,
    chunks: &'a [ChunkSummary],
    wall: Timestamp,
}

impl Watched<'_> {
    /// How long it has run, or ran.
    fn took(&self) -> SignedDuration {
        self.run.finished_at.unwrap_or(self.wall).duration_since(self.run.created)
    }

    fn rate_per_second(&self, invoiced: i64) -> Option<Decimal> {
        let millis = Decimal::from(self.took().as_millis().max(1));
        let rate = Decimal::from(invoiced).checked_mul(Decimal::from(1000))?.checked_div(millis)?;
        (invoiced > 0).then(|| rate.round_dp(RATE_DECIMALS).normalize())
    }

    /// From the share of the chunks that are done, once all are known.
    fn eta(&self) -> Option<Timestamp> {
        let done = self.chunks.iter().filter(|chunk| chunk.state == ChunkState::Notified).count();
        if self.run.state != RunState::Running || done == 0 {
            return None;
        }
        let (done, left) = (i128::try_from(done).ok()?, i128::try_from(self.chunks.len() - done).ok()?);
        let millis = i64::try_from(self.took().as_millis() * left / done).ok()?;
        self.wall.checked_add(SignedDuration::from_millis(millis)).ok()
    }

    fn show(self, livemode: bool) -> BillingRun {
        let totals = RunTotals::of(self.chunks);
        BillingRun {
            object: "billing_run",
            livemode,
            rate_per_second: self.rate_per_second(totals.invoiced),
            eta: self.eta(),
            id: self.run.id,
            created: self.run.created,
            state: self.run.state,
            as_of: self.run.as_of,
            started_at: self.run.created,
            finished_at: self.run.finished_at,
            amounts: totals.amounts.iter().map(BillingRunAmount::of).collect(),
            totals: BillingRunTotals::of(&totals),
        }
    }
}

impl BillingRunTotals {
    fn of(totals: &RunTotals) -> Self {
        Self {
            subscriptions: totals.subscriptions,
            invoiced: totals.invoiced,
            skipped: totals.skipped,
            failed: totals.failed,
            paid: totals.paid,
            payment_failed: totals.payment_failed,
            notified: totals.notified,
        }
    }
}

impl BillingRunAmount {
    fn of(amount: &RunAmount) -> Self {
        let RunAmount { currency, invoiced_minor, collected_minor } = *amount;
        Self { currency, invoiced_minor, collected_minor }
    }
}

struct Creation {
    id: String,
    as_of: Option<Timestamp>,
}

impl Write for Creation {
    type Made = store::BillingRun;
    type Shown = BillingRun;
    const STATUS: StatusCode = StatusCode::ACCEPTED;
    const ON_CLOCK: bool = true;

    async fn decide(&self, ground: &Ground) -> Result<Change<Self::Made>, BillingError> {
        decide_creation(&ground.actor, &ground.time, NewBillingRun { id: self.id.clone(), as_of: self.as_of })
    }

    fn etag(made: &Self::Made) -> Option<ETag> {
        Some(ETag::of_revision(made.revision))
    }

    fn show(made: Self::Made, livemode: bool) -> BillingRun {
        let wall = made.created;
        Watched { run: made, chunks: &[], wall }.show(livemode)
    }
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(create_billing_run, list_billing_runs)).routes(routes!(get_billing_run))
}

/// Starts a billing run; the workers carry it out.
#[utoipa::path(post, path = "/v1/billing_runs", tag = "billing_runs", request_body = BillingRunRequest,
    responses((status = 202, body = BillingRun), WriteProblems))]
async fn create_billing_run(
    State(gateway): State<GatewayState>,
    writer: Writer<CreateBillingRun>,
    body: StrictJson<BillingRunRequest>,
) -> Result<Response, Problem> {
    let as_of = body.value.as_of.map(|at| at.0);
    let creation = Creation { id: gateway.app.ids.new_id("run"), as_of };
    writer.run(&gateway, (body.body_hash, creation)).await
}

/// Lists billing runs, newest first.
#[utoipa::path(get, path = "/v1/billing_runs", tag = "billing_runs", params(PageParams),
    responses((status = 200, body = List<BillingRun>), ReadProblems))]
async fn list_billing_runs(
    State(gateway): State<GatewayState>,
    caller: Allowed<ListBillingRuns>,
    query: ListQuery<NoFilter>,
) -> Result<Json<List<BillingRun>>, Problem> {
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let page = read::page(&gateway, &caller, &query.page, ListFilter::default()).await?;
    let mut rows = Vec::with_capacity(page.data.len());
    for run in page.data {
        rows.push(watch(&gateway, run, livemode).await?);
    }
    Ok(Json(List::new(URL, page.has_more, rows)))
}

/// Gets a billing run, with its progress.
#[utoipa::path(get, path = "/v1/billing_runs/{id}", tag = "billing_runs", params(("id" = String, Path)),
    responses((status = 200, body = BillingRun), ReadProblems))]
async fn get_billing_run(
    State(gateway): State<GatewayState>,
    Reader(caller): Reader<GetBillingRun>,
    Path(id): Path<String>,
) -> Result<(ETag, Json<BillingRun>), Problem> {
    let run: store::BillingRun = read::find(&gateway, &caller, ("billing_run", &id)).await?;
    let livemode = read::livemode(&gateway, &caller.tenant).await?;
    let etag = ETag::of_revision(run.revision);
    Ok((etag, Json(watch(&gateway, run, livemode).await?)))
}

async fn watch(gateway: &Gateway, run: store::BillingRun, livemode: bool) -> Result<BillingRun, Problem> {
    let chunks = gateway.app.billing.store.chunks_of_run(&run.tenant, &run.id).await?;
    Ok(Watched { run, chunks: &chunks, wall: gateway.app.clock.now() }.show(livemode))
}
