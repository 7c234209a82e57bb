//! A billing run: how far it is, what came of it so far, and how long it will take.

use domain::{Currency, RunState};
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde::Serialize;
use store::{ChunkState, ChunkSummary, RunAmount, RunTotals};
use utoipa::ToSchema;

/// Digits after the point of a rate.
const RATE_DECIMALS: u32 = 1;

/// Causes of failures that are shown; the items have them all.
const TOP_ERRORS: usize = 5;

/// A billing run. Its tag follows its state, not its totals.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BillingRun {
    #[schema(example = "run_0198f3")]
    pub id: String,
    /// Always `billing_run`.
    #[schema(value_type = String, example = "billing_run")]
    pub object: &'static str,
    pub created: Timestamp,
    pub livemode: bool,
    /// `planning` while customers are still being found, then `running`, then `completed`; or `paused`, `cancelled`, or
    /// `failed` when it could not be planned.
    #[schema(value_type = String, example = "running")]
    pub state: RunState,
    pub as_of: Timestamp,
    pub totals: BillingRunTotals,
    /// One for each currency.
    pub amounts: Vec<BillingRunAmount>,
    /// How far it is: 0 to 100, by the stages that its parts have passed; null while parts are still being planned.
    pub percent_done: Option<u32>,
    /// Invoices a second, as a decimal; null before the first.
    #[schema(example = "120.5")]
    pub rate_per_second: Option<Decimal>,
    /// When it will be done, at the pace so far; null while that is unknown, when it does not move, and when it is done.
    pub eta: Option<Timestamp>,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// What kept subscriptions from being billed, the five most frequent causes first.
    pub top_errors: Vec<BillingRunError>,
    /// Why it could not be planned; null unless it has failed.
    pub error: Option<String>,
}

/// What a run has done so far.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct BillingRunTotals {
    /// Subscriptions with something due.
    pub subscriptions: i64,
    /// Invoices issued.
    pub invoiced: i64,
    /// Boundaries that somebody else had billed meanwhile.
    pub skipped: i64,
    /// Subscriptions that could not be billed.
    pub failed: i64,
    /// Invoices paid.
    pub paid: i64,
    /// Invoices whose payment was declined.
    pub payment_failed: i64,
    /// Mails sent.
    pub notified: i64,
}

/// A run's money in one currency.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct BillingRunAmount {
    #[schema(value_type = String, example = "usd")]
    pub currency: Currency,
    pub invoiced_minor: i64,
    pub collected_minor: i64,
}

/// A cause of failures in a run.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BillingRunError {
    #[schema(example = "not_billable")]
    pub code: String,
    /// Subscriptions that failed for it.
    pub count: i64,
    /// One of these subscriptions.
    pub subscription: String,
    /// What it says about that one.
    pub detail: String,
}

/// A run with its parts at one moment of the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Watched<'a> {
    pub run: &'a store::BillingRun,
    pub chunks: &'a [ChunkSummary],
    pub wall: Timestamp,
}

impl Watched<'_> {
    /// How it is shown.
    #[must_use]
    pub fn show(&self, livemode: bool) -> BillingRun {
        let Self { run, chunks, .. } = *self;
        let totals = RunTotals::of(chunks);
        BillingRun {
            id: run.id.clone(),
            object: "billing_run",
            created: run.created,
            livemode,
            state: run.state,
            as_of: run.as_of,
            percent_done: self.percent_done(),
            rate_per_second: self.rate_per_second(totals.invoiced),
            eta: self.eta(),
            started_at: run.created,
            finished_at: run.finished_at,
            error: run.error.clone(),
            amounts: totals.amounts.iter().map(BillingRunAmount::of).collect(),
            top_errors: totals.errors.iter().take(TOP_ERRORS).map(BillingRunError::of).collect(),
            totals: BillingRunTotals::of(&totals),
        }
    }

    /// How long it has run, or ran.
    fn took(&self) -> SignedDuration {
        self.run.finished_at.unwrap_or(self.wall).duration_since(self.run.created)
    }

    fn done(&self) -> usize {
        self.chunks.iter().filter(|chunk| chunk.state == ChunkState::Notified).count()
    }

    fn percent_done(&self) -> Option<u32> {
        if !self.run.planned {
            return None;
        }
        let passed: usize = self.chunks.iter().map(|chunk| stages_passed(chunk.state)).sum();
        let percent = (passed * 100).checked_div(self.chunks.len() * stages_passed(ChunkState::Notified));
        // Where nothing was due, all of it is done.
        percent.map_or(Some(100), |percent| u32::try_from(percent).ok())
    }

    fn rate_per_second(&self, invoiced: i64) -> Option<Decimal> {
        let millis = Decimal::from(self.took().as_millis().max(1));
        let rate = Decimal::from(invoiced).checked_mul(Decimal::from(1000))?.checked_div(millis)?;
        (invoiced > 0).then(|| rate.round_dp(RATE_DECIMALS).normalize())
    }

    /// From the share of the chunks that are done, once all are known.
    fn eta(&self) -> Option<Timestamp> {
        let done = self.done();
        if self.run.state != RunState::Running || done == 0 {
            return None;
        }
        let (done, left) = (i128::try_from(done).ok()?, i128::try_from(self.chunks.len() - done).ok()?);
        let millis = i64::try_from(self.took().as_millis() * left / done).ok()?;
        self.wall.checked_add(SignedDuration::from_millis(millis)).ok()
    }
}

fn stages_passed(state: ChunkState) -> usize {
    match state {
        ChunkState::Planned => 0,
        ChunkState::Usage => 1,
        ChunkState::Invoiced => 2,
        ChunkState::Collected => 3,
        ChunkState::Notified => 4,
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

impl BillingRunError {
    fn of(error: &store::RunError) -> Self {
        let (code, example) = (error.code.clone(), error.example.clone());
        Self { code, count: error.count, subscription: example.subscription, detail: example.detail }
    }
}
