//! Our apalis backend: [`RedisBackend`] and its middleware. A thin hinge between the worker loop of
//! apalis and the `driver`, so that no trouble with Redis ever reaches the worker, which would drop
//! running handlers.
//!
//! **Invariant:** polling never touches Redis and never fails.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::worker::context::WorkerContext;
use futures::FutureExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tower::{Layer, Service};

use crate::delivery::{Delivery, Settlement, Token, Verdict};

/// The worker's end of a driver.
pub(crate) struct RedisBackend {
    deliveries: UnboundedReceiver<Delivery>,
    settlements: UnboundedSender<Settlement>,
    /// Resolves when the driver has ended, either way.
    driver_done: oneshot::Receiver<()>,
}

impl RedisBackend {
    pub(crate) fn new(
        deliveries: UnboundedReceiver<Delivery>,
        settlements: UnboundedSender<Settlement>,
        driver_done: oneshot::Receiver<()>,
    ) -> Self {
        Self { deliveries, settlements, driver_done }
    }

    /// Gives back what was claimed and not begun.
    fn release_unbegun(&mut self) {
        self.deliveries.close();
        while let Ok(delivery) = self.deliveries.try_recv() {
            drop(Unsettled::new(&delivery, self.settlements.clone()));
        }
    }
}

impl Backend for RedisBackend {
    type Task = Task<Delivery>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Option<Result<Self::Task, Self::Error>>> {
        // What the driver has withdrawn meanwhile is passed over.
        loop {
            match ready!(self.deliveries.poll_recv(cx)) {
                Some(delivery) if !delivery.turnstile.pass() => {}
                delivery => return Poll::Ready(delivery.map(|delivery| Ok(Task::new(delivery)))),
            }
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Self::Error>> {
        self.release_unbegun();
        self.driver_done.poll_unpin(cx).map(|_ended| Ok(()))
    }
}

impl Drop for RedisBackend {
    fn drop(&mut self) {
        self.release_unbegun();
    }
}

impl BackendConfig for RedisBackend {
    type Args = Delivery;
    type Id = Token;
    // Payloads are decoded by the registry, where an undecodable one becomes a dead letter; a backend
    // that decodes would end the worker instead.
    type Kind = Ephemeral;
    type Config = ();
    type Layer = SettleLayer;

    fn config(&self) -> &Self::Config {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Self::Layer {
        SettleLayer { settlements: self.settlements.clone() }
    }
}

/// Hands each verdict to the driver.
#[derive(Clone)]
pub(crate) struct SettleLayer {
    settlements: UnboundedSender<Settlement>,
}

impl<S> Layer<S> for SettleLayer {
    type Service = SettleService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SettleService { inner, settlements: self.settlements.clone() }
    }
}

/// See [`SettleLayer`].
#[derive(Clone)]
pub(crate) struct SettleService<S> {
    inner: S,
    settlements: UnboundedSender<Settlement>,
}

impl<S> Service<Task<Delivery>> for SettleService<S>
where
    S: Service<Task<Delivery>, Response = Verdict>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = ();
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<(), S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, task: Task<Delivery>) -> Self::Future {
        let unsettled = Unsettled::new(&task.args, self.settlements.clone());
        let began = Instant::now();
        let run = self.inner.call(task);
        Box::pin(async move {
            // On an error, or when this future is dropped, `unsettled` gives the job back.
            let verdict = run.await?;
            unsettled.settle(verdict, began);
            Ok(())
        })
    }
}

/// A delivery without a verdict. Dropping it releases the job.
struct Unsettled {
    settlement: Option<Settlement>,
    settlements: UnboundedSender<Settlement>,
}

impl Unsettled {
    fn new(delivery: &Delivery, settlements: UnboundedSender<Settlement>) -> Self {
        Self {
            settlement: Some(Settlement {
                token: delivery.token,
                lease: Arc::clone(&delivery.lease),
                plain: delivery.entry.ends_plainly(),
                verdict: Verdict::Release,
                ran: None,
            }),
            settlements,
        }
    }

    fn settle(mut self, verdict: Verdict, began: Instant) {
        if let Some(settlement) = &mut self.settlement {
            settlement.verdict = verdict;
            settlement.ran = Some(began.elapsed());
        }
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if let Some(settlement) = self.settlement.take() {
            // Without a driver nobody can settle; the lease runs out and another worker takes over.
            let _driver_gone = self.settlements.send(settlement);
        }
    }
}
