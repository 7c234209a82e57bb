//! Does what the workers do, one job at a time, so that a test decides what is repeated and what runs at once.

use billing::{BillingError, Progress};
use domain::RunState;
use jiff::{SignedDuration, Timestamp};
use store::{BillingRun, ChunkState, ChunkSummary, Invoice, Notification, RunTotals};

use crate::world::{TENANT, WALL, World};

/// Steps after which a pipeline that does not end has failed.
const MAX_STEPS: usize = 500;

/// How often each job is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    Once,
    /// One after the other, as a redelivery does.
    Twice,
    /// At once, as a lost lease does.
    AtOnce,
}

impl World {
    /// Runs one job of a chunk, whichever its state asks for.
    pub(crate) async fn step(&self, chunk: &ChunkSummary) -> Result<(), BillingError> {
        let (billing, id) = (&self.billing, (TENANT, chunk.id.as_str()));
        match chunk.state {
            ChunkState::Planned => billing::calculate_usage(billing, id, chunk.pass).await,
            ChunkState::Usage => billing::generate_invoices(billing, id, chunk.pass, WALL).await,
            ChunkState::Invoiced => billing::collect_chunk(billing, id, WALL).await.map(drop),
            ChunkState::Collected => billing::send_chunk_notifications(billing, id, WALL).await.map(drop),
            ChunkState::Notified => Ok(()),
        }
    }

    pub(crate) async fn chunks(&self, run: &str) -> Vec<ChunkSummary> {
        self.billing.store.chunks_of_run(TENANT, run).await.unwrap()
    }

    async fn plan_run(&self, run: &str) -> Result<(), BillingError> {
        billing::plan_billing_run(&self.billing, (TENANT, run), WALL).await.map(drop)
    }

    /// Drives a run until it is completed, and whatever went on alone until nothing is due.
    pub(crate) async fn drive(&self, run: &str, repeat: Repeat) -> RunTotals {
        for _ in 0..MAX_STEPS {
            twice(repeat, || self.plan_run(run)).await;
            if self.billing.store.find::<BillingRun>(TENANT, run).await.unwrap().unwrap().state == RunState::Completed {
                self.drive_alone(WALL, repeat).await;
                return RunTotals::of(&self.chunks(run).await);
            }
            for chunk in self.chunks(run).await {
                if repeat == Repeat::Twice && chunk.pass > 1 {
                    self.redeliver_first_pass(&chunk).await;
                }
                twice(repeat, || self.step(&chunk)).await;
            }
        }
        panic!("the run does not end: {:?}", self.chunks(run).await);
    }

    /// The jobs of a pass that is over, come back late.
    async fn redeliver_first_pass(&self, chunk: &ChunkSummary) {
        let id = (TENANT, chunk.id.as_str());
        billing::calculate_usage(&self.billing, id, 1).await.unwrap();
        billing::generate_invoices(&self.billing, id, 1, WALL).await.unwrap();
    }

    /// Drives a run up to the first chunk's having a state.
    pub(crate) async fn drive_to(&self, run: &str, state: ChunkState) {
        self.plan_run(run).await.unwrap();
        for _ in 0..MAX_STEPS {
            let chunk = self.chunks(run).await.remove(0);
            if chunk.state == state {
                return;
            }
            self.step(&chunk).await.unwrap();
        }
        panic!("the chunk does not get to {state:?}");
    }

    /// Runs the jobs of what goes on alone until nothing is due any more.
    pub(crate) async fn drive_alone(&self, wall: Timestamp, repeat: Repeat) {
        let until = wall + SignedDuration::from_hours(1);
        for _ in 0..MAX_STEPS {
            let invoices = self.billing.store.due::<Invoice>(until, None, 1_000).await.unwrap();
            let mails = self.billing.store.due::<Notification>(until, None, 1_000).await.unwrap();
            if invoices.is_empty() && mails.is_empty() {
                return;
            }
            for due in invoices {
                twice(repeat, || self.collect(&due.id, wall)).await;
            }
            for due in mails {
                twice(repeat, || billing::send_notification(&self.billing, (TENANT, &due.id), wall)).await;
            }
        }
        panic!("something stays due for ever");
    }

    pub(crate) async fn collect(&self, invoice: &str, wall: Timestamp) -> Result<Progress, BillingError> {
        billing::collect_invoice(&self.billing, (TENANT, invoice), wall).await
    }
}

async fn twice<T, F: Future<Output = Result<T, BillingError>>>(repeat: Repeat, job: impl Fn() -> F) {
    match repeat {
        Repeat::Once => drop(job().await.unwrap()),
        Repeat::Twice => {
            job().await.unwrap();
            job().await.unwrap();
        }
        Repeat::AtOnce => {
            let (one, other) = futures::future::join(job(), job()).await;
            one.unwrap();
            other.unwrap();
        }
    }
}
