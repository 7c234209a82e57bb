//! What use cases work with, and how they commit.

use std::{collections::BTreeSet, time::Duration};

use gateways::{mail::SmtpMailer, payment::PaymentGateways, webhook::WebhookSender};
use queue::{NewJob, QueueClient};
use store::{Store, UnitOfWork};

use crate::{
    BillingError,
    jobs::{DispatchEvents, SealAudit},
};

/// Events of one moment travel together: a tenant's many small changes make few dispatches.
const DISPATCH_AFTER: Duration = Duration::from_millis(250);
/// Audit entries of one moment are sealed together: sealers of one tenant take turns.
const SEAL_AFTER: Duration = Duration::from_secs(1);
/// How often a use case loads and decides again after a concurrent change.
const CONFLICT_TRIES: u32 = 8;
/// How long it waits before that, times the tries made: about as long as the transaction takes that came first.
const CONFLICT_PAUSE: Duration = Duration::from_millis(20);

/// The real components; cheap to clone.
#[derive(Clone)]
pub struct Billing {
    /// The truth.
    pub store: Store,
    /// Delivers work.
    pub queue: QueueClient,
    /// Charge customers.
    pub payments: PaymentGateways,
    /// Sends mail.
    pub mailer: SmtpMailer,
    /// Calls the endpoints of tenants.
    pub webhooks: WebhookSender,
    /// Sender address of every mail.
    pub mail_from: String,
    /// The request that caused what is done here; named by all that is recorded and enqueued.
    pub request_id: Option<String>,
}

/// A decision that is not committed yet: what to tell the caller, what to write, and what to do next.
#[derive(Debug, Default)]
#[must_use = "a change does nothing until it is committed"]
pub struct Change<T> {
    /// What the caller gets once it is committed.
    pub result: T,
    /// What is written, all or nothing.
    pub unit: UnitOfWork,
    /// Jobs to enqueue after the commit. Only hints: the sweep finds the same work in the store.
    pub follow_up: Vec<NewJob>,
}

/// What is left of a job's work after one bounded step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing remains to be done.
    Done,
    /// Another step of the same job follows.
    More,
}

impl Billing {
    /// The same, acting because of a request.
    #[must_use]
    pub fn caused_by(&self, request_id: Option<&str>) -> Self {
        Self { request_id: request_id.map(ToOwned::to_owned), ..self.clone() }
    }

    /// Commits a change and hints at the work that follows from it.
    ///
    /// # Errors
    /// Those of [`Store::commit`]; a queue that is away is only logged, since the sweep finds the work.
    pub async fn commit<T>(&self, change: Change<T>) -> Result<T, BillingError> {
        let Change { result, mut unit, mut follow_up } = change;
        if let Some(request_id) = &self.request_id {
            unit.caused_by(request_id);
        }
        let tenants: BTreeSet<&String> = unit.announced().iter().map(|announced| &announced.tenant).collect();
        for tenant in tenants {
            follow_up.push(NewJob::of(&DispatchEvents { tenant: tenant.clone() })?.after(DISPATCH_AFTER));
        }
        for tenant in unit.audit_tenants() {
            follow_up.push(NewJob::of(&SealAudit { tenant: tenant.clone() })?.after(SEAL_AFTER));
        }
        self.store.commit(unit).await?;
        self.hint(follow_up).await;
        Ok(result)
    }

    /// Enqueues work that is already safe in the store.
    pub(crate) async fn hint(&self, jobs: Vec<NewJob>) {
        if jobs.is_empty() {
            return;
        }
        let caused = |job: NewJob| match &self.request_id {
            Some(request_id) => job.request_id(request_id),
            None => job,
        };
        if let Err(error) = self.queue.enqueue_many(jobs.into_iter().map(caused).collect()).await {
            tracing::warn!(%error, "cannot enqueue follow-up work; the sweep will");
        }
    }
}

/// Runs `attempt` (load, decide, commit) again while a concurrent change comes first.
///
/// # Errors
/// The last error of `attempt`.
pub(crate) async fn retry_conflicts<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, BillingError>
where
    F: Future<Output = Result<T, BillingError>>,
{
    let mut tries = 0;
    loop {
        tries += 1;
        match attempt().await {
            Err(error) if error.is_conflict() && tries < CONFLICT_TRIES => {
                tracing::debug!(%error, tries, "a concurrent change came first; deciding again");
                tokio::time::sleep(CONFLICT_PAUSE * tries).await;
            }
            other => return other,
        }
    }
}
